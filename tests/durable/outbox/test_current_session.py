"""The session that the outbox uses."""

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from aldis.durable import Outbox
from aldis.errors import NoSessionError, OutboxError
from tests.durable import support
from tests.durable.outbox.sending import send, sent

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


class TestCurrentSession:
    def test_a_sessionmaker_is_refused(self, engine):
        """A sessionmaker is refused, because it makes a new session at each call."""
        for maker in (
            sessionmaker(engine),
            async_sessionmaker(create_async_engine("sqlite+aiosqlite://")),
        ):
            with pytest.raises(OutboxError, match="a sessionmaker makes a new one at each call"):
                Outbox(maker)

    def test_a_session_is_refused(self, engine):
        """A single session is refused, because several callers would share it."""
        with (
            Session(engine) as session,
            pytest.raises(OutboxError, match=r"outbox.using\(session\)"),
        ):
            Outbox(session)

    def test_a_callable(self, engine, receipt):
        """A function that returns the current session is accepted."""
        session = Session(engine)
        outbox = Outbox(lambda: session)
        with session, outbox.using():
            session.begin()
            send(7)
            session.commit()
        assert [7] == sent(outbox)

    def test_a_callable_that_returns_none(self, receipt):
        """A function that returns ``None`` raises an error at the send."""
        outbox = Outbox(lambda: None)
        with pytest.raises(NoSessionError, match="there is no current session"), outbox.using():
            send(7)

    def test_without_an_outbox(self, receipt):
        """A send without a session raises an error with the remedy."""
        with pytest.raises(NoSessionError, match="there is no current app with an outbox"):
            send(7)

    def test_an_outbox_without_a_session(self, engine, receipt):
        """``using()`` without a session raises an error."""
        outbox = Outbox(engine=engine)
        why = "this outbox was made without a session"
        with pytest.raises(NoSessionError, match=why), outbox.using():
            send(7)

    def test_an_object_that_is_not_a_session(self, engine, receipt):
        """``using`` refuses an object that is not a session."""
        outbox = Outbox(engine=engine)
        with (
            pytest.raises(NoSessionError, match="7 is not a session or connection of SQLAlchemy"),
            outbox.using(7),
        ):
            pass

    def test_nested_sessions(self, engine, tmp_path, receipt):
        """In nested blocks, the innermost session is used, then the outer one again."""
        with support.sqlite(tmp_path / "other.db") as other:
            first, second = Outbox(engine=engine), Outbox(engine=other)
            with Session(engine) as one, Session(other) as two, first.using(one):
                with second.using(two):
                    send(2)
                send(1)
            assert ([1], [2]) == (sent(first), sent(second))
