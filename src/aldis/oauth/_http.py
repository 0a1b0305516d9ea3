"""Limits for every HTTP call to a provider: its time, the size of the response, and redirects."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ProtocolError

from aldis._compat import set_variable
from aldis.errors import LoginError

__all__ = [
    "MAX_RESPONSE_SIZE",
    "ConnectionPool",
    "GuardedSession",
    "PooledAdapter",
    "ResponseTooLargeError",
    "reject_redirect",
]

#: The default limit of a response in bytes, after decompression.
MAX_RESPONSE_SIZE: Final = 10_000_000

#: The connections of one pool that stay open.
POOL_SIZE: Final = 32

#: The time at which the current call must have ended, on the monotonic clock.
_DEADLINE: Final[ContextVar[float | None]] = ContextVar("aldis_oauth_deadline", default=None)


class ResponseTooLargeError(requests.RequestException):
    """A provider's response is larger than ``max_response_size``."""


class GuardedSession(requests.Session):
    """Adds limits to a session of requests. Use it as the first base class.

    A response that the caller streams has no limit of its size, and the time ends with its headers.

    Attributes:
        follows_redirects: Whether redirects are followed. Calls that contain a secret must not
            follow them, because the secret would reach another host.
        last_response: The last response.
    """

    follows_redirects: bool = False
    last_response: requests.Response | None = None
    _shared: HTTPAdapter | None = None

    def guard(self, max_size: int, adapter: HTTPAdapter | None = None) -> None:
        """Set the limits.

        Args:
            max_size: The limit of a response in bytes.
            adapter: An adapter that several sessions share. The session does not close it.
        """
        self._shared = adapter
        for prefix in ("https://", "http://"):
            self.mount(prefix, adapter or PooledAdapter(max_size))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request.

        Raises:
            LoginError: The provider redirected the call, and redirects are not followed.
        """
        if not self.follows_redirects:
            kwargs["allow_redirects"] = False
        response = super().request(method, url, *args, **kwargs)
        self.last_response = response
        if not self.follows_redirects:
            reject_redirect(response)
        return response

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request and its redirects. The time limit is for all of them together."""
        with _deadline(kwargs.get("timeout")):
            return super().send(request, **kwargs)

    async def __aenter__(self) -> Self:
        """Let the shared steps of a login use every client in one way."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the client."""
        self.close()

    def was_dropped(self, error: Exception) -> bool:
        """Return whether the other end closed an open connection before it responded."""
        if not isinstance(error, requests.ConnectionError):
            return False
        cause = error.__context__
        return (
            isinstance(cause, ProtocolError)
            and bool(cause.args)
            and isinstance(cause.args[-1], ConnectionResetError | BrokenPipeError)
        )

    def close(self) -> None:
        """Close the connections, except those of a shared adapter."""
        if self._shared is None:
            super().close()


class PooledAdapter(HTTPAdapter):
    """Sends requests with a deadline, and limits the size of responses.

    Args:
        max_size: The limit of a response in bytes.
    """

    def __init__(self, max_size: int = MAX_RESPONSE_SIZE) -> None:
        self.max_size: int = max_size
        super().__init__(pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connections' manager."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Create the connections' manager of a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not str(proxy).lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send one request."""
        try:
            remaining = _remaining()
        except TimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from None
        if remaining is not None:
            # Connecting and sending obey this timeout, and the reader obeys the deadline.
            timeout = _clip(timeout, remaining)
        response = super().send(request, stream, timeout, verify, cert, proxies)
        if not stream:
            response.raw = _LimitedBody(response.raw, self.max_size)
        return response


class ConnectionPool:
    """The open connections to one provider. A process that was forked opens new ones.

    Args:
        max_size: The limit of a response in bytes.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._made: tuple[int, PooledAdapter] | None = None

    def adapter(self) -> PooledAdapter:
        """Return the adapter of this process."""
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._made = os.getpid(), PooledAdapter(self._max_size)
        return made[1]


class _LimitedBody:
    """The body of a response. Reading more than the limit raises an error."""

    def __init__(self, body: Any, limit: int) -> None:
        self._body = body
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        size = 0
        for chunk in self._body.stream(*args, **kwargs):
            size += len(chunk)
            if size > self._limit:
                self._body.close()
                message = f"the provider's response is larger than {self._limit} bytes"
                raise ResponseTooLargeError(message)
            yield chunk


class _TimedReader(RawIOBase):
    """Reads from a socket until the deadline. A socket's own timeout is for each read alone."""

    def __init__(self, file: Any, sock: Any) -> None:
        self._file = file
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = _remaining()
        if remaining is not None:
            self._sock.settimeout(remaining)
        count: int | None = self._file.raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp: Any = BufferedReader(_TimedReader(self.fp, sock))


class _Connection(HTTPConnection):
    response_class: type[HTTPResponse] = _Response


class _TlsConnection(HTTPSConnection):
    response_class: type[HTTPResponse] = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final[dict[str, type[Any]]] = {"http": _Pool, "https": _TlsPool}


@contextmanager
def _deadline(timeout: Any) -> Generator[None]:
    """Limit the time of a block, unless a limit is active already."""
    seconds = _seconds(timeout)
    if seconds is None or _DEADLINE.get() is not None:
        yield
        return
    try:
        set_variable(_DEADLINE, time.monotonic() + seconds)
        yield
    finally:
        set_variable(_DEADLINE, None)


def _remaining() -> float | None:
    """Return the seconds until the deadline, or ``None`` without one."""
    deadline = _DEADLINE.get()
    if deadline is None:
        return None
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        # urllib3 and requests turn it into their own errors.
        raise TimeoutError("the time for this call to the provider is over")
    return remaining


def _seconds(timeout: Any) -> float | None:
    """Return the seconds of a timeout of requests, which may be a pair for connecting and reading.

    A urllib3 ``Timeout`` and a pair with ``None`` set no limit for the whole call.
    """
    parts = timeout if isinstance(timeout, tuple) else (timeout,)
    if not all(isinstance(part, int | float) for part in parts):
        return None
    return float(sum(parts))


def _clip(timeout: Any, remaining: float) -> Any:
    if isinstance(timeout, tuple):
        return tuple(min(part, remaining) for part in timeout)
    return min(timeout, remaining)


def reject_redirect(response: Any) -> None:
    """Reject a redirect of an endpoint that gets secrets.

    Args:
        response: A response of requests or of httpx2.

    Raises:
        LoginError: The response is a redirect.
    """
    if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
        # The host alone, because the rest of the URL may contain a secret.
        host = urlsplit(response.headers.get("Location", "")).hostname or "another path"
        asked = urlsplit(str(response.url)).hostname
        text = (
            f"{asked} answered with a redirect to {host}, and aldis does not send secrets there: "
            "set the final URL of this endpoint"
        )
        raise LoginError("provider_redirected", text)
