"""How a login was begun, for whoever links it to a user at its end."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from typing import Final

from flask import current_app, request

from aldis.oauth.next_url import safe_next
from aldis.oauth.pending import PendingLogin
from aldis.oauth.settings import Started

__all__ = ["begun_elsewhere", "begun_now", "ending", "user_has_changed", "who_is_here"]

#: A session's cookie is small. Nobody gains by finding another user with the same digest: he could
#: only link his own account to himself.
DIGITS: Final = 16

_CHANGED: Final[ContextVar[bool]] = ContextVar("aldis_oauth_user_changed", default=False)
_ELSEWHERE: Final[ContextVar[bool]] = ContextVar("aldis_oauth_begun_elsewhere", default=False)


def begun_now(started: Started, *, again: bool) -> PendingLogin:
    """Return what the login that this request begins has to remember.

    Args:
        started: What the provider is sent.
        again: As of :class:`PendingLogin`.
    """
    return PendingLogin(
        started.secret,
        started.nonce,
        safe_next(request.args.get("next")),
        again,
        who_is_here(),
        # A browser says so also of a redirect of ours, when another site has led to that one.
        request.headers.get("Sec-Fetch-Site") == "cross-site",
    )


@contextmanager
def ending(login: PendingLogin) -> Generator[None]:
    """Let receivers of ``oauth_authorized`` ask how ``login`` was begun."""
    # Looked at before them: one of them may log somebody in, and the next one link him.
    changed = _CHANGED.set(login.user != who_is_here())
    elsewhere = _ELSEWHERE.set(login.from_elsewhere)
    try:
        yield
    finally:
        _CHANGED.reset(changed)
        _ELSEWHERE.reset(elsewhere)


def user_has_changed() -> bool:
    """Tell whether the login was begun as another user than came back from the provider."""
    return _CHANGED.get()


def begun_elsewhere() -> bool:
    """Tell whether another site has sent the browser to begin the login."""
    return _ELSEWHERE.get()


def who_is_here() -> str | None:
    """Return a digest of Flask-Login's user; ``None`` where nobody is logged in, or without it."""
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        return None
    try:
        from flask_login import current_user  # type: ignore[import-untyped]  # noqa: PLC0415 - it is optional
    except ModuleNotFoundError:
        # The app has another thing of that name.
        return None
    if not current_user.is_authenticated:
        return None
    # As Flask-Login itself finds what it keeps in the session.
    number = getattr(current_user, manager.id_attribute)()
    return sha256(str(number).encode()).hexdigest()[:DIGITS]
