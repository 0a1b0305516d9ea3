"""Tests for token storages. Use them if you write a storage.

Derive a class from :class:`TokenStorageSuite` in a test module, and define a fixture that makes the
storage and a method that acts as a user. pytest runs the tests::

    class TestRedisStorage(TokenStorageSuite):
        @pytest.fixture
        def storage(self, redis):
            return RedisStorage(redis, user=current_user)

        def acting_as(self, user):
            return logged_in(user)
"""

# ruff: noqa: S101, SIM300 - these are tests, and they write the expected value first

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from types import SimpleNamespace
from typing import Any, Final

__all__ = ["ForgivingTokenStorageSuite", "TokenStorageSuite"]

FIRST: Final[dict[str, Any]] = {
    "access_token": "first",
    "refresh_token": "again",
    "token_type": "Bearer",
    "expires_at": 4_000_000_000,
    "scope": ["openid", "user:email"],
    "nested": {"kept": True, "none": None, "text": "\u017elut\u00fd"},
}
SECOND: Final[dict[str, Any]] = {"access_token": "second", "token_type": "Bearer", "scope": []}


def _blueprint(name: str = "provider") -> Any:
    # A storage may use these attributes of a blueprint. Flask-Dance's storages use `config`.
    return SimpleNamespace(name=name, config={})


class TokenStorageSuite(ABC):
    """The tests of every storage. Each one uses a fixture ``storage``: a new, empty storage."""

    @abstractmethod
    def acting_as(self, user: str | None) -> AbstractContextManager[Any]:
        """Return a context that handles a request of ``user``.

        Args:
            user: ``"ada"`` or ``"bob"``. Each name is always the same user, who keeps their stored
                tokens. ``None`` means that no user is logged in.
        """

    def test_there_is_no_token_at_first(self, storage: Any) -> None:
        """A new user has no token."""
        with self.acting_as("ada"):
            assert storage.get(_blueprint()) is None

    def test_a_token_comes_back_as_it_was(self, storage: Any) -> None:
        """The next request finds the stored token unchanged."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))

    def test_the_last_token_replaces_the_one_before(self, storage: Any) -> None:
        """A new token replaces all of the old one."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as("ada"):
            assert SECOND == dict(storage.get(_blueprint()))

    def test_the_same_token_can_be_stored_again(self, storage: Any) -> None:
        """Storing the same token twice is not an error."""
        for _ in range(2):
            with self.acting_as("ada"):
                storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))

    def test_a_deleted_token_is_gone(self, storage: Any) -> None:
        """After a deletion the storage has no token, and it accepts another."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            storage.delete(_blueprint())
        with self.acting_as("ada"):
            assert storage.get(_blueprint()) is None
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as("ada"):
            assert SECOND == dict(storage.get(_blueprint()))

    def test_users_are_kept_apart(self, storage: Any) -> None:
        """Each user gets and changes only their own token."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("bob"):
            assert storage.get(_blueprint()) is None
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))
        with self.acting_as("bob"):
            storage.delete(_blueprint())
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))

    def test_blueprints_are_kept_apart(self, storage: Any) -> None:
        """Each provider has its own token."""
        with self.acting_as("ada"):
            storage.set(_blueprint("one"), dict(FIRST))
            storage.set(_blueprint("two"), dict(SECOND))
        with self.acting_as("ada"):
            storage.delete(_blueprint("one"))
        with self.acting_as("ada"):
            assert storage.get(_blueprint("one")) is None
            assert SECOND == dict(storage.get(_blueprint("two")))

    def test_without_a_user_no_token_changes(self, storage: Any) -> None:
        """While no user is logged in, changes are rejected or do not affect any user's token."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("bob"):
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as(None):
            # A storage may raise ValueError.
            with suppress(ValueError):
                storage.set(_blueprint(), {"access_token": "unknown"})
            with suppress(ValueError):
                storage.delete(_blueprint())
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))
        with self.acting_as("bob"):
            assert SECOND == dict(storage.get(_blueprint()))


class ForgivingTokenStorageSuite(TokenStorageSuite):
    """More tests, which aldis's storages pass: a second logout is not an error."""

    def test_deleting_a_missing_token_is_not_an_error(self, storage: Any) -> None:
        """A deletion without a token, or without a user, does nothing."""
        for user in ("ada", None):
            with self.acting_as(user):
                storage.delete(_blueprint())
                storage.delete(_blueprint())
                assert storage.get(_blueprint()) is None
