"""Flask's signals, on this engine.

Everything that Flask's documentation of signals names is here under the same name. Importing this
module before Flask puts aldis in blinker's place; ``import aldis.as_blinker`` at the very top of a
program does so whatever comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from aldis import signals
from aldis.core import is_strict, set_strict
from aldis.core.identity import real_sender
from aldis.errors import MissingExtraError
from aldis.receivers import once
from aldis.signals import Namespace, signals_available

if signals_available:
    from aldis.blinker import install_as_blinker

    install_as_blinker()

try:
    from flask import (
        appcontext_popped,
        appcontext_pushed,
        appcontext_tearing_down,
        before_render_template,
        got_request_exception,
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
    _signal.every_receiver_runs = True  # type: ignore[attr-defined]


class Aldis:
    """The extension: what aldis is to one Flask app, or to each of several.

    It turns strict mode on for apps in debug mode, for the whole process, and never turns it off.
    ``app.debug`` is often set late, by ``app.run(debug=True)``: it is looked at by ``init_app``,
    with the first application context and with the first request. The commands of ``flask signals``
    are there wherever aldis is installed, with this extension or without.

    Args:
        app: The app, unless a factory calls :meth:`init_app` later.
        strict: ``True`` or ``False`` decides. By default ``app.config["ALDIS_STRICT"]`` does, if it
            is set, and else ``app.debug``.
    """

    def __init__(self, app: Flask | None = None, *, strict: bool | None = None) -> None:
        self._strict = strict
        self._apps: WeakSet[Flask] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve ``app``: its ``app.extensions["aldis"]`` is the first that did.

        For an app that is served already this does nothing but look at its settings again.
        """
        app = real_sender(app)  # of current_app, which no connection could be for
        app.extensions.setdefault("aldis", self)
        if app not in self._apps:
            self._apps.add(app)
            # One of its own for each app: what has been called once is disconnected from them all.
            strict_in_debug = once(self._strict_in_debug)
            appcontext_pushed.connect(strict_in_debug, app)
            request_started.connect(strict_in_debug, app)
        self._strict_in_debug(app)

    def _strict_in_debug(self, app: Flask, **_: Any) -> None:
        """Turn strict mode on if the settings of ``app`` ask for it."""
        wanted = self._strict
        if wanted is None:
            wanted = app.config.get("ALDIS_STRICT")
        if wanted is None:
            wanted = app.debug
        if wanted and not is_strict():
            set_strict()


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
