"""Limits for every call of httpx2 to a provider: its time, the size of the response, redirects."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from aldis._optional import needs
from aldis.oauth._http import reject_redirect

with needs("aldis.oauth.quart", "oauth-quart", httpx2="httpx2"):
    import httpx2

__all__ = ["GuardedClient", "LimitedTransport", "ResponseTooLargeError"]

#: The connections to one provider that stay open.
POOL_SIZE: Final = 32

#: The bytes that are decompressed at a time.
CHUNK: Final = 65_536

#: The key in a request's extensions that marks a response that the caller streams.
STREAMED: Final = "aldis_streamed"

#: The compressions that requests offer to the provider.
ENCODINGS: Final = "gzip, deflate"


class ResponseTooLargeError(httpx2.RequestError):
    """A provider's response is larger than ``max_response_size``."""


class LimitedTransport(httpx2.AsyncBaseTransport):
    """Limits the size of responses, after decompression.

    Args:
        max_size: The limit of a response in bytes.
        transport: The transport that sends the requests. The default is made from ``options``.
        shared: Whether several clients share it. A client then does not close it.
        **options: Options of ``httpx2.AsyncHTTPTransport``, such as ``verify`` and ``proxy``.
    """

    def __init__(
        self,
        max_size: int,
        transport: httpx2.AsyncBaseTransport | None = None,
        *,
        shared: bool = False,
        **options: Any,
    ) -> None:
        self._max_size = max_size
        self._shared = shared
        limits = httpx2.Limits(max_keepalive_connections=POOL_SIZE)
        self._inner: httpx2.AsyncBaseTransport = transport or httpx2.AsyncHTTPTransport(
            limits=limits, **options
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        response = await self._inner.handle_async_request(request)
        if request.extensions.get(STREAMED):
            return response
        headers = response.headers.copy()
        encoding = headers.pop("Content-Encoding", "").strip().lower()
        if encoding:
            headers.pop("Content-Length", None)
        body = _LimitedBody(response.stream, encoding, self._max_size)
        return httpx2.Response(
            response.status_code, headers=headers, stream=body, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close the connections, unless several clients share them."""
        if not self._shared:
            await self._inner.aclose()

    async def close_shared(self) -> None:
        """Close the connections that several clients share."""
        await self._inner.aclose()


class GuardedClient:
    """Adds limits to an async client of Authlib. Use it as a base before Authlib's class.

    A response that the caller streams has no limit of its size, and the time ends with its headers.

    Attributes:
        follows_redirects: Whether redirects are followed. Calls that contain a secret must not
            follow them, because the secret would reach another host.
        last_response: The last response.
    """

    follows_redirects: bool = False
    last_response: httpx2.Response | None = None
    default_timeout: float = 10.0

    async def request(self, method: Any, url: Any, **kwargs: Any) -> Any:
        """Send a request.

        Raises:
            LoginError: The provider redirected the call, and redirects are not followed.
            httpx2.ReadTimeout: The time for the whole call is over.
        """
        follow = kwargs.pop("follow_redirects", True) and self.follows_redirects
        timeout = kwargs.pop("timeout", httpx2.USE_CLIENT_DEFAULT)
        if timeout is httpx2.USE_CLIENT_DEFAULT:
            # `post` and the other methods of httpx2 pass this value, too.
            timeout = self.default_timeout
        send = super().request  # type: ignore[misc]
        try:
            async with asyncio.timeout(_seconds(timeout)):
                response = await send(
                    method, url, timeout=timeout, follow_redirects=follow, **kwargs
                )
        except TimeoutError:
            raise httpx2.ReadTimeout("the time for this call to the provider is over") from None
        self.last_response = response
        if not self.follows_redirects:
            reject_redirect(response)
        return response

    async def send(self, request: httpx2.Request, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a prepared request."""
        if stream:
            request.extensions = {**request.extensions, STREAMED: True}
        return await super().send(request, stream=stream, **kwargs)  # type: ignore[misc]

    def was_dropped(self, error: Exception) -> bool:
        """Return whether the other end may have closed an open connection before it responded."""
        return isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError)


class _LimitedBody(httpx2.AsyncByteStream):
    """The body of a response. Reading more than the limit raises an error."""

    def __init__(self, body: Any, encoding: str, limit: int) -> None:
        self._body = body
        self._limit = limit
        self._decode = _decoder(encoding)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._body:
            for part in self._decode(chunk):
                size += len(part)
                if size > self._limit:
                    message = f"the provider's response is larger than {self._limit} bytes"
                    raise ResponseTooLargeError(message)
                yield part

    async def aclose(self) -> None:
        await self._body.aclose()


def _decoder(encoding: str) -> Any:
    """Return a function that decompresses a chunk in small parts."""
    if encoding in ("", "identity"):
        return lambda chunk: [chunk]
    if encoding not in ("gzip", "x-gzip", "deflate"):
        message = f"the provider's response has a compression that was not offered: {encoding[:40]}"
        raise httpx2.DecodingError(message)
    engine: Any = None

    def decode(chunk: bytes) -> Iterator[bytes]:
        nonlocal engine
        if engine is None and chunk:
            # "deflate" comes with and without the header of zlib, whose first byte has an 8.
            raw = encoding == "deflate" and chunk[0] & 0x0F != zlib.DEFLATED
            engine = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
        full = False
        while (chunk or full) and not engine.eof:
            try:
                part = engine.decompress(chunk, CHUNK)
            except zlib.error as error:
                raise httpx2.DecodingError(str(error)) from error
            chunk, full = engine.unconsumed_tail, len(part) == CHUNK
            yield part

    return decode


def _seconds(timeout: Any) -> float | None:
    """Return the limit of the whole call. An ``httpx2.Timeout`` sets none."""
    return float(timeout) if isinstance(timeout, int | float) else None
