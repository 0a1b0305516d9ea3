"""Refreshes each expired token once, and recognises the rejection of a refresh token."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

from aldis.core.process import ForkSafeLock
from aldis.errors import LoginError
from aldis.oauth._drive import Lock, MakeLock, drive, locked, resolved

__all__ = ["RejectedError", "TokenRefresher", "is_rejection"]

Token = dict[str, Any]

#: The seconds for which a refreshed token is given to requests that still have the old one. A
#: browser sends its cookies when a request starts, so running requests go on with old cookies.
KEEP_SECONDS: Final = 300.0

#: Errors of the app's settings. The user's login may still be valid.
CLIENT_ERRORS: Final = frozenset(
    {
        "invalid_client",
        "incorrect_client_credentials",
        "bad_client_secret",
        "invalid_client_id",
        "invalid_client_secret",
    }
)

#: Errors that a later attempt may not meet.
TEMPORARY_ERRORS: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "internal_server_error",
        "rate_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "server_error",
        "service_unavailable",
        "slow_down",
        "temporarily_unavailable",
        "too_many_requests",
    }
)

#: Statuses of the range 4xx that a later attempt may not meet, or that a proxy sends.
TEMPORARY_STATUSES: Final = frozenset(
    {
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


class RejectedError(LoginError):
    """The provider rejected a refresh token for good."""


class TokenRefresher:
    """Refreshes each token once, even if many requests find it expired at the same time.

    The requests share one call to the provider, and its error too. A provider that rotates refresh
    tokens treats a second use of one as theft and ends the login.

    The tokens are found by the refresh token that they replace. Only its owner has that refresh
    token, so no user can get the token of another one.

    Args:
        make_lock: Makes the lock of a token. The default is for threads.
    """

    def __init__(self, make_lock: MakeLock = ForkSafeLock) -> None:
        self._make_lock = make_lock
        self._refreshes: dict[bytes, _Refresh] = {}
        self._changing = ForkSafeLock()

    def refresh(
        self,
        token: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], Any],
        expired: Callable[[Mapping[str, Any]], bool],
    ) -> Token:
        """Refresh a token, and block the thread; see :meth:`run`."""
        return drive(self.run(token, fetch, expired))

    async def run(
        self,
        token: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], Any],
        expired: Callable[[Mapping[str, Any]], bool],
    ) -> Token:
        """Return the token that replaces ``token``: one that was fetched just now, or a new one.

        Args:
            token: The expired token; it has a ``refresh_token``.
            fetch: Calls the provider, and returns the token or an awaitable. Requests with this
                refresh token wait for it, and get its exception.
            expired: Returns whether a token has expired.
        """
        with self._entry(_digest(token)) as entry:
            failures = entry.failures

            async def replace() -> Token:
                if entry.error is not None and entry.failures > failures:
                    # The call for which this request waited failed just now.
                    raise entry.error
                try:
                    known = await self._replacement(entry.token, token, fetch, expired)
                except Exception as error:
                    entry.error = error
                    entry.failures += 1
                    raise
                entry.error, entry.token = None, known
                entry.until = time.monotonic() + KEEP_SECONDS
                return dict(known)

            return await locked(entry.changing, replace)

    async def _replacement(
        self,
        known: Mapping[str, Any] | None,
        token: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], Any],
        expired: Callable[[Mapping[str, Any]], bool],
    ) -> Mapping[str, Any]:
        if known is not None and _rotated(known, token):
            # If it has expired, its refresh token is the valid one now, and has its own lock.
            return await self.run(known, fetch, expired) if expired(known) else known
        if known is not None and not _same(known, token) and not expired(known):
            return known
        # A provider that does not rotate accepts one refresh token many times.
        found: Mapping[str, Any] = await resolved(fetch(token))
        if _rotated(found, token):
            with self._changing.lock:
                newest = self._refreshes.get(_digest(found))
                if newest is not None:
                    # A refresh token that was issued just now has not been replaced yet.
                    newest.token = None
        return found

    @contextmanager
    def _entry(self, key: bytes) -> Generator[_Refresh]:
        entry: _Refresh | None = None
        try:
            with self._changing.lock:
                self._forget_old()
                entry = self._refreshes.setdefault(key, _Refresh(self._make_lock()))
                entry.users += 1
            yield entry
        finally:
            if entry is not None:
                with self._changing.lock:
                    entry.users -= 1

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key, entry in list(self._refreshes.items()):
            if not entry.users and entry.until <= now:
                del self._refreshes[key]


@dataclass(eq=False)
class _Refresh:
    changing: Lock
    users: int = 0
    token: Mapping[str, Any] | None = field(default=None, repr=False)
    until: float = 0.0
    failures: int = 0
    error: Exception | None = None


def is_rejection(response: Any) -> bool:
    """Return whether ``response`` says that a refresh token is dead, in any provider's spelling.

    Args:
        response: The response of a token endpoint that contains no usable token, of requests or
            of httpx2. ``None`` if the provider did not respond.
    """
    if response is None:
        return False
    codes = _error_codes(response)
    if codes & (CLIENT_ERRORS | TEMPORARY_ERRORS):
        return False
    status = response.status_code
    if status == HTTPStatus.OK:
        return bool(codes)
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return refused and status not in TEMPORARY_STATUSES


def _error_codes(response: Any) -> set[str]:
    """Return the errors that the body of a response names."""
    try:
        body = response.json()
    except ValueError:
        body = dict(parse_qsl(response.text))
    if not isinstance(body, dict):
        return set()
    found = [body.get(name) for name in ("error", "errors", "error_code", "errcode")]
    codes = {text for each in found if each for text in _texts(each)}
    if not codes and (body.get("ok") is False or body.get("success") is False):
        codes.add("unnamed")
    return codes


def _texts(error: Any) -> set[str]:
    """Return the texts in an error, which may be a text, an object or a list of them."""
    if isinstance(error, dict):
        return {text for value in error.values() if value for text in _texts(value)}
    if isinstance(error, list):
        return {text for value in error if value for text in _texts(value)}
    return {str(error).lower()}


def _digest(token: Mapping[str, Any]) -> bytes:
    return sha256(str(token["refresh_token"]).encode()).digest()


def _rotated(known: Mapping[str, Any], token: Mapping[str, Any]) -> bool:
    # Tokens without a refresh token must not share one call.
    return known.get("refresh_token") not in (None, "", token["refresh_token"])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.get("access_token") == other.get("access_token")
