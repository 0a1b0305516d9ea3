"""The Flask app whose requests are timed. The importing module chooses its signal library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask.signals
from flask import Flask, flash, render_template
from jinja2 import DictLoader
from werkzeug.test import EnvironBuilder

from benchmarks.benchmark import Benchmark, Participants

CORE_SIGNALS = (
    "appcontext_pushed",
    "request_started",
    "before_render_template",
    "template_rendered",
    "message_flashed",
    "got_request_exception",
    "request_finished",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
)


def make_app() -> Flask:
    """Make an app with one view for each kind of request."""
    app = Flask(__name__)
    app.secret_key = "not a secret, because the app has no users"  # noqa: S105
    app.jinja_loader = DictLoader({"page.html": "<p>Hello {{ name }}!</p>"})
    app.logger.disabled = True  # the failing request would log its traceback each time

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @app.get("/page")
    def page() -> str:
        flash("saved")
        return render_template("page.html", name="world")

    @app.get("/failing")
    def failing() -> str:
        raise LookupError

    return app


def benchmark(participants: Participants) -> Benchmark:
    """Connect the participants' number of receivers to each core signal, and call the app.

    The receivers are weakly connected functions, for any sender. The request is a direct WSGI call
    of the app with a new environment each time. The whole response is read.

    Args:
        participants: Their shape names the view.
    """
    keep = []
    for name in CORE_SIGNALS:
        signal = getattr(flask.signals, name)
        signal.receivers.clear()
        signal._clear_state()  # noqa: SLF001 - test fixtures of blinker's users call it, too
        for receiver in Participants("open", participants.size).receivers():
            signal.connect(receiver)
            keep.append(receiver)
    app = make_app()
    builder = EnvironBuilder(path=f"/{participants.shape}")
    names = {"request": _requester(app.wsgi_app, builder.get_environ())}
    return Benchmark("request()", names, keep)


def engine() -> str:
    """Return the module of the class of Flask's signals."""
    return type(flask.signals.request_started).__module__


def _requester(wsgi_app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Any:
    def start_response(status: str, headers: list[Any], error: object = None) -> Callable[..., Any]:
        return bytes

    def request() -> None:
        response: Any = wsgi_app(environ.copy(), start_response)
        for _ in response:
            pass
        response.close()

    return request
