"""One request with everything that its page needs: the right, the outbox, URLs and tokens."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

from aldis.errors import AldisError
from aldis.web.access import Grant
from aldis.web.cache import Cache
from aldis.web.csrf import COOKIE, Tokens
from aldis.web.messages import Request, Response
from aldis.web.render import asset, html_response, render, secured

if TYPE_CHECKING:
    from aldis.web.data import Source

__all__ = ["Context", "PageError", "View"]

T = TypeVar("T")

#: The pages in the navigation that need an outbox, and their titles.
OF_OUTBOX: Final = {
    "/": "Now",
    "/deliveries": "Deliveries",
    "/dead": "Dead letters",
    "/receivers": "Receivers",
    "/workers": "Workers",
}


class PageError(AldisError):
    """A request that cannot be answered with its page.

    Args:
        status: The HTTP status.
        message: The reason, for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status: int = status


@dataclass(frozen=True, slots=True)
class Context:
    """What all requests to one dashboard share.

    Attributes:
        sources: The outboxes by name.
        cache: The results of queries.
        show_payload: Decides whether a request may see payloads.
        title: The title of the pages.
    """

    sources: Mapping[str, Source]
    cache: Cache
    show_payload: Callable[[Request], bool]
    title: str


class View:
    """One request and the right of its user.

    Args:
        context: What all requests share.
        request: The request.
        grant: The user's right.
    """

    def __init__(self, context: Context, request: Request, grant: Grant) -> None:
        self.context = context
        self.request = request
        self.grant = grant
        self.args: dict[str, str] = request.args
        self.form: dict[str, str] = request.form if request.method == "POST" else {}
        self._tokens = Tokens(request.cookies.get(COOKIE), grant.user)

    # -- the outbox ------------------------------------------------------------------------------

    @property
    def outbox(self) -> str:
        """The name of the chosen outbox."""
        name = self.form.get("outbox", self.args.get("outbox"))
        return next(iter(self.context.sources), "") if name is None else name

    @property
    def source(self) -> Source:
        """The chosen outbox.

        Raises:
            PageError: There is no such outbox.
        """
        found = self.context.sources.get(self.outbox)
        if found is None:
            raise PageError(404, f"There is no outbox {self.outbox!r} here.")
        return found

    def shared(self, key: Hashable, read: Callable[[Source], T]) -> T:
        """Return ``read(source)``, or the result that another viewer got a moment ago."""
        source = self.source
        return self.context.cache.get((self.outbox, key), lambda: read(source))

    # -- for templates ---------------------------------------------------------------------------

    def url(self, path: str, **args: Any) -> str:
        """Return the URL of a page; values that are ``None`` are left out."""
        if len(self.context.sources) > 1:
            args = {"outbox": self.outbox, **args}
        query = urlencode({name: value for name, value in args.items() if value is not None})
        return quote(self.request.root + path) + (f"?{query}" if query else "")

    def here(self, **changes: Any) -> str:
        """Return the URL of this page with some changed arguments."""
        return self.url(self.request.path, **{**self.args, **changes})

    def asset(self, name: str) -> str:
        """Return the URL of a file."""
        found = asset(name)
        assert found is not None  # noqa: S101 - templates name files that exist
        return quote(f"{self.request.root}/static/{name}") + f"?v={found[1]}"

    def token(self, path: str) -> str:
        """Return a token for one form."""
        return self._tokens.make(path)

    def token_is_valid(self, token: str) -> bool:
        """Return whether the form of this request came from a page of the user."""
        return self._tokens.is_valid(token, self.request.path)

    @property
    def may_operate(self) -> bool:
        """Whether the user may change deliveries."""
        return self.grant.may_operate

    @property
    def is_live(self) -> bool:
        """Whether the page updates itself."""
        return self.args.get("live") != "off"

    def nav(self) -> list[tuple[str, str, bool]]:
        """Return the URL and the title of each page, and whether this page belongs to it."""
        pages = dict(OF_OUTBOX) if self.context.sources else {}
        pages["/signals" if pages else "/"] = "Signals"
        if self.context.sources:
            pages["/changes"] = "Changes"
        path = self.request.path
        return [
            (self.url(each), title, path == each or (each != "/" and path.startswith(f"{each}/")))
            for each, title in pages.items()
        ]

    # -- responses -------------------------------------------------------------------------------

    def page(self, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        text = render(template, {"view": self, "title": title, **values})
        headers = []
        if self._tokens.is_new:
            secure = "; Secure" if self.request.scheme == "https" else ""
            path = quote(self.request.root) or "/"
            value = f"{COOKIE}={self._tokens.key}; Path={path}; HttpOnly; SameSite=Lax{secure}"
            headers.append(("Set-Cookie", value))
        return html_response(status, text, *headers)

    def redirect(self, path: str, **args: Any) -> Response:
        """Return a redirect to a page."""
        headers = [("Location", self.url(path, **args)), ("Cache-Control", "no-store"), *secured()]
        return Response(303, headers, b"")
