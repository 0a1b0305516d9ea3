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
from aldis.core import NamedSignal, Signal
from aldis.signals import Namespace, signals_available

if signals_available:
    from aldis.blinker import install_as_blinker

    install_as_blinker()

with needs("aldis.flask", "flask", flask="Flask"):
    from flask import current_app, has_app_context

if TYPE_CHECKING:
    from flask import Flask
    from jinja2 import Template

    from aldis.durable import Outbox

    # Flask annotates its signals with blinker's class. When it runs on aldis, they are these.
    appcontext_popped: NamedSignal[..., Any]
    appcontext_pushed: NamedSignal[..., Any]
    appcontext_tearing_down: NamedSignal[..., Any]
    before_render_template: NamedSignal[..., Any]
    got_request_exception: NamedSignal[..., Any]
    message_flashed: NamedSignal[..., Any]
    request_finished: NamedSignal[..., Any]
    request_started: NamedSignal[..., Any]
    request_tearing_down: NamedSignal[..., Any]
    template_rendered: NamedSignal[..., Any]
else:
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

    Raises:
        OutboxError: ``outbox`` is not an outbox, or the app has another one already.
    """

    _example = "Aldis(app, outbox=Outbox(db.session))"

    @staticmethod
    def _first_signals() -> tuple[Signal[..., Any], ...]:
        return appcontext_pushed, request_started

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

    def record(_sender: Flask, template: Template, context: dict[str, Any], **_: Any) -> None:
        captured.append((template, context))

    with template_rendered.connected_to(record, app):
        yield captured
