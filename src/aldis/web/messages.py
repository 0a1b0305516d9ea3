"""A request and a response, without a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

__all__ = ["MOST_BYTES", "Request", "Response", "text_response"]

#: The largest body of a request. A form of the dashboard is much smaller.
MOST_BYTES: Final = 65_536

#: The names that a browser on this machine may use for it.
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

#: The headers that proxies add.
FORWARDING: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the dashboard.

    Attributes:
        method: The method, such as ``GET``.
        root: The path under which the dashboard is mounted, without a slash at its end.
        path: The path below ``root``; it begins with a slash.
        query: The part of the URL after the question mark.
        headers: The headers, with lower-case names.
        body: The body.
        client: The address of the client, or ``None``.
        scheme: ``http`` or ``https``.
        debug: Whether the app is in debug mode.
        native: The framework's own request: Flask's or Quart's ``request``, the WSGI ``environ``,
            or the ASGI ``scope``.
    """

    method: str
    root: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str | None = None
    scheme: str = "http"
    debug: bool = False
    native: Any = None

    @property
    def args(self) -> dict[str, str]:
        """The values of the query, without empty ones; the last of several values counts."""
        return dict(parse_qsl(self.query, errors="replace"))

    @property
    def form(self) -> dict[str, str]:
        """The values of a form in the body."""
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, errors="replace"))

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies."""
        try:
            parsed = SimpleCookie(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in parsed.items()}

    @property
    def host(self) -> str:
        """The host and port that the client named, in lower case."""
        return self.headers.get("host", "").lower()

    @property
    def is_local(self) -> bool:
        """Whether a program on this machine sent the request directly, not through a proxy.

        A page of another site can let its name point to this machine, so the name counts, too.
        """
        if self.client is None or any(name in self.headers for name in FORWARDING):
            return False
        try:
            address = ip_address(self.client.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback and _name_in(self.host) in LOOPBACK_NAMES

    @property
    def is_same_origin(self) -> bool:
        """Whether a page of this site sent the request, as the browser states.

        Browsers send ``Sec-Fetch-Site`` to HTTPS sites and to this machine, and ``Origin`` with
        each POST.
        """
        site = self.headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(self.headers.get("origin", "").lower())
        return bool(origin.netloc) and _with_port(origin.netloc) == _with_port(self.host)


def _name_in(host: str) -> str:
    """Return a host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_port(host: str) -> str:
    return host.removesuffix(":80").removesuffix(":443")


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Attributes:
        status: The status, such as 200.
        headers: The headers.
        body: The body.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def text_response(status: int, text: str) -> Response:
    """Return a response in plain text."""
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Response(status, headers, text.encode())
