"""The logins that are under way, each with secrets of its own, in the user's session.

All blueprints share one entry, so that the cookie stays small however many logins are abandoned.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from flask import session

from aldis.oauth.storages import LIMIT, cookie_size

__all__ = ["PendingLogin", "forget_failure", "note_failure", "recently_failed", "remember", "take"]

KEY: Final = "_aldis_oauth_logins"
FAILED: Final = "_aldis_oauth_failed"
#: Likewise for logins that did not fail, and left no token that could be used.
IN_VAIN: Final = "_aldis_oauth_in_vain"

#: How many logins may be under way, how large they may be together as JSON, in bytes, and how long
#: one may take, in seconds.
MAX_LOGINS: Final = 5
MAX_BYTES: Final = 1500
LIFETIME: Final = 3600.0

#: Bytes of the session's cookie that are left for its attributes.
ATTRIBUTES: Final = 100

#: A login that starts so soon after a failed one, in seconds, was started by a redirect.
STRAIGHT_BACK: Final = 10.0


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """What one login has to remember until the user is back.

    Attributes:
        secret: The PKCE verifier, or the secret of an OAuth 1 request token.
        nonce: What the id_token has to repeat.
        next_url: Where the user wants to go afterwards.
        again: Whether a redirect after a failed login has led straight into this one.
        user: Who was logged in when it began; see :func:`aldis.oauth.begun.who_is_here`.
        from_elsewhere: Whether another site has sent the browser to begin it.
    """

    secret: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    next_url: str | None = None
    again: bool = False
    user: str | None = None
    from_elsewhere: bool = False


def remember(name: str, state: str, login: PendingLogin) -> None:
    """Keep ``login`` in the session under ``state``, and drop what is old or too much.

    Args:
        name: The name of the blueprint.
        state: What the provider will repeat.
        login: What to keep.
    """
    logins = _current()
    # Later than all others, even by a clock that stands still: JSON does not keep their order.
    latest = max((entry["t"] for entry in logins.values()), default=0.0)
    logins[state] = {
        "p": name,
        "t": round(max(time.time(), latest + 0.001), 3),
        "s": login.secret,
        "n": login.nonce,
        "u": login.next_url,
        "a": login.again,
    }
    if login.user is not None:
        logins[state]["w"] = login.user
    if login.from_elsewhere:
        logins[state]["x"] = True
    while len(logins) > MAX_LOGINS or (len(logins) > 1 and _too_large(logins)):
        del logins[min(logins, key=lambda each: logins[each]["t"])]
    session[KEY] = logins


def take(name: str, state: str | None) -> PendingLogin | None:
    """Return the login of ``name`` under ``state`` and forget it: a state is good for one use."""
    logins = _current()
    if state is None or logins.get(state, {}).get("p") != name:
        return None
    entry = logins.pop(state)
    session[KEY] = logins
    return PendingLogin(
        entry["s"], entry["n"], entry["u"], entry["a"], entry.get("w"), entry.get("x", False)
    )


def note_failure(name: str, *, kind: str = FAILED) -> None:
    """Remember that a login with ``name`` has failed now, or was in vain."""
    session[kind] = {**session.get(kind, {}), name: round(time.time(), 3)}


def recently_failed(name: str, *, kind: str = FAILED) -> bool:
    """Tell whether a login with ``name`` has failed just now, or was in vain."""
    failed = session.get(kind, {}).get(name, 0.0)
    # Either way: the time was rounded, and may be ahead by the rest of a millisecond.
    return bool(abs(time.time() - failed) < STRAIGHT_BACK)


def forget_failure(name: str, *, kind: str = FAILED) -> None:
    """Forget that a login with ``name`` has failed, or was in vain."""
    failed = dict(session.get(kind, {}))
    if failed.pop(name, None) is not None:
        session[kind] = failed


def _too_large(logins: dict[str, dict[str, Any]]) -> bool:
    if len(json.dumps(logins)) > MAX_BYTES:
        return True
    # A browser drops a cookie that is too large, and keeps one without the login just begun.
    return cookie_size({**session, KEY: logins}) > LIMIT - ATTRIBUTES


def _current() -> dict[str, dict[str, Any]]:
    now = time.time()
    return {
        state: entry for state, entry in session.get(KEY, {}).items() if now - entry["t"] < LIFETIME
    }
