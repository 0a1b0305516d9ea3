"""Quart's signals, on this engine.

Importing this module before Quart puts aldis in blinker's place; ``import aldis.as_blinker`` at the
very top of a program does so whatever comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from aldis.blinker import install_as_blinker
from aldis.core.sender import real_sender
from aldis.errors import MissingExtraError, OutboxError
from aldis.transactions import register_provider

install_as_blinker()

try:
    from quart import current_app, has_app_context
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
    from quart.utils import run_sync
except ModuleNotFoundError as missing:
    if missing.name not in ("quart", "quart.signals"):
        raise
    _message = "aldis.quart needs Quart, which is not installed: pip install 'aldis[quart]'"
    raise MissingExtraError(_message, name="quart") from missing

if TYPE_CHECKING:
    from jinja2 import Template
    from quart import Quart

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


class Aldis:
    """The extension: what aldis is to one Quart app, or to each of several.

    Args:
        app: The app, unless a factory calls :meth:`init_app` later.
        outbox: Where sends to durable receivers are recorded, and whose session ``after_commit``
            waits for, while the app is the current one.
    """

    def __init__(self, app: Quart | None = None, *, outbox: Outbox | None = None) -> None:
        if outbox is not None:
            from aldis.durable.outbox import check_outbox  # noqa: PLC0415 - it needs SQLAlchemy

            check_outbox(outbox, "Aldis(app, outbox=Outbox(session))")
        self.outbox = outbox
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Serve ``app``: its ``app.extensions["aldis"]`` is this.

        Raises:
            OutboxError: The app has another outbox already.
        """
        app = real_sender(app)
        first = app.extensions.setdefault("aldis", self)
        if first.outbox is not self.outbox:
            message = f"the app {app.name!r} has an extension aldis with another outbox already"
            raise OutboxError(message)
        if self.outbox is not None:
            from aldis.durable import add_app  # noqa: PLC0415 - who has an outbox has imported it

            add_app(app)
            register_provider(_current_outbox)
            _prepare_early(app, self.outbox)


def _prepare_early(app: Quart, outbox: Outbox) -> None:
    """Set up the engine before the first transaction: SQLite's cannot be, once it has begun."""

    async def prepare(_: Quart, **__: Any) -> None:
        appcontext_pushed.disconnect(prepare, app)
        # Where the session has no database yet, the first send to a durable receiver says so.
        with suppress(Exception):
            outbox.prepare()

    appcontext_pushed.connect(prepare, app, weak=False)


def _current_outbox() -> Outbox | None:
    """Return the outbox of the current app."""
    extension = current_app.extensions.get("aldis") if has_app_context() else None
    return None if extension is None else extension.outbox


# "Always called": a receiver that raises must not keep the others from tearing down.
for _signal in (request_tearing_down, websocket_tearing_down, appcontext_tearing_down):
    _signal.continue_on_error = True  # type: ignore[attr-defined]

# Quart says how to await a sync receiver for every signal but these two, which would refuse it. It
# runs in a thread, as those of the others do.
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
        app: The application. Other applications' templates are not recorded.
        recorded: A list of one's own to append to. By default, a new one.

    Yields:
        The list of ``(template, context)``, in the order of rendering.
    """
    captured = [] if recorded is None else recorded

    async def record(_sender: Quart, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
