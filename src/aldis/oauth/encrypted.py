"""Encrypts tokens at rest, in any storage."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from inspect import iscoroutinefunction
from typing import Any, Final

from aldis._optional import needs
from aldis.errors import TokenStorageError
from aldis.oauth._storage import LockingTokenStorage, TokenStorage

with needs("aldis.oauth.encrypted", "oauth", cryptography="cryptography"):
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

__all__ = ["AsyncEncryptedStorage", "EncryptedStorage"]

Token = dict[str, Any]

#: The only key of the token that the inner storage gets.
KEY: Final = "encrypted"


class EncryptedStorage:
    """Encrypts the tokens of another storage with Fernet.

    To rotate the keys, put a new key in front of the others. New tokens are encrypted with it, and
    old tokens can still be read. A token gets the new key when it is stored next, at a refresh or a
    login. Remove an old key when its tokens have expired. A token that is not encrypted yet can be
    read, too.

    Args:
        storage: The storage of the encrypted tokens, such as
            :class:`~aldis.oauth.sqla.SQLAlchemyStorage`.
        keys: One key or several keys of ``Fernet.generate_key()``, the newest first. Keep them out
            of the database.

    Raises:
        TypeError: The storage is async.
        ValueError: A key is missing, or is not a key of Fernet.
    """

    def __init__(self, storage: TokenStorage, keys: str | bytes | Sequence[str | bytes]) -> None:
        if iscoroutinefunction(storage.get):
            name = type(storage).__name__
            message = f"the storage {name} is async: encrypt its tokens with AsyncEncryptedStorage"
            raise TypeError(message)
        self.storage: TokenStorage = storage
        self._cipher: _Cipher = _Cipher(keys)
        if callable(getattr(storage, "refresh_lock", None)):
            # Only a storage with a lock has this attribute.
            self.refresh_lock: Any = self._refresh_lock

    def get(self, blueprint: Any) -> Token | None:
        """Return the current user's token, or ``None``.

        Raises:
            TokenStorageError: No key fits.
        """
        return self._cipher.decrypted(blueprint, self.storage.get(blueprint))

    def set(self, blueprint: Any, token: Token) -> None:
        """Encrypt ``token`` with the newest key, and store it."""
        self.storage.set(blueprint, self._cipher.encrypted(token))

    def delete(self, blueprint: Any) -> None:
        """Delete the current user's token, if there is one."""
        self.storage.delete(blueprint)

    @contextmanager
    def _refresh_lock(self, blueprint: Any) -> Generator[Token | None]:
        storage: LockingTokenStorage = self.storage  # type: ignore[assignment]
        with storage.refresh_lock(blueprint) as found:
            yield self._cipher.decrypted(blueprint, found)


class AsyncEncryptedStorage:
    """Encrypts the tokens of an async storage with Fernet, as :class:`EncryptedStorage` does.

    Args:
        storage: The storage of the encrypted tokens, such as
            :class:`~aldis.oauth.sqla.AsyncSQLAlchemyStorage`.
        keys: One key or several keys of ``Fernet.generate_key()``, the newest first. Keep them out
            of the database.

    Raises:
        TypeError: The storage is not async.
        ValueError: A key is missing, or is not a key of Fernet.
    """

    def __init__(self, storage: Any, keys: str | bytes | Sequence[str | bytes]) -> None:
        if not iscoroutinefunction(storage.get):
            name = type(storage).__name__
            message = f"the storage {name} is not async: encrypt its tokens with EncryptedStorage"
            raise TypeError(message)
        self.storage: Any = storage
        self._cipher: _Cipher = _Cipher(keys)
        if callable(getattr(storage, "refresh_lock", None)):
            # Only a storage with a lock has this attribute.
            self.refresh_lock: Any = self._refresh_lock

    async def get(self, blueprint: Any) -> Token | None:
        """Return the current user's token, or ``None``.

        Raises:
            TokenStorageError: No key fits.
        """
        return self._cipher.decrypted(blueprint, await self.storage.get(blueprint))

    async def set(self, blueprint: Any, token: Token) -> None:
        """Encrypt ``token`` with the newest key, and store it."""
        await self.storage.set(blueprint, self._cipher.encrypted(token))

    async def delete(self, blueprint: Any) -> None:
        """Delete the current user's token, if there is one."""
        await self.storage.delete(blueprint)

    @asynccontextmanager
    async def _refresh_lock(self, blueprint: Any) -> AsyncGenerator[Token | None]:
        async with self.storage.refresh_lock(blueprint) as found:
            yield self._cipher.decrypted(blueprint, found)


class _Cipher:
    """Encrypts and decrypts tokens with several keys."""

    def __init__(self, keys: str | bytes | Sequence[str | bytes]) -> None:
        listed = [keys] if isinstance(keys, str | bytes) else list(keys)
        if not listed:
            message = "EncryptedStorage needs at least one key: make one with Fernet.generate_key()"
            raise ValueError(message)
        self._fernet = MultiFernet([Fernet(key) for key in listed])

    def encrypted(self, token: Mapping[str, Any]) -> Token:
        return {KEY: self._fernet.encrypt(json.dumps(token).encode()).decode()}

    def decrypted(self, blueprint: Any, found: Mapping[str, Any] | None) -> Token | None:
        if found is None or KEY not in found:
            return None if found is None else dict(found)
        try:
            text = self._fernet.decrypt(str(found[KEY]))
        except InvalidToken:
            message = (
                f"the stored token from {blueprint.name!r} was encrypted with another key: give "
                "its key to EncryptedStorage, or let the user log in again"
            )
            raise TokenStorageError(message) from None
        return dict(json.loads(text))
