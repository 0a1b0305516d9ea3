"""The storages for tokens."""

# ruff: noqa: D102, D103 - the names of the helpers explain them

import logging
import random
from contextlib import contextmanager
from string import ascii_letters, digits
from types import SimpleNamespace

import pytest
from flask import Flask, session
from sqlalchemy import ForeignKey, create_engine, inspect, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from aldis.errors import TokenStorageError
from aldis.oauth import MemoryStorage, SessionStorage
from aldis.oauth.sqla import OAuthMixin, SQLAlchemyStorage
from aldis.testing.oauth_storage import ForgivingTokenStorageSuite, TokenStorageSuite
from tests.oauth.needs import need

BP = SimpleNamespace(name="provider", config={})


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class OAuth(OAuthMixin, Base):
    __tablename__ = "oauth"
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    user: Mapped[User] = relationship()


@pytest.fixture
def engine():
    made = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(made)
    with Session(made) as database:
        database.add_all([User(name="ada"), User(name="bob")])
        database.commit()
    yield made
    made.dispose()


@pytest.fixture
def database(engine):
    with Session(engine) as opened:
        yield opened


class Current:
    """The user who is logged in."""

    def __init__(self):
        self.user = None

    def __call__(self):
        return self.user

    @contextmanager
    def acting_as(self, user):
        self.user = user
        yield
        self.user = None


class TestMemory(ForgivingTokenStorageSuite):
    """The storage in memory passes the suite of storages."""

    @pytest.fixture
    def storage(self):
        self.current = Current()
        return MemoryStorage(user=self.current)

    def acting_as(self, user):
        return self.current.acting_as(user)

    def test_it_can_begin_with_a_token(self):
        """A test can start with a token."""
        assert {"access_token": "x"} == MemoryStorage({"access_token": "x"}).get(BP)


class TestInTheSession(ForgivingTokenStorageSuite):
    """The storage in the session passes the suite of storages."""

    @pytest.fixture
    def storage(self):
        self.app = Flask("shop")
        self.app.secret_key = "only for tests"  # noqa: S105
        self.cookies = {}
        return SessionStorage()

    @contextmanager
    def acting_as(self, user):
        """Act as the browser of ``user``, with their last session."""
        with self.app.test_request_context():
            session.update(self.cookies.get(user, {}))
            yield
            self.cookies[user] = dict(session)

    def test_a_token_that_is_too_large_is_refused(self, storage):
        """The error names the remedy."""
        with self.acting_as("ada"):
            storage.set(BP, {"access_token": "small"})
            with pytest.raises(TokenStorageError, match=r"\d+ bytes.*SQLAlchemyStorage") as refused:
                storage.set(BP, {"access_token": _random(4000)})
            assert {"access_token": "small"} == storage.get(BP)
        assert _random(4000)[:40] not in str(refused.value)

    def test_browsers_keep_every_accepted_cookie(self, storage):
        """Every accepted cookie is smaller than 4,093 bytes."""
        accepted = 0

        @self.app.get("/<int:length>")
        def store(length):
            storage.set(BP, {"access_token": _random(length)})
            return ""

        self.app.testing = True
        for length in range(3000, 4400, 100):
            try:
                answer = self.app.test_client().get(f"/{length}")
            except TokenStorageError:
                break
            accepted += 1
            assert len(answer.headers["Set-Cookie"]) <= 4093
        assert 0 < accepted < 14

    def test_sessions_on_the_server_have_no_limit(self, storage):
        """Sessions on the server have no size limit."""
        from flask.sessions import SessionInterface

        with self.acting_as("ada"):
            self.app.session_interface = SessionInterface()
            storage.set(BP, {"access_token": "x" * 9000})
            assert 9000 == len(storage.get(BP)["access_token"])


class TestInADatabase(ForgivingTokenStorageSuite):
    """The storage in a database passes the suite of storages."""

    @pytest.fixture
    def storage(self, database):
        self.database, self.current = database, Current()
        return SQLAlchemyStorage(OAuth, database, user=self.current)

    def acting_as(self, user):
        found = self.database.scalar(select(User).filter_by(name=user)) if user else None
        return self.current.acting_as(found)

    def test_storing_without_a_user_raises(self, storage):
        """Without a user, no token can be stored."""
        with self.acting_as(None), pytest.raises(TokenStorageError, match="no user is logged in"):
            storage.set(BP, {"access_token": "x"})

    def test_the_anonymous_user_has_no_token(self, database):
        """Flask-Login's anonymous user counts as no user."""
        anonymous = SimpleNamespace(is_authenticated=False)
        assert SQLAlchemyStorage(OAuth, database, user=anonymous).get(BP) is None

    def test_a_deleted_token_leaves_the_link_to_the_account(self, storage, database):
        """A user who logs out and in again keeps their row."""
        database.add(OAuth(provider="provider", provider_user_id="7", user_id=1, token={"a": "b"}))
        database.commit()
        with self.acting_as("ada"):
            storage.delete(BP)
        row = database.scalar(select(OAuth))
        assert ("7", 1, None) == (row.provider_user_id, row.user_id, row.token)

    def test_a_row_of_another_request_is_updated(self, storage, database, engine):
        """Two simultaneous first logins of one user make one row."""
        plain = storage._update
        calls = []

        def late(*args):
            # The other request inserts between the query and the insert.
            calls.append(args)
            if len(calls) > 1:
                return plain(*args)
            with Session(engine) as other:
                other.add(OAuth(provider="provider", user_id=1, token={"access_token": "theirs"}))
                other.commit()
            return False

        storage._update = late
        with self.acting_as("ada"):
            storage.set(BP, {"access_token": "mine"})
            assert {"access_token": "mine"} == storage.get(BP)
        assert 1 == len(database.scalars(select(OAuth)).all())

    def test_the_session_can_be_used_after_an_error(self, storage, database):
        """After an error, a receiver of `oauth_error` can use the session."""
        with self.acting_as("ada"), pytest.raises(StatementError):
            storage.set(BP, {"access_token": object()})
        assert [] == database.scalars(select(OAuth)).all()

    def test_a_row_that_cannot_be_written_is_an_error(self, database):
        """A user without an id cannot store a token."""
        storage = SQLAlchemyStorage(OAuth, database, user=SimpleNamespace(id=None))
        with pytest.raises(TokenStorageError, match="no user is logged in"):
            storage.set(BP, {"access_token": "x"})

    @pytest.mark.parametrize("second", [{"user_id": 1}, {"provider_user_id": "7"}])
    def test_the_table_has_one_row_for_an_account_and_for_a_user(self, database, second):
        """The database refuses a second row for (provider, subject) or (provider, user)."""
        database.add(OAuth(provider="provider", provider_user_id="7", user_id=1))
        database.commit()
        row = {"provider": "provider", "provider_user_id": "8", "user_id": 2}
        database.add(OAuth(**{**row, **second}))
        with pytest.raises(IntegrityError):
            database.commit()

    def test_the_metadata_has_both_constraints(self, engine):
        """Migrations therefore create the constraints."""
        found = inspect(engine).get_unique_constraints("oauth")
        assert {("provider", "provider_user_id"), ("provider", "user_id")} == {
            tuple(each["column_names"]) for each in found
        }

    def test_the_token_is_in_no_log_line_and_no_error(self, database, engine, caplog):
        """SQLAlchemy logs parameters and shows them in errors, but without the token."""
        caplog.set_level(logging.INFO, "sqlalchemy.engine")
        engine.echo = True
        storage = SQLAlchemyStorage(OAuth, database, user=SimpleNamespace(id=1))
        storage.set(BP, {"access_token": "very-secret"})
        database.add(OAuth(provider="provider", user_id=1, token={"access_token": "very-secret"}))
        with pytest.raises(StatementError) as refused:
            database.commit()
        assert "[token]" in caplog.text
        assert "very-secret" not in caplog.text + str(refused.value) + repr(refused.value)


class TestFlaskDances(TokenStorageSuite):
    """The unmodified storage of Flask-Dance passes the suite."""

    @pytest.fixture
    def storage(self, database):
        need("flask_dance")
        from flask_dance.consumer.storage.sqla import SQLAlchemyStorage as FlaskDances

        self.database, self.current = database, Current()
        return FlaskDances(OAuth, database, user=self.current)

    def acting_as(self, user):
        found = self.database.scalar(select(User).filter_by(name=user)) if user else None
        return self.current.acting_as(found)


def _random(length):
    return "".join(random.Random(7).choices(ascii_letters + digits + "-_", k=length))
