"""The dashboard as a Flask blueprint."""

from __future__ import annotations

from functools import partial

from aldis._optional import needs
from aldis.web.access import Application, granted
from aldis.web.messages import MOST_BYTES, Request

with needs("a blueprint of the dashboard", "flask", flask="Flask"):
    import flask

__all__ = ["blueprint"]


def blueprint(dashboard: Application, name: str) -> flask.Blueprint:
    """Return a blueprint with all pages."""
    made = flask.Blueprint(name, __name__)
    view = partial(_respond, dashboard)
    options = {"methods": ["GET", "POST"], "strict_slashes": False}
    made.add_url_rule("/", "page", view, defaults={"path": ""}, **options)  # type: ignore[arg-type] # options of Werkzeug
    made.add_url_rule("/<path:path>", "page", view, **options)  # type: ignore[arg-type] # options of Werkzeug
    return made


def _respond(dashboard: Application, path: str) -> flask.Response:
    native = flask.request
    native.max_content_length = MOST_BYTES
    request = Request(
        method=native.method,
        root=native.root_path.rstrip("/") + native.path.removesuffix(path).rstrip("/"),
        path=f"/{path}",
        query=native.query_string.decode("latin-1"),
        headers={key.lower(): value for key, value in native.headers},
        body=native.get_data(),
        client=native.remote_addr,
        scheme=native.scheme,
        debug=flask.current_app.debug,
        native=native,
    )
    answer = flask.current_app.ensure_sync(dashboard.access)(request)
    response = dashboard.respond_to(request, granted(answer, request))
    return flask.Response(response.body, response.status, response.headers)
