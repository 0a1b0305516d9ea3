"""``Dashboard``: the pages as a Flask or Quart blueprint, as WSGI and as ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aldis.web import wsgi
from aldis.web.access import AccessFunction, Grant, granted, local_access
from aldis.web.asgi import AsgiApp
from aldis.web.cache import Cache
from aldis.web.messages import MOST_BYTES, Request, Response, text_response
from aldis.web.routes import answer
from aldis.web.view import Context

if TYPE_CHECKING:
    import flask
    import quart

    from aldis.durable import Outbox
    from aldis.web.data import Source

__all__ = ["Dashboard"]

#: How long all viewers share the result of a query, in seconds.
SHARED_FOR: Final = 1.0


class Dashboard:
    """Shows signals, deliveries, dead letters, receivers and workers in a browser.

    Without ``access``, the dashboard answers only requests from this machine while the app is in
    debug mode. Everyone else gets a 404.

    Args:
        outbox: The outbox whose deliveries to show, or several by name. Without one, the dashboard
            shows signals and their receivers only.
        access: Called with each :class:`Request`. It returns ``"read"``, or ``"operate"`` for users
            who may also change deliveries, or a :class:`Grant` with the user's name for the audit
            log, or ``None``, which answers with a 404.
        show_payload: Whether pages show payloads, or a function that decides for each request.
            Payloads often have personal data.
        title: The title of the pages.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: ``outbox`` is an empty mapping.
    """

    def __init__(
        self,
        outbox: Outbox | Mapping[str, Outbox] | None = None,
        *,
        access: AccessFunction | None = None,
        show_payload: bool | Callable[[Request], bool] = False,
        title: str = "Signals",
    ) -> None:
        given: Any = access
        if given is not None and not callable(given):
            message = f"access= must be a function of a request, not {access!r}"
            raise TypeError(message)
        self._access: AccessFunction = access or local_access
        self._context = Context(
            sources=_sources(outbox),
            cache=Cache(SHARED_FOR),
            show_payload=show_payload if callable(show_payload) else lambda _: bool(show_payload),
            title=title,
        )

    @property
    def access(self) -> AccessFunction:
        """The function that decides who may look."""
        return self._access

    def respond(self, request: Request) -> Response:
        """Answer a request of a synchronous framework."""
        return self.respond_to(request, granted(self._access(request), request))

    def respond_to(self, request: Request, grant: Grant | None) -> Response:
        """Answer a request of a user with a right; without a right, the answer is a 404."""
        if grant is None:
            return text_response(404, "Not Found\n")
        if len(request.body) > MOST_BYTES:
            return text_response(413, "The request is too large.\n")
        return answer(self._context, request, grant)

    # -- frameworks ------------------------------------------------------------------------------

    def blueprint(self, name: str = "aldis") -> flask.Blueprint:
        """Return a Flask blueprint.

        ::

            app.register_blueprint(Dashboard(outbox, access=who).blueprint(), url_prefix="/signals")
        """
        from aldis.web.flask import blueprint  # noqa: PLC0415 - Flask may be missing

        return blueprint(self, name)

    def quart_blueprint(self, name: str = "aldis") -> quart.Blueprint:
        """Return a Quart blueprint. ``access`` may be async.

        ::

            app.register_blueprint(
                Dashboard(outbox, access=who).quart_blueprint(), url_prefix="/signals"
            )
        """
        from aldis.web.quart import blueprint  # noqa: PLC0415 - Quart may be missing

        return blueprint(self, name)

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer a WSGI request. ``SCRIPT_NAME`` is the path of the dashboard."""
        return wsgi.respond(self, environ, start_response)

    @property
    def asgi(self) -> Callable[[Any, Any, Any], Awaitable[None]]:
        """The dashboard as an ASGI app. ``access`` may be async.

        ::

            app.mount("/signals", Dashboard(outbox, access=who).asgi)
        """
        return AsgiApp(self)


def _sources(outbox: Outbox | Mapping[str, Outbox] | None) -> dict[str, Source]:
    if outbox is None:
        return {}
    from aldis.durable.outbox import check_outbox  # noqa: PLC0415 - SQLAlchemy is optional
    from aldis.web.data import Source  # noqa: PLC0415 - SQLAlchemy is optional

    named = outbox if isinstance(outbox, Mapping) else {"": outbox}
    if not named:
        message = "Dashboard({}) names no outbox: leave it out to show signals only"
        raise ValueError(message)
    for name, each in named.items():
        label: Any = name
        if not isinstance(label, str):
            message = f"the name of an outbox is text, not {name!r}"
            raise TypeError(message)
        check_outbox(each, "Dashboard(outbox)")
    return {name: Source(name, each) for name, each in named.items()}
