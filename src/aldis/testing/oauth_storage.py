"""What every token storage has to do, as tests: for those who write one.

Derive a class from :class:`TokenStorageSuite` in a test module and say how to make the storage and
how to act as a user; pytest runs the rest::

    class TestRedisStorage(TokenStorageSuite):
        @pytest.fixture
        def storage(self, redis):
            return RedisStorage(redis, user=current_user)

        def acting_as(self, user):
            return logged_in(user)
"""

# ruff: noqa: S101, SIM300 - it is made of tests, which put what they expect first

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
    # What storages may use of a blueprint; Flask-Dance's also look into `config`.
    return SimpleNamespace(name=name, config={})


class TokenStorageSuite(ABC):
    """The tests. Each takes a fixture ``storage``: a new, empty storage."""

    @abstractmethod
    def acting_as(self, user: str | None) -> AbstractContextManager[Any]:
        """Return a context in which a request of ``user`` is under way.

        Args:
            user: ``"ada"`` or ``"bob"``: each time the same one with what he stored before; or
                ``None``, when nobody is logged in.
        """

    def test_there_is_no_token_at_first(self, storage: Any) -> None:
        """A user who has stored nothing has no token."""
        with self.acting_as("ada"):
            assert storage.get(_blueprint()) is None

    def test_a_token_comes_back_as_it_was(self, storage: Any) -> None:
        """What is stored in one request is found, unchanged, in the next one."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))

    def test_the_last_token_replaces_the_one_before(self, storage: Any) -> None:
        """Nothing of the token before shows through."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as("ada"):
            assert SECOND == dict(storage.get(_blueprint()))

    def test_the_same_token_can_be_stored_again(self, storage: Any) -> None:
        """To store what is there already is no error."""
        for _ in range(2):
            with self.acting_as("ada"):
                storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))

    def test_a_deleted_token_is_gone(self, storage: Any) -> None:
        """After delete there is no token, and another one can be stored."""
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
        """Each user finds his own token, and changes nobody else's."""
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
        """The tokens from two providers do not meet."""
        with self.acting_as("ada"):
            storage.set(_blueprint("one"), dict(FIRST))
            storage.set(_blueprint("two"), dict(SECOND))
        with self.acting_as("ada"):
            storage.delete(_blueprint("one"))
        with self.acting_as("ada"):
            assert storage.get(_blueprint("one")) is None
            assert SECOND == dict(storage.get(_blueprint("two")))

    def test_nobody_changes_anybodys_token(self, storage: Any) -> None:
        """What is done while nobody is logged in is refused, or touches no user's token."""
        with self.acting_as("ada"):
            storage.set(_blueprint(), dict(FIRST))
        with self.acting_as("bob"):
            storage.set(_blueprint(), dict(SECOND))
        with self.acting_as(None):
            # A storage may refuse, and this is how.
            with suppress(ValueError):
                storage.set(_blueprint(), {"access_token": "nobody's"})
            with suppress(ValueError):
                storage.delete(_blueprint())
        with self.acting_as("ada"):
            assert FIRST == dict(storage.get(_blueprint()))
        with self.acting_as("bob"):
            assert SECOND == dict(storage.get(_blueprint()))


class ForgivingTokenStorageSuite(TokenStorageSuite):
    """The tests of what aldis's own storages do besides: a second logout is no error."""

    def test_deleting_nothing_is_no_error(self, storage: Any) -> None:
        """A user without a token can delete it, also when nobody is logged in."""
        for user in ("ada", None):
            with self.acting_as(user):
                storage.delete(_blueprint())
                storage.delete(_blueprint())
                assert storage.get(_blueprint()) is None
