"""Flask's signals, on this engine.

Everything that Flask's documentation of signals names is here under the same name. Importing this
module before Flask puts aldis in blinker's place; ``import aldis.as_blinker`` at the very top of a
program does so whatever comes next.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aldis import signals
from aldis.errors import MissingExtraError
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
