"""Flask's signals on aldis, and the extension for Flask apps.

Everything in Flask's documentation of signals is here under its name there. If you import this
module before Flask, it installs aldis as blinker. ``import aldis.as_blinker`` as the first line of
a program does that too, in any order of the other imports.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aldis import signals
from aldis._extension import BaseExtension, app_outbox
from aldis._optional import needs
from aldis.core import Signal, declare
from aldis.core.frames import hidden
from aldis.observe._requests import RequestReport, WsgiTracer
from aldis.signals import Namespace, signals_available

if signals_available:
    from aldis.blinker import install_as_blinker

    install_as_blinker()

with needs("aldis.flask", "flask", flask="Flask"):
    import flask
    from flask import Flask, current_app, has_app_context

if not TYPE_CHECKING and not signals_available:

    def declare(signal: Any, **_: Any) -> Any:
        """Leave the signal as it is, because it is made by blinker."""
        return lambda _contract: signal


if TYPE_CHECKING:
    from flask import Response
    from jinja2 import Template

    from aldis.durable import Outbox

__all__ = [
    "Aldis",
    "Namespace",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "captured_templates",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "signals",
    "signals_available",
    "template_rendered",
]

# -- the contracts of Flask's signals --------------------------------------------------------------

# They are advisory, because Flask guarantees nothing about the arguments. They are not open:
# a receiver without **extra works, until Flask sends one more argument.


@declare(flask.appcontext_pushed)
def appcontext_pushed(sender: Flask, /) -> Any:
    """Sent by the app after it pushed its context."""


@declare(flask.appcontext_tearing_down)
def appcontext_tearing_down(sender: Flask, /, *, exc: BaseException | None) -> Any:
    """Sent by the app before it removes its context. ``exc`` is the error that ended it, if any."""


@declare(flask.appcontext_popped)
def appcontext_popped(sender: Flask, /) -> Any:
    """Sent by the app after it removed its context."""


@declare(flask.request_started)
def request_started(sender: Flask, /) -> Any:
    """Sent by the app after it pushed the request context, before it handles the request."""


@declare(flask.request_finished)
def request_finished(sender: Flask, /, *, response: Response) -> Any:
    """Sent by the app before it sends the response."""


@declare(flask.request_tearing_down)
def request_tearing_down(sender: Flask, /, *, exc: BaseException | None) -> Any:
    """Sent by the app at the end of each request. ``exc`` is the error that ended it, if any."""


@declare(flask.got_request_exception)
def got_request_exception(sender: Flask, /, *, exception: Exception) -> Any:
    """Sent by the app if an error ends a request, before the app handles the error."""


# Receivers may change the context of a template.
@declare(flask.before_render_template, mutable=True)
def before_render_template(sender: Flask, /, *, template: Template, context: dict[str, Any]) -> Any:
    """Sent by the app before it renders a template. Receivers may change the context."""


# To compare a context before and after each receiver would be slow.
@declare(flask.template_rendered, mutable=True)
def template_rendered(sender: Flask, /, *, template: Template, context: dict[str, Any]) -> Any:
    """Sent by the app after it rendered a template."""


@declare(flask.message_flashed)
def message_flashed(sender: Flask, /, *, message: str, category: str) -> Any:
    """Sent by the app after it flashed a message."""


# Flask promises that these are always sent to all, so a receiver that raises must not stop them.
for _signal in (request_tearing_down, appcontext_tearing_down):
    _signal.continue_on_error = True


class Aldis(BaseExtension["Flask"]):
    """The extension of a Flask app, or of each of several apps.

    It turns strict mode on for apps in debug mode. Strict mode is then on in the whole process, and
    the extension never turns it off. ``app.run(debug=True)`` sets ``app.debug`` late, so the
    extension reads it in ``init_app``, at the first application context and at the first request.

    The commands of ``flask signals`` do not need the extension.

    Args:
        app: The app. A factory leaves it out and calls :meth:`init_app` later.
        outbox: The outbox of the app, ``Outbox(db.session)``. While the app is the current one,
            sends to durable receivers are recorded in it, and ``after_commit`` waits for its
            session.
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

    _example = "Aldis(app, outbox=Outbox(db.session))"

    @staticmethod
    def _first_signals() -> tuple[Signal[..., Any], ...]:
        return appcontext_pushed, request_started

    @staticmethod
    def _error_signals() -> tuple[Signal[..., Any], ...]:
        return (got_request_exception,)

    @staticmethod
    def _popped() -> Signal[..., Any]:
        return appcontext_popped

    @staticmethod
    def _own_signals() -> list[Signal[..., Any]]:
        return [globals()[name] for name in __all__ if hasattr(globals()[name], "send_robust")]

    @staticmethod
    def _wrap(app: Flask, report: RequestReport) -> None:
        app.wsgi_app = WsgiTracer(app.wsgi_app, report)  # type: ignore[method-assign]

    @staticmethod
    def _receiver(function: Callable[..., None]) -> Callable[..., Any]:
        return function

    @staticmethod
    def _current_outbox() -> Outbox | None:
        return app_outbox(current_app) if has_app_context() else None


@contextmanager
def captured_templates(
    app: Flask, recorded: list[tuple[Template, dict[str, Any]]] | None = None
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
    def record(_sender: Flask, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
