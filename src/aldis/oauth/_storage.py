"""Storages for tokens: the protocol, the user's session, and memory for tests.

:mod:`aldis.oauth.sqla` stores tokens in a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any, Final, Protocol

from flask import current_app, session
from flask.sessions import SecureCookieSessionInterface

from aldis.errors import TokenStorageError

__all__ = ["LockingTokenStorage", "MemoryStorage", "SessionStorage", "TokenStorage"]

Token = dict[str, Any]

#: The bytes that every browser accepts for a cookie, with its name and attributes.
LIMIT: Final = 4093

#: The bytes of the cookie that stay free for its attributes and for a message or two.
RESERVE: Final = 256


class TokenStorage(Protocol):
    """Stores one token for each blueprint and user. The user is the one who sent the request.

    :mod:`aldis.testing.oauth_storage` tests an implementation.
    """

    def get(self, blueprint: Any) -> Mapping[str, Any] | None:
        """Return the current user's token, or ``None``."""
        ...

    def set(self, blueprint: Any, token: Token) -> None:
        """Store ``token`` for the current user, in place of their last one.

        Raises:
            ValueError: The storage cannot store it. The last token stays.
        """
        ...

    def delete(self, blueprint: Any) -> None:
        """Delete the current user's token, if there is one."""
        ...


class LockingTokenStorage(TokenStorage, Protocol):
    """A storage that several processes share. It lets one of them refresh a token at a time."""

    def refresh_lock(self, blueprint: Any) -> AbstractContextManager[Mapping[str, Any] | None]:
        """Return a context that locks the current user's token, and gives the newest one.

        ``set`` and ``delete`` may end the lock before the context ends.

        Raises:
            LoginError: The context could not get the lock in time.
        """
        ...


class SessionStorage:
    """Stores tokens in Flask's session. By default, a session is a cookie of about 4,000 bytes.

    Args:
        key: The key in the session; ``{bp.name}`` is replaced by the name of the blueprint. The
            default is the key of Flask-Dance, so that its users stay logged in.
    """

    def __init__(self, key: str = "{bp.name}_oauth_token") -> None:
        self.key = key

    @property
    def _session(self) -> Any:
        return session

    @property
    def _app(self) -> Any:
        return current_app

    @property
    def _interface(self) -> type[Any]:
        return SecureCookieSessionInterface

    def get(self, blueprint: Any) -> Token | None:
        """Return the token in the session, or ``None``."""
        found: Token | None = self._session.get(self._key(blueprint))
        return found

    def set(self, blueprint: Any, token: Token) -> None:
        """Put ``token`` into the session.

        Raises:
            TokenStorageError: The cookie would be so large that browsers drop it.
        """
        key = self._key(blueprint)
        size = self._cookie_size({**self._session, key: token}) + RESERVE
        if size > LIMIT:
            message = (
                f"the token from {blueprint.name!r} does not fit into the session: its cookie "
                f"would take {size} bytes and browsers keep {LIMIT}. Use "
                "aldis.oauth.sqla.SQLAlchemyStorage, or sessions that are kept on the server"
            )
            raise TokenStorageError(message)
        self._session[key] = token

    def delete(self, blueprint: Any) -> None:
        """Remove the token from the session."""
        self._session.pop(self._key(blueprint), None)

    def _key(self, blueprint: Any) -> str:
        return self.key.format(bp=blueprint)

    def _cookie_size(self, content: dict[str, Any]) -> int:
        """Return the size in bytes of a session cookie with ``content``, without its attributes.

        It is 0 if the app keeps its sessions in another place.
        """
        interface = self._app.session_interface
        if not isinstance(interface, self._interface):
            return 0
        serializer = interface.get_signing_serializer(self._app._get_current_object())
        value = serializer.dumps(content) if serializer else ""
        return len(interface.get_cookie_name(self._app)) + len(value)


class MemoryStorage:
    """Stores tokens in this process, for tests.

    Args:
        token: The token that every user has at the start.
        user: Returns the current user. By default, there is only one.
    """

    def __init__(self, token: Token | None = None, user: Callable[[], Any] | None = None) -> None:
        self._first: Token | None = token
        self._user: Callable[[], Any] = user or (lambda: None)
        self._tokens: dict[tuple[str, Any], Token | None] = {}

    def get(self, blueprint: Any) -> Token | None:
        """Return a copy of this user's token, or ``None``."""
        return deepcopy(self._tokens.get((blueprint.name, self._user()), self._first))

    def set(self, blueprint: Any, token: Token) -> None:
        """Store a copy of ``token``."""
        self._tokens[blueprint.name, self._user()] = deepcopy(token)

    def delete(self, blueprint: Any) -> None:
        """Delete the user's token, the first one too."""
        self._tokens[blueprint.name, self._user()] = None
