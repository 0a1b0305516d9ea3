"""The buffers of several sessions, and of a session that joins a transaction."""

from threading import Barrier, Thread

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aldis.transactions import buffer_of
from tests.transactions.tables import Written, committed


class TestSeveralSessions:
    def test_two_at_once(self, engine, scribe):
        """Each session has its own buffer."""
        heard = []
        with Session(engine) as first, Session(engine) as second:
            for name, session in (("first", first), ("second", second)):
                session.begin()
                buffer_of(session).call(session, lambda name=name: heard.append(name))
            second.commit()
            assert ["second"] == heard
            first.rollback()
        assert ["second"] == heard

    def test_threads(self, engine):
        """Sessions of one registry on many threads do not share entries."""
        scoped, heard, start = scoped_session(sessionmaker(engine)), [], Barrier(8)

        def work(thread):
            start.wait(5)
            for number in range(30):
                scoped.begin()
                scoped.scalars(select(Written.id)).all()
                buffer_of(scoped()).call(scoped(), lambda: heard.append((thread, number)))  # noqa: B023
                scoped.commit() if number % 2 else scoped.rollback()
                scoped.remove()

        threads = [Thread(target=work, args=[thread]) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [(thread, number) for thread in range(8) for number in range(1, 30, 2)] == sorted(
            heard
        )


class TestJoined:
    """A test suite's session in a transaction that is rolled back at the end."""

    @pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "control_fully"])
    def test_its_commit_counts(self, engine, scribe, mode):
        """The commit of a joined session runs the waiting calls."""
        heard = []
        with engine.connect() as connection:
            outer = connection.begin()
            with Session(connection, join_transaction_mode=mode) as session:
                session.execute(text("SELECT 1"))
                buffer_of(session).write(session, scribe, 1)
                buffer_of(session).call(session, lambda: heard.append(1))
                session.commit()
                assert [1] == connection.scalars(select(Written.number)).all()
            if outer.is_active:
                outer.rollback()
        assert [1] == heard
        assert ([1] if mode == "control_fully" else []) == committed(engine)[1]
