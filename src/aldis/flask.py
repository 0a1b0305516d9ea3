"""Flask's signals, on this engine.

Everything that Flask's documentation of signals names is here under the same name. Importing this
module before Flask puts aldis in blinker's place; ``import aldis.as_blinker`` at the very top of a
program does so whatever comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from aldis import signals
from aldis.core import is_strict, set_strict
from aldis.core.sender import real_sender
from aldis.errors import MissingExtraError, OutboxError
from aldis.receivers import once
from aldis.signals import Namespace, signals_available
from aldis.transactions import register_provider

if signals_available:
    from aldis.blinker import install_as_blinker

    install_as_blinker()

try:
    from flask import (
        appcontext_popped,
        appcontext_pushed,
        appcontext_tearing_down,
        before_render_template,
        current_app,
        got_request_exception,
        has_app_context,
        message_flashed,
        request_finished,
        request_started,
        request_tearing_down,
        template_rendered,
    )
except ModuleNotFoundError as missing:
    if missing.name != "flask":
        raise
    _message = "aldis.flask needs Flask, which is not installed: pip install 'aldis[flask]'"
    raise MissingExtraError(_message, name="flask") from missing

if TYPE_CHECKING:
    from flask import Flask
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

# "Always called": a receiver that raises must not keep the others from tearing down.
for _signal in (request_tearing_down, appcontext_tearing_down):
    _signal.continue_on_error = True  # type: ignore[attr-defined]


class Aldis:
    """The extension: what aldis is to one Flask app, or to each of several.

    It turns strict mode on for apps in debug mode, for the whole process, and never turns it off.
    ``app.debug`` is often set late, by ``app.run(debug=True)``: it is looked at by ``init_app``,
    with the first application context and with the first request. The commands of ``flask signals``
    are there wherever aldis is installed, with this extension or without.

    Args:
        app: The app, unless a factory calls :meth:`init_app` later.
        outbox: Where sends to durable receivers are recorded, and whose session ``after_commit``
            waits for, while the app is the current one: ``Outbox(db.session)``.
        strict: ``True`` or ``False`` decides. By default ``app.config["ALDIS_STRICT"]`` does, if it
            is set, and else ``app.debug``.

    Raises:
        OutboxError: ``outbox`` is none, or the app has another already.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        outbox: Outbox | None = None,
        strict: bool | None = None,
    ) -> None:
        if outbox is not None:
            from aldis.durable.outbox import check_outbox  # noqa: PLC0415 - it needs SQLAlchemy

            check_outbox(outbox, "Aldis(app, outbox=Outbox(db.session))")
        self.outbox = outbox
        self._strict = strict
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve ``app``: its ``app.extensions["aldis"]`` is the first that did.

        For an app that is served already this does nothing but look at its settings again.

        Raises:
            OutboxError: The app has another outbox already.
        """
        app = real_sender(app)  # of current_app, which no connection could be for
        first = app.extensions.setdefault("aldis", self)
        if self.outbox is not None and first.outbox is not self.outbox:
            message = (
                f"the app {app.name!r} has an extension aldis already, "
                + ("with another outbox" if first.outbox else "without an outbox")
                + ": give its outbox to the first Aldis(app, outbox=...)"
            )
            raise OutboxError(message)
        if app not in self._apps:
            self._apps.add(app)
            # One of its own for each app: what has been called once is disconnected from them all.
            strict_in_debug = once(self._strict_in_debug)
            appcontext_pushed.connect(strict_in_debug, app)
            request_started.connect(strict_in_debug, app)
            if self.outbox is not None:
                self._offer_outbox(app, self.outbox)
        self._strict_in_debug(app)

    @staticmethod
    def _offer_outbox(app: Flask, outbox: Outbox) -> None:
        from aldis.durable import add_app  # noqa: PLC0415 - who has an outbox has imported it

        add_app(app)
        register_provider(_current_outbox)

        def prepare(_: Flask, **__: Any) -> None:
            # Before the first transaction. Where the session has no database yet, the first send
            # to a durable receiver says so.
            with suppress(Exception):
                outbox.prepare()

        appcontext_pushed.connect(once(prepare), app)

    def _strict_in_debug(self, app: Flask, **_: Any) -> None:
        """Turn strict mode on if the settings of ``app`` ask for it."""
        wanted = self._strict
        if wanted is None:
            wanted = app.config.get("ALDIS_STRICT")
        if wanted is None:
            wanted = app.debug
        if wanted and not is_strict():
            set_strict()


def _current_outbox() -> Outbox | None:
    """Return the outbox of the current app."""
    extension = current_app.extensions.get("aldis") if has_app_context() else None
    return None if extension is None else extension.outbox


@contextmanager
def captured_templates(
    app: Flask, recorded: list[tuple[Template, dict[str, Any]]] | None = None
) -> Generator[list[tuple[Template, dict[str, Any]]], None, None]:
    """Record the templates that ``app`` renders while a ``with`` block runs.

    Args:
        app: The application. Other applications' templates are not recorded.
        recorded: A list of one's own to append to. By default, a new one.

    Yields:
        The list of ``(template, context)``, in the order of rendering.
    """
    captured = [] if recorded is None else recorded

    def record(_sender: Flask, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
