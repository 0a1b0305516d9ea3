"""Renewing a token once, however many requests find it expired at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any, Final

__all__ = ["Renewals"]

Token = Mapping[str, Any]

#: Seconds for which a renewed token is handed to requests that still hold the old one. A browser
#: sends its cookies when a request starts, so requests under way go on with what they came with.
KEPT: Final = 300.0


@dataclass(slots=True)
class _Renewal:
    lock: Lock = field(default_factory=Lock)
    users: int = 0
    token: Token | None = field(default=None, repr=False)
    until: float = 0.0


class Renewals:
    """The renewals of one blueprint in this process, by the refresh token that each used up.

    A provider that rotates refresh tokens takes a second use of one for theft and ends the login.
    Whoever holds a refresh token is its user, so no user ever gets another one's token here.
    """

    def __init__(self) -> None:
        self._renewals: dict[bytes, _Renewal] = {}
        self._lock = Lock()

    def renew(
        self, token: Token, refresh: Callable[[Token], Token], expired: Callable[[Token], bool]
    ) -> Token:
        """Return the token that replaces ``token``: from a renewal of just now, or ``refresh``.

        Args:
            token: What has expired; it has a ``refresh_token``.
            refresh: Asks the provider. Others that hold the same refresh token wait for it.
            expired: Tells whether a token that was renewed has expired since.
        """
        key = sha256(str(token["refresh_token"]).encode()).digest()
        with self._entered(key) as renewal, renewal.lock:
            known = renewal.token
            if known is not None and _rotated(known, token):
                if expired(known):
                    # Its refresh token is the one that is good now, and has a lock of its own.
                    known = self.renew(known, refresh, expired)
            elif known is None or _same(known, token) or expired(known):
                # A provider that does not rotate takes the same refresh token again and again.
                known = refresh(token)
            renewal.token = known
            renewal.until = time.monotonic() + KEPT
            return dict(known)

    @contextmanager
    def _entered(self, key: bytes) -> Generator[_Renewal]:
        with self._lock:
            self._forget_old()
            renewal = self._renewals.setdefault(key, _Renewal())
            renewal.users += 1
        try:
            yield renewal
        finally:
            with self._lock:
                renewal.users -= 1

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key, renewal in list(self._renewals.items()):
            if not renewal.users and renewal.until <= now:
                del self._renewals[key]


def _rotated(known: Token, token: Token) -> bool:
    # One without a refresh token of its own must not share a lock with all others of that kind.
    return known.get("refresh_token") not in (None, "", token["refresh_token"])


def _same(one: Token, other: Token) -> bool:
    return one.get("access_token") == other.get("access_token")
