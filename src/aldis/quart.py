"""Quart's signals on aldis, and the extension for Quart apps.

If you import this module before Quart, it installs aldis as blinker. ``import aldis.as_blinker`` as
the first line of a program does that too, in any order of the other imports.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from aldis._extension import BaseExtension, app_outbox
from aldis._optional import needs
from aldis.blinker import install_as_blinker
from aldis.core.frames import hidden
from aldis.core.namespace import declare
from aldis.core.signal import Signal
from aldis.observe._requests import AsgiTracer, RequestReport

install_as_blinker()

with needs("aldis.quart", "quart", **{"quart": "Quart", "quart.signals": "Quart"}):
    import quart.signals as theirs  # older versions of Quart do not have this module
    from quart import Quart, current_app, has_app_context
    from quart.utils import run_sync

if TYPE_CHECKING:
    from jinja2 import Template
    from quart import Response

    from aldis.durable import Outbox

__all__ = [
    "Aldis",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "captured_templates",
    "got_background_exception",
    "got_request_exception",
    "got_serving_exception",
    "got_websocket_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
    "websocket_finished",
    "websocket_received",
    "websocket_sent",
    "websocket_started",
    "websocket_tearing_down",
]


# -- the contracts of Quart's signals --------------------------------------------------------------

# They are advisory, because Quart guarantees nothing about the arguments. They are not open:
# a receiver without **extra works, until Quart sends one more argument.


@declare(theirs.appcontext_pushed)
def appcontext_pushed(sender: Quart, /) -> Any:
    """Sent by the app after it pushed its context."""


@declare(theirs.appcontext_tearing_down)
def appcontext_tearing_down(sender: Quart, /, *, exc: BaseException | None) -> Any:
    """Sent by the app before it removes its context. ``exc`` is the error that ended it, if any."""


@declare(theirs.appcontext_popped)
def appcontext_popped(sender: Quart, /) -> Any:
    """Sent by the app after it removed its context."""


@declare(theirs.request_started)
def request_started(sender: Quart, /) -> Any:
    """Sent by the app after it pushed the request context, before it handles the request."""


@declare(theirs.request_finished)
def request_finished(sender: Quart, /, *, response: Response) -> Any:
    """Sent by the app before it sends the response."""


@declare(theirs.request_tearing_down)
def request_tearing_down(sender: Quart, /, *, exc: BaseException | None) -> Any:
    """Sent by the app at the end of each request. ``exc`` is the error that ended it, if any."""


@declare(theirs.got_request_exception)
def got_request_exception(sender: Quart, /, *, exception: Exception) -> Any:
    """Sent by the app if an error ends a request, before the app handles the error."""


@declare(theirs.got_background_exception)
def got_background_exception(sender: Quart, /, *, exception: Exception) -> Any:
    """Sent by the app if a background task raises an error."""


@declare(theirs.got_serving_exception)
def got_serving_exception(sender: Quart, /, *, exception: Exception) -> Any:
    """Sent by the app if a function before or after serving raises an error."""


@declare(theirs.websocket_started)
def websocket_started(sender: Quart, /) -> Any:
    """Sent by the app after it pushed the context of a websocket."""


@declare(theirs.websocket_received)
def websocket_received(sender: str | bytes, /) -> Any:
    """Sent for each message from the client. The message is the sender."""


@declare(theirs.websocket_sent)
def websocket_sent(sender: str | bytes, /) -> Any:
    """Sent for each message to the client. The message is the sender."""


@declare(theirs.websocket_finished)
def websocket_finished(sender: Quart, /, *, response: Response | None) -> Any:
    """Sent by the app at the end of a websocket. ``response`` is set if the app rejected it."""


@declare(theirs.websocket_tearing_down)
def websocket_tearing_down(sender: Quart, /, *, exc: BaseException | None) -> Any:
    """Sent by the app at the end of each websocket. ``exc`` is the error that ended it, if any."""


@declare(theirs.got_websocket_exception)
def got_websocket_exception(sender: Quart, /, *, exception: Exception) -> Any:
    """Sent by the app if an error ends a websocket, before the app handles the error."""


# Receivers may change the context of a template.
@declare(theirs.before_render_template, mutable=True)
def before_render_template(sender: Quart, /, *, template: Template, context: dict[str, Any]) -> Any:
    """Sent by the app before it renders a template. Receivers may change the context."""


# To compare a context before and after each receiver would be slow.
@declare(theirs.template_rendered, mutable=True)
def template_rendered(sender: Quart, /, *, template: Template, context: dict[str, Any]) -> Any:
    """Sent by the app after it rendered a template."""


@declare(theirs.message_flashed)
def message_flashed(sender: Quart, /, *, message: str, category: str) -> Any:
    """Sent by the app after it flashed a message."""


class Aldis(BaseExtension["Quart"]):
    """The extension of a Quart app, or of each of several apps.

    It turns strict mode on for apps in debug mode. Strict mode is then on in the whole process, and
    the extension never turns it off.

    Args:
        app: The app. A factory leaves it out and calls :meth:`init_app` later.
        outbox: The outbox of the app. While the app is the current one, sends to durable receivers
            are recorded in it, and ``after_commit`` waits for its session.
        strict: Whether strict mode is on. The default is ``app.config["ALDIS_STRICT"]`` if it is
            set, and otherwise ``app.debug``.
        trace: ``True`` prints the signals of each request as a tree, to the standard error. A path
            such as ``"/pay"``, or a list of paths, prints only the requests to them and to the
            paths below them; ``*`` stands for any characters. A callable gets each
            :class:`aldis.observe.TracedRequest` instead. Requests for static files, and successful
            requests that call no receiver, are left out. The default is
            ``app.config["ALDIS_TRACE"]``. Every send is slower while a request is traced, so use it
            for development.

    Raises:
        OutboxError: ``outbox`` is not an outbox, or the app has another one already.
        TypeError: ``trace`` has another type.
        ValueError: A path of ``trace`` does not begin with a slash.
    """

    _example = "Aldis(app, outbox=Outbox(session))"

    @staticmethod
    def _first_signals() -> tuple[Signal[..., Any], ...]:
        return appcontext_pushed, request_started, websocket_started

    @staticmethod
    def _error_signals() -> tuple[Signal[..., Any], ...]:
        return got_request_exception, got_websocket_exception

    @staticmethod
    def _popped() -> Signal[..., Any]:
        return appcontext_popped

    @staticmethod
    def _own_signals() -> list[Signal[..., Any]]:
        return [globals()[name] for name in __all__ if hasattr(globals()[name], "send_robust")]

    @staticmethod
    def _wrap(app: Quart, report: RequestReport) -> None:
        app.asgi_app = AsgiTracer(app.asgi_app, report)  # type: ignore[method-assign,assignment]

    @staticmethod
    def _receiver(function: Callable[..., None]) -> Callable[..., Any]:
        # Quart would run a sync receiver in a thread. This one must run in the event loop.
        async def receive(sender: Quart, **payload: Any) -> None:
            function(sender, **payload)

        return receive

    @staticmethod
    def _current_outbox() -> Outbox | None:
        return app_outbox(current_app) if has_app_context() else None


# Quart promises that these are always sent to all, so a receiver that raises must not stop them.
for _sent_to_all in (request_tearing_down, websocket_tearing_down, appcontext_tearing_down):
    _sent_to_all.continue_on_error = True

# Quart passes `_sync_wrapper` when it sends its other signals, but not for these two. Without it,
# they reject sync receivers. With it, sync receivers run in a thread, as for the other signals.
for _of_message in (websocket_received, websocket_sent):
    _of_message.send_async = partial(  # type: ignore[method-assign]
        type(_of_message).send_async,
        _of_message,
        _sync_wrapper=run_sync,  # type: ignore[call-arg]
    )


@contextmanager
def captured_templates(
    app: Quart, recorded: list[tuple[Template, dict[str, Any]]] | None = None
) -> Generator[list[tuple[Template, dict[str, Any]]], None, None]:
    """Record the templates that ``app`` renders while a ``with`` block runs.

    Args:
        app: The app. Templates of other apps are not recorded.
        recorded: The list to append to. The default is a new list.

    Yields:
        The list of ``(template, context)``, in the order of rendering.
    """
    captured = [] if recorded is None else recorded

    @hidden
    async def record(_sender: Quart, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
