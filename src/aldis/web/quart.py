"""The dashboard as a Quart blueprint."""

from __future__ import annotations

from typing import Any

from aldis._optional import needs
from aldis.web.access import Application
from aldis.web.asgi import respond_async
from aldis.web.messages import MOST_BYTES, Request

with needs("a blueprint of the dashboard", "quart", quart="Quart"):
    import quart
    from werkzeug.datastructures import Headers

__all__ = ["blueprint"]


def blueprint(dashboard: Application, name: str) -> quart.Blueprint:
    """Return a blueprint with all pages."""
    made = quart.Blueprint(name, __name__)

    async def view(path: str = "") -> quart.Response:
        return await _respond(dashboard, path)

    for rule in ("/", "/<path:path>"):
        made.add_url_rule(rule, "page", view, methods=["GET", "POST"], strict_slashes=False)
    return made


async def _respond(dashboard: Application, path: str) -> quart.Response:
    native: Any = quart.request  # its type names both kinds of body
    native.max_content_length = MOST_BYTES
    request = Request(
        method=native.method,
        root=native.root_path.rstrip("/") + native.path.removesuffix(path).rstrip("/"),
        path=f"/{path}",
        query=native.query_string.decode("latin-1"),
        headers={key.lower(): value for key, value in native.headers},
        body=await native.get_data(as_text=False),
        client=native.remote_addr,
        scheme=native.scheme,
        debug=quart.current_app.debug,
        native=native,
    )
    response = await respond_async(dashboard, request)
    return quart.Response(response.body, response.status, Headers(response.headers))
