"""From a request to the function that answers it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

from aldis.errors import AldisError
from aldis.web import changes, pages
from aldis.web.access import Grant
from aldis.web.messages import Request, Response, text_response
from aldis.web.render import ASSETS, asset, secured
from aldis.web.view import Context, PageError, View

__all__ = ["answer"]

_log = logging.getLogger("aldis")

_NUMBER: Final = "([0-9]{1,18})"

#: The pages, by their paths.
_PAGES: Final[dict[str, Callable[..., Response]]] = {
    "/": pages.now,
    "/deliveries": pages.deliveries,
    f"/deliveries/{_NUMBER}": pages.delivery,
    "/deliveries/(replay|discard)": pages.confirm_change,
    "/prune": pages.confirm_prune,
    "/dead": pages.dead,
    "/receivers": pages.receivers,
    "/workers": pages.workers,
    "/signals": pages.signals,
    "/signals/([0-9]{1,6})": pages.one_signal,
    "/changes": pages.change_log,
}

#: The changes, by the paths of their forms.
_CHANGES: Final[dict[str, Callable[..., Response]]] = {
    f"/deliveries/{_NUMBER}/(replay|discard)": changes.change_one,
    "/deliveries/(replay|discard)": changes.change_selected,
    "/dead/(replay|discard)": changes.change_group,
    "/receivers/(pause|resume)": changes.switch_receiver,
    "/prune": changes.prune,
}


def answer(context: Context, request: Request, grant: Grant) -> Response:
    """Answer a request of a user who may look."""
    if request.path.startswith("/static/") and request.method in ("GET", "HEAD"):
        return _file(request.path.removeprefix("/static/"))
    view = View(context, request, grant)
    try:
        return _route(view)
    except PageError as error:
        return view.page("error.html", "Not possible", status=error.status, message=str(error))
    except AldisError as error:
        _log.warning("the dashboard cannot show %s: %s", request.path, error)
        return view.page("error.html", "Not available", status=503, message=str(error))


def _route(view: View) -> Response:
    request = view.request
    routes = {"GET": _PAGES, "HEAD": _PAGES, "POST": _CHANGES}.get(request.method, {})
    for pattern, function in routes.items():
        match = re.fullmatch(pattern, request.path)
        if match is None:
            continue
        if request.method == "POST":
            changes.check_form(view)
        return function(view, *match.groups())
    if any(re.fullmatch(pattern, request.path) for pattern in (*_PAGES, *_CHANGES)):
        raise PageError(405, f"This page does not accept {request.method}.")
    raise PageError(404, "There is no such page.")


def _file(name: str) -> Response:
    found = asset(name)
    if found is None:
        return text_response(404, "Not Found\n")
    content, version = found
    headers = [
        ("Content-Type", ASSETS[name]),
        ("Cache-Control", "private, max-age=31536000, immutable"),
        ("ETag", f'"{version}"'),
        *secured(),
    ]
    return Response(200, headers, content)
