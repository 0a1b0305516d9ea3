"""Where tokens are kept: the protocol, the user's session, and memory for tests.

:mod:`aldis.oauth.sqla` keeps them in a database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final, Protocol

from flask import current_app, session
from flask.sessions import SecureCookieSessionInterface

from aldis.errors import TokenStorageError

__all__ = ["MemoryStorage", "SessionStorage", "TokenStorage"]

Token = dict[str, Any]

#: The bytes of a cookie that every browser keeps, with its name and attributes.
LIMIT: Final = 4093

#: Bytes of it that are left free, for its attributes and for a message or two.
RESERVE: Final = 256


class TokenStorage(Protocol):
    """Keeps one token for each blueprint and user: the user that the request is from.

    :mod:`aldis.testing.oauth_storage` checks an implementation.
    """

    def get(self, blueprint: Any) -> Mapping[str, Any] | None:
        """Return the current user's token, or ``None``."""
        ...

    def set(self, blueprint: Any, token: Token) -> None:
        """Keep ``token`` for the current user, in place of his last one.

        Raises:
            ValueError: It cannot be kept. The last one stays.
        """
        ...

    def delete(self, blueprint: Any) -> None:
        """Forget the current user's token, if there is one."""
        ...


class SessionStorage:
    """Keeps tokens in the session: by default, in a cookie of some 4,000 bytes.

    Args:
        key: The session's key; ``{bp.name}`` stands for the blueprint's name. The default is
            Flask-Dance's, so that its users stay logged in.
    """

    def __init__(self, key: str = "{bp.name}_oauth_token") -> None:
        self.key = key

    def get(self, blueprint: Any) -> Token | None:
        """Return the token in the session, or ``None``."""
        found: Token | None = session.get(self._key(blueprint))
        return found

    def set(self, blueprint: Any, token: Token) -> None:
        """Put ``token`` into the session.

        Raises:
            TokenStorageError: Browsers would drop a cookie of that size, without a word.
        """
        key = self._key(blueprint)
        size = cookie_size({**session, key: token}) + RESERVE
        if size > LIMIT:
            message = (
                f"the token from {blueprint.name!r} does not fit into the session: its cookie "
                f"would take {size} bytes and browsers keep {LIMIT}. Use "
                "aldis.oauth.sqla.SQLAlchemyStorage, or sessions that are kept on the server"
            )
            raise TokenStorageError(message)
        session[key] = token

    def delete(self, blueprint: Any) -> None:
        """Take the token out of the session."""
        session.pop(self._key(blueprint), None)

    def _key(self, blueprint: Any) -> str:
        return self.key.format(bp=blueprint)


class MemoryStorage:
    """Keeps tokens in this process, for tests.

    Args:
        token: What every user has to begin with.
        user: Tells who the current user is. By default, there is only one.
    """

    def __init__(self, token: Token | None = None, user: Callable[[], Any] | None = None) -> None:
        self._first = token
        self._user = user or (lambda: None)
        self._tokens: dict[tuple[str, Any], Token | None] = {}

    def get(self, blueprint: Any) -> Token | None:
        """Return a copy of the user's token, or ``None``."""
        return deepcopy(self._tokens.get((blueprint.name, self._user()), self._first))

    def set(self, blueprint: Any, token: Token) -> None:
        """Keep a copy of ``token``."""
        self._tokens[blueprint.name, self._user()] = deepcopy(token)

    def delete(self, blueprint: Any) -> None:
        """Forget the user's token, the first one too."""
        self._tokens[blueprint.name, self._user()] = None


def cookie_size(content: dict[str, Any]) -> int:
    """Return the bytes of a session's cookie with ``content`` in it, without its attributes.

    Args:
        content: All that the session would hold.
    """
    interface = current_app.session_interface
    if not isinstance(interface, SecureCookieSessionInterface):
        return 0
    serializer = interface.get_signing_serializer(current_app._get_current_object())  # type: ignore[attr-defined]
    value = serializer.dumps(content) if serializer else ""
    return len(interface.get_cookie_name(current_app)) + len(value)
