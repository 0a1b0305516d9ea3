"""Tokens that prove that a form came from a page of the dashboard.

Each browser has a random cookie. A token is an HMAC with the cookie's value as its key, so another
site, which cannot read the cookie, cannot make a token. A token is valid for one user and one
action. The audit log accepts each token once.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from secrets import token_hex
from time import time
from typing import Final

__all__ = ["COOKIE", "Tokens"]

#: The name of the cookie.
COOKIE: Final = "aldis_dashboard"

#: How long a page can stay open before its buttons stop working, in seconds.
LIFETIME: Final = 12 * 3600


class Tokens:
    """Makes and checks the tokens of one browser and one user.

    Args:
        cookie: The value of the browser's cookie, or ``None`` if it has none yet.
        user: The user's name.

    Attributes:
        key: The value of the cookie.
        is_new: Whether the browser must be given the cookie.
    """

    def __init__(self, cookie: str | None, user: str) -> None:
        self.is_new: bool = cookie is None or re.fullmatch("[0-9a-f]{64}", cookie) is None
        self.key: str = token_hex(32) if self.is_new or cookie is None else cookie
        self._user = user

    def make(self, action: str) -> str:
        """Return a new token for an action, which is the path of its form."""
        head = f"{token_hex(12)}.{int(time()) + LIFETIME}"
        return f"{head}.{self._sign(head, action)}"

    def is_valid(self, token: str, action: str) -> bool:
        """Return whether this browser and user got the token for an action, not too long ago."""
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(head, action).encode()):
            return False
        return int(head.rpartition(".")[2]) > time()

    def _sign(self, head: str, action: str) -> str:
        text = f"{head}\0{self._user}\0{action}"
        return hmac.new(bytes.fromhex(self.key), text.encode(), sha256).hexdigest()


def fingerprint(token: str) -> str:
    """Return what the audit log stores of a token."""
    return sha256(token.encode()).hexdigest()
