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
from aldis.core.namespace import NamedSignal
from aldis.core.signal import Signal

install_as_blinker()

with needs("aldis.quart", "quart", **{"quart": "Quart", "quart.signals": "Quart"}):
    import quart.signals  # noqa: F401 - older versions of Quart do not have this module
    from quart import current_app, has_app_context
    from quart.utils import run_sync

if TYPE_CHECKING:
    from jinja2 import Template
    from quart import Quart

    from aldis.durable import Outbox

    # Quart annotates its signals with blinker's class. When it runs on aldis, they are these.
    appcontext_popped: NamedSignal[..., Any]
    appcontext_pushed: NamedSignal[..., Any]
    appcontext_tearing_down: NamedSignal[..., Any]
    before_render_template: NamedSignal[..., Any]
    got_background_exception: NamedSignal[..., Any]
    got_request_exception: NamedSignal[..., Any]
    got_serving_exception: NamedSignal[..., Any]
    got_websocket_exception: NamedSignal[..., Any]
    message_flashed: NamedSignal[..., Any]
    request_finished: NamedSignal[..., Any]
    request_started: NamedSignal[..., Any]
    request_tearing_down: NamedSignal[..., Any]
    template_rendered: NamedSignal[..., Any]
    websocket_finished: NamedSignal[..., Any]
    websocket_received: NamedSignal[..., Any]
    websocket_sent: NamedSignal[..., Any]
    websocket_started: NamedSignal[..., Any]
    websocket_tearing_down: NamedSignal[..., Any]
else:
    from quart.signals import (
        appcontext_popped,
        appcontext_pushed,
        appcontext_tearing_down,
        before_render_template,
        got_background_exception,
        got_request_exception,
        got_serving_exception,
        got_websocket_exception,
        message_flashed,
        request_finished,
        request_started,
        request_tearing_down,
        template_rendered,
        websocket_finished,
        websocket_received,
        websocket_sent,
        websocket_started,
        websocket_tearing_down,
    )

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

    Raises:
        OutboxError: ``outbox`` is not an outbox, or the app has another one already.
    """

    _example = "Aldis(app, outbox=Outbox(session))"

    @staticmethod
    def _first_signals() -> tuple[Signal[..., Any], ...]:
        return appcontext_pushed, request_started, websocket_started

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
for _signal in (request_tearing_down, websocket_tearing_down, appcontext_tearing_down):
    _signal.continue_on_error = True

# Quart passes `_sync_wrapper` when it sends its other signals, but not for these two. Without it,
# they reject sync receivers. With it, sync receivers run in a thread, as for the other signals.
for _signal in (websocket_received, websocket_sent):
    _signal.send_async = partial(  # type: ignore[method-assign]
        type(_signal).send_async, _signal, _sync_wrapper=run_sync
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

    async def record(_sender: Quart, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
