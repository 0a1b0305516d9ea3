"""OAuth 2 and OpenID Connect with Authlib's async client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from authlib.integrations.base_client import BaseApp  # type: ignore[import-untyped]
from authlib.integrations.base_client.async_app import AsyncOAuth2Mixin  # type: ignore[import-untyped]
from authlib.integrations.base_client.async_openid import AsyncOpenIDMixin  # type: ignore[import-untyped]

from aldis._optional import needs
from aldis.oauth._async_http import ENCODINGS, GuardedClient, LimitedTransport
from aldis.oauth._drive import MakeLock
from aldis.oauth._http import MAX_RESPONSE_SIZE
from aldis.oauth._oauth2 import OAuth2Provider, ProviderApp, TokenResponses, encode_basic
from aldis.oauth._protocol import Settings

with needs("aldis.oauth.quart", "oauth-quart", httpx2="httpx2"):
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

__all__ = ["AsyncOAuth2Provider"]

#: The options of a client that belong to its transport.
_OF_TRANSPORT = ("verify", "proxy", "trust_env", "transport")


class AsyncOAuth2Provider(OAuth2Provider):
    """Implements OAuth 2 and OpenID Connect with httpx2, for one event loop.

    Args:
        settings: The settings of the provider.
    """

    transport_errors: tuple[type[Exception], ...] = (httpx2.HTTPError,)
    _make_lock: MakeLock = staticmethod(asyncio.Lock)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        options = self._app.client_kwargs
        # Reading the certificates takes a while, so all clients share them.
        options["verify"] = httpx2.create_ssl_context(
            verify=options.get("verify", True), cert=options.pop("cert", None)
        )

    @property
    def _app_class(self) -> type[Any]:
        return _App

    def _make_pool(self) -> Any:
        return _Pool(self._app.client_kwargs)

    async def close(self) -> None:
        """Close the open connections."""
        await self._pool.close()


class _Pool:
    """The open connections to one provider."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._made: LimitedTransport | None = None

    def adapter(self) -> LimitedTransport:
        if self._made is None:
            size = self._options["max_response_size"]
            known = {name: self._options[name] for name in _OF_TRANSPORT if name in self._options}
            self._made = LimitedTransport(size, shared=True, **known)
        return self._made

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.close_shared()


class _Session(TokenResponses, GuardedClient, AsyncOAuth2Client):  # type: ignore[misc]
    """Authlib's client with limits for its calls."""

    def __init__(
        self,
        *args: Any,
        max_response_size: int = MAX_RESPONSE_SIZE,
        default_timeout: float = 10.0,
        default_headers: Mapping[str, str] | None = None,
        adapter: LimitedTransport | None = None,
        **kwargs: Any,
    ) -> None:
        known = {name: kwargs.pop(name) for name in _OF_TRANSPORT if name in kwargs}
        transport = adapter or LimitedTransport(max_response_size, **known)
        super().__init__(*args, transport=transport, **kwargs)
        self.default_timeout = default_timeout
        self.headers.update(default_headers or {})
        self.headers["Accept-Encoding"] = ENCODINGS
        self.register_client_auth_method(("client_secret_basic", encode_basic))


class _App(ProviderApp, AsyncOAuth2Mixin, AsyncOpenIDMixin, BaseApp):  # type: ignore[misc]
    """Authlib's async client of one provider, without its connection to a web framework."""

    client_cls = _Session
