"""The parts of a web framework that a login uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["Web"]


class Web(Protocol):
    """The functions and the context-local objects of Flask or of Quart.

    Attributes:
        request: The current request.
        session: The session of the current user.
        current_app: The current app.
        redirect: As ``flask.redirect``.
        url_for: As ``flask.url_for``.
        jsonify: As ``flask.jsonify``.
        response_class: The framework's class of responses.
    """

    request: Any
    session: Any
    current_app: Any
    redirect: Callable[..., Any]
    url_for: Callable[..., str]
    jsonify: Callable[..., Any]
    response_class: type[Any]

    def after_this_request(self, function: Callable[[Any], Any]) -> Any:
        """Call ``function`` with the response of the current request, as Flask's function."""
        ...

    async def form(self) -> Mapping[str, str]:
        """Return the form of the current request."""
        ...

    async def send(self, signal: Any, sender: Any, payload: Mapping[str, Any]) -> list[Any]:
        """Send a signal to sync and async receivers; return pairs of a receiver and its value."""
        ...

    def is_response(self, value: object) -> bool:
        """Return whether ``value`` is a response of this framework."""
        ...
