"""The state of a login: pending in a cookie, and finishing while receivers run."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from aldis._compat import set_variable
from aldis.oauth._drive import resolved
from aldis.oauth._login_cookies import LoginCookies
from aldis.oauth._protocol import AuthorizationRequest
from aldis.oauth._responses import safe_next
from aldis.oauth._web import Web

_log = logging.getLogger("aldis.oauth")

__all__ = [
    "FAILED",
    "UNUSABLE",
    "PendingLogin",
    "collect_rollbacks",
    "failed_recently",
    "finishing",
    "forget_failure",
    "new_login",
    "note_same_account",
    "on_login_failure",
    "pop_login",
    "record_failure",
    "rollback",
    "same_account",
    "save_login",
    "started_by_other_site",
    "user_changed",
]

#: The session's key of older versions for pending logins.
OLD_KEY: Final = "_aldis_oauth_logins"

#: The session's keys for the last failure: logins that failed, and those without a usable token.
FAILED: Final = "_aldis_oauth_failed"
UNUSABLE: Final = "_aldis_oauth_in_vain"

#: If a login begins within so many seconds after a failed one, a redirect began it.
REDIRECT_SECONDS: Final = 10.0

#: The length of a user's digest. It is short because the cookie must be small. A collision is
#: harmless: it only lets a user link their own account to themselves.
DIGITS: Final = 16


# -- pending logins ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """The data of one login until the user comes back from the provider.

    Attributes:
        secret: The PKCE verifier, or the secret of an OAuth 1 request token.
        nonce: The value that the id_token must contain.
        max_age: The seconds since the user's last proof of who they are.
        next_url: The page that the user wants to see afterwards.
        again: Whether a redirect after a failed login began this one.
        user: A digest of the user who was logged in at the start.
        other_site: Whether another site sent the browser to begin the login.
    """

    secret: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    next_url: str | None = None
    again: bool = False
    user: str | None = None
    other_site: bool = False
    max_age: float | None = None


def new_login(
    web: Web,
    started: AuthorizationRequest,
    next_url: str | None,
    *,
    user: object,
    again: bool,
) -> PendingLogin:
    """Return the data of the login that this request begins.

    Args:
        web: The framework.
        started: The request to the provider.
        next_url: The page that the user wants to see afterwards.
        user: The id of the current user, or ``None``.
        again: Whether a redirect after a failed login began this one.
    """
    return PendingLogin(
        started.secret,
        started.nonce,
        safe_next(next_url),
        again,
        _user_digest(user),
        # The browser also sends this header after our own redirect if another site led to it.
        web.request.headers.get("Sec-Fetch-Site") == "cross-site",
        started.max_age,
    )


def save_login(cookies: LoginCookies, state: str, login: PendingLogin) -> None:
    """Keep ``login`` in the cookie of ``state``.

    Args:
        cookies: The cookies of the blueprint.
        state: The value that the provider sends back.
        login: The data to keep.
    """
    content = {
        "s": login.secret,
        "n": login.nonce,
        "u": login.next_url,
        "a": login.again,
        "w": login.user,
        "x": login.other_site,
        "m": login.max_age,
    }
    # A `max_age` of zero is kept.
    kept = {
        key: value for key, value in content.items() if value is not None and value is not False
    }
    cookies.save(state, kept)


def pop_login(cookies: LoginCookies, state: str | None) -> PendingLogin | None:
    """Return the login with ``state`` and remove it, so that a state works only once.

    Args:
        cookies: The cookies of the blueprint.
        state: The value that the provider sent back.
    """
    cookies.web.session.pop(OLD_KEY, None)
    entry = None if state is None else cookies.pop(state)
    if entry is None:
        return None
    return PendingLogin(
        entry.get("s"),
        entry.get("n"),
        safe_next(entry.get("u")),
        entry.get("a", False),
        entry.get("w"),
        entry.get("x", False),
        entry.get("m"),
    )


def record_failure(web: Web, name: str, *, kind: str = FAILED) -> None:
    """Save the time at which a login with ``name`` failed."""
    web.session[kind] = {**web.session.get(kind, {}), name: round(time.time(), 3)}


def failed_recently(web: Web, name: str, *, kind: str = FAILED) -> bool:
    """Return whether a login with ``name`` failed within the last seconds."""
    failed = web.session.get(kind, {}).get(name, 0.0)
    # The saved time is rounded, so it may be in the future by a part of a millisecond.
    return bool(abs(time.time() - failed) < REDIRECT_SECONDS)


def forget_failure(web: Web, name: str, *, kind: str = FAILED) -> None:
    """Remove the saved failure of ``name``."""
    failed = dict(web.session.get(kind, {}))
    if failed.pop(name, None) is not None:
        web.session[kind] = failed


# -- the login that is finishing ---------------------------------------------------------------

_USER_CHANGED: Final[ContextVar[bool]] = ContextVar("aldis_oauth_user_changed", default=False)
_OTHER_SITE: Final[ContextVar[bool]] = ContextVar("aldis_oauth_other_site", default=False)
_SAME_ACCOUNT: Final[ContextVar[bool]] = ContextVar("aldis_oauth_same_account", default=False)


@contextmanager
def finishing(login: PendingLogin, user: object) -> Generator[None]:
    """Let receivers of ``oauth_authorized`` ask how ``login`` began.

    Args:
        login: The login.
        user: The id of the current user, or ``None``.
    """
    # The users are compared before the receivers run: one receiver may log a user in, and the next
    # one may link that user.
    changed, other_site = _USER_CHANGED.get(), _OTHER_SITE.get()
    try:
        set_variable(_USER_CHANGED, login.user != _user_digest(user))
        set_variable(_OTHER_SITE, login.other_site)
        yield
    finally:
        set_variable(_USER_CHANGED, changed)
        set_variable(_OTHER_SITE, other_site)


def user_changed() -> bool:
    """Return whether another user, or none, was logged in when the login began."""
    return _USER_CHANGED.get()


def started_by_other_site() -> bool:
    """Return whether another site sent the browser to begin the login."""
    return _OTHER_SITE.get()


def note_same_account() -> None:
    """Note that the stored token, if there is one, is for the account of this login."""
    set_variable(_SAME_ACCOUNT, value=True)


def same_account() -> bool:
    """Return whether a receiver found that the stored token is for the account of this login."""
    return _SAME_ACCOUNT.get()


def _user_digest(user: object) -> str | None:
    """Return a digest of a user's id, or ``None`` without a user."""
    return None if user is None else sha256(str(user).encode()).hexdigest()[:DIGITS]


# -- rolling back ------------------------------------------------------------------------------

_ROLLBACKS: Final[ContextVar[list[Callable[[], object]] | None]] = ContextVar(
    "aldis_oauth_rollbacks", default=None
)


@asynccontextmanager
async def collect_rollbacks() -> AsyncGenerator[None]:
    """Collect the functions given to :func:`on_login_failure` while one response is handled."""
    outer, same = _ROLLBACKS.get(), _SAME_ACCOUNT.get()
    try:
        set_variable(_ROLLBACKS, [])
        set_variable(_SAME_ACCOUNT, value=False)
        yield
    except BaseException:
        # A receiver raised another error, so the login ends with a 500.
        await rollback()
        raise
    finally:
        set_variable(_ROLLBACKS, outer)
        set_variable(_SAME_ACCOUNT, same)


def on_login_failure(function: Callable[[], object]) -> None:
    """Call ``function`` if the current login fails, before ``oauth_error`` is sent.

    Call it in a receiver of ``oauth_authorized`` that changes something, for example after
    ``login_user(user)`` with Flask-Login's ``logout_user``. A later receiver or the storage may
    still make the login fail. The functions are called in reverse order. If one raises an
    exception, it is logged, and the others are called. Outside of a login, nothing happens.

    Args:
        function: Undoes the work of the receiver. It is not called if the login succeeds. On Quart,
            it may be async.
    """
    functions = _ROLLBACKS.get()
    if functions is not None:
        functions.append(function)


async def rollback() -> None:
    """Call the collected functions, the last one first."""
    functions = _ROLLBACKS.get()
    while functions:
        function = functions.pop()
        try:
            await resolved(function())
        except Exception as error:  # noqa: BLE001 - the other functions must run too
            # Without the text of the error, which may contain a secret.
            kind = type(error).__name__
            _log.error("%r, called after a failed login, raised %s", function, kind)
