"""The ledger, scene by scene: when rows are written, and what becomes of those that are not."""

import gc
import logging
from threading import Barrier, Thread

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aldis.errors import DiscardedError
from aldis.transactions import ledger_of, run_apart
from tests.core.support import run_python
from tests.transactions.tables import Happened, Scribe, Written, committed


@pytest.fixture
def scribe(engine):
    """Give a writer."""
    return Scribe(engine)


@pytest.fixture
def begun(session):
    """Give a session in a transaction."""
    session.begin()
    return session


def errors(caplog):
    """Return what was logged at level ERROR."""
    return [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]


DISCARDED = (
    " recorded in a session that was closed without a commit or a rollback: nobody will run what "
    "was sent. Was it sent after the commit, in a transaction that reading an attribute began? "
    "Send before the commit, or commit again"
)


class TestWriting:
    def test_rows_are_written_together_before_the_commit(self, engine, begun, scribe):
        """All the rows of a transaction are handed to their writer at once, and it is told."""
        for number in range(3):
            ledger_of(begun).write(begun, scribe, number)
        assert ([], 0) == (scribe.batches, scribe.told)
        begun.commit()
        assert ([[0, 1, 2]], 1) == (scribe.batches, scribe.told)
        assert [0, 1, 2] == committed(engine)[1]

    def test_sends_of_the_last_flush_are_in_the_same_batch(self, engine, begun, scribe):
        """What a mapper hook sends when the commit flushes is written with the rest."""
        thing = Happened(number=2)
        thing.when_inserted = lambda: ledger_of(begun).write(begun, scribe, 2)
        begun.add(thing)
        ledger_of(begun).write(begun, scribe, 1)
        begun.commit()
        assert [[1, 2]] == scribe.batches

    def test_the_first_send_of_all_comes_in_the_flush_of_a_commit(self, engine, begun, scribe):
        """It is written in the transaction, although nothing was when the commit began."""
        thing = Happened(number=1)
        thing.when_inserted = lambda: ledger_of(begun).write(begun, scribe, 1)
        begun.add(thing)
        begun.commit()
        assert ([1], [1]) == committed(engine)
        assert [] == scribe.late

    def test_two_writers(self, engine, begun, scribe):
        """Each gets its own rows."""
        other = Scribe(engine)
        for number in range(4):
            ledger_of(begun).write(begun, (scribe, other)[number % 2], number)
        begun.commit()
        assert ([[0, 2]], [[1, 3]]) == (scribe.batches, other.batches)

    def test_a_writer_that_fails_fails_the_commit(self, engine, begun, scribe):
        """The caller gets the error; a commit that is tried again writes again."""
        ledger_of(begun).write(begun, scribe, "no number")
        ledger_of(begun).write(begun, scribe, 1)
        scribe.write = None
        with pytest.raises(TypeError):
            begun.commit()
        del scribe.write
        scribe.batches.clear()
        begun.rollback()
        ledger_of(begun.begin().session).write(begun, scribe, 7)
        begun.commit()
        assert [[7]] == scribe.batches

    def test_a_commit_that_is_tried_again(self, engine, begun, scribe):
        """After a hook of somebody else has failed, the rows are still there, once."""
        fail = [True]

        @event.listens_for(begun, "before_commit")
        def refuse(session):
            if fail.pop():
                raise ValueError("not yet")

        ledger_of(begun).write(begun, scribe, 1)
        with pytest.raises(ValueError, match="not yet"):
            begun.commit()
        fail.append(False)
        ledger_of(begun).write(begun, scribe, 2)
        begun.commit()
        assert [1, 2] == committed(engine)[1]

    def test_a_row_that_cannot_be_written_at_once(self, engine, begun, scribe):
        """During a commit, who sends gets the error, and the row is not tried again."""
        seen = []

        @event.listens_for(begun, "before_commit")
        def send(session):
            with pytest.raises(AttributeError):
                ledger_of(session).write(session, 7, "a row for no writer")
            seen.append(True)

        ledger_of(begun).write(begun, scribe, 1)
        begun.commit()
        assert ([True], [1]) == (seen, committed(engine)[1])

    def test_whether_it_holds_something(self, engine, begun, scribe):
        """It tells whether a writer has a row in the transaction, written or not."""
        ledger, other, seen = ledger_of(begun), Scribe(engine), []

        def look():
            seen.append((ledger.holds(scribe), ledger.holds(other)))

        look()
        savepoint = begun.begin_nested()
        ledger.write(begun, scribe, 1)
        look()
        savepoint.close()
        look()
        with begun.begin_nested():
            ledger.write(begun, other, 2)
        look()
        begun.commit()
        look()
        nothing = (False, False)
        assert [nothing, (True, False), nothing, (False, True), nothing] == seen

    def test_outside_of_a_transaction(self, session, scribe):
        """There is nothing that the row could belong to."""
        with pytest.raises(RuntimeError, match=r"^the session is in no transaction$"):
            ledger_of(session).write(session, scribe, 1)


class TestSavepoints:
    def test_rows_are_written_with_the_outermost_commit(self, engine, begun, scribe):
        """A savepoint's release writes nothing; all come together, in the order of the sends."""
        ledger_of(begun).write(begun, scribe, 1)
        with begun.begin_nested():
            ledger_of(begun).write(begun, scribe, 2)
        ledger_of(begun).write(begun, scribe, 3)
        assert [] == scribe.batches
        begun.commit()
        assert [[1, 2, 3]] == scribe.batches
        assert [1, 2, 3] == committed(engine)[1]

    def test_a_row_of_an_outer_transaction_is_written_again(self, engine, begun, scribe):
        """Written with a savepoint that an outer one took back, it is still the transaction's."""
        ledger_of(begun).write(begun, scribe, 1)
        outer = begun.begin_nested()
        middle = begun.begin_nested()
        begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 2)
        middle.commit()
        outer.rollback()
        begun.commit()
        assert [[1, 2], [1]] == scribe.batches
        assert [1] == committed(engine)[1]

    def test_after_a_commit_of_several_savepoints(self, engine, begun, scribe):
        """Their commit is over: what comes then waits for the outermost one again."""
        outer = begun.begin_nested()
        begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 1)
        outer.commit()
        ledger_of(begun).write(begun, scribe, 2)
        assert [[1]] == scribe.batches
        begun.commit()
        assert [[1], [2]] == scribe.batches

    def test_an_outer_commit_while_a_savepoint_is_open(self, engine, begun, scribe):
        """SQLAlchemy releases the savepoint; what belongs to either is written in time."""
        ledger_of(begun).write(begun, scribe, 1)
        begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 2)
        begun.get_transaction().commit()
        assert [1, 2] == committed(engine)[1]
        assert [] == scribe.late

    def test_the_flush_of_an_outer_commit(self, engine, begun, scribe):
        """What is sent there is written in time, although the savepoint's commit is over."""
        begun.begin_nested()

        @event.listens_for(begun, "after_transaction_end")
        def add(session, transaction):
            if transaction.nested:
                thing = Happened(number=1)
                thing.when_inserted = lambda: ledger_of(session).write(session, scribe, 1)
                session.add(thing)

        ledger_of(begun).write(begun, scribe, 0)
        begun.get_transaction().commit()
        assert ([1], [0, 1], []) == (*committed(engine), scribe.late)

    def test_a_savepoint_inside_a_flush(self, engine, begun, scribe):
        """What it had collected goes over to what the flush is part of."""
        heard = []

        def note():
            with begun.begin_nested():
                ledger_of(begun).call(begun, lambda: heard.append(1))
                ledger_of(begun).write(begun, scribe, 1)

        thing = Happened(number=1)
        thing.when_inserted = note
        with begun.begin_nested():
            begun.add(thing)
        begun.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)
        begun.begin()
        other = Happened(number=2)
        other.when_inserted = note
        nested = begun.begin_nested()
        begun.add(other)
        begun.flush()
        nested.rollback()
        begun.commit()
        assert ([1], [1], [1]) == (*committed(engine), heard)

    def test_a_flush_that_fails_in_a_savepoint(self, engine, begun, scribe):
        """Its rows are gone with the savepoint; the transaction goes on."""
        begun.execute(insert(Happened).values(number=1))
        ledger_of(begun).write(begun, scribe, 1)
        savepoint = begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 2)
        begun.add(Happened(number=1))
        with pytest.raises(IntegrityError):
            begun.flush()
        savepoint.rollback()
        ledger_of(begun).write(begun, scribe, 3)
        begun.commit()
        assert ([1], [1, 3]) == committed(engine)


class TestTooLate:
    def test_after_the_commit(self, engine, begun, scribe):
        """What a hook sends when the transaction is committed gets a transaction of its own."""

        @event.listens_for(begun, "after_commit")
        def send(session):
            ledger_of(session).write(session, scribe, 1)

        begun.commit()
        assert ([1], [1]) == (scribe.late, committed(engine)[1])

    def test_when_that_fails_it_is_logged(self, begun, scribe, caplog):
        """The caller's commit has succeeded: it is not told of it, the log is."""
        scribe.write_late = None

        @event.listens_for(begun, "after_commit")
        def send(session):
            ledger_of(session).write(session, scribe, 1)

        begun.commit()
        assert ["durable deliveries came after the commit and are lost: 1"] == errors(caplog)
        assert TypeError is caplog.records[0].exc_info[0]

    def test_a_writer_that_fails_when_it_is_told(self, engine, begun, scribe, caplog):
        """What it has written is committed; the log has the error."""
        scribe.written = None
        ledger_of(begun).write(begun, scribe, 1)
        begun.commit()
        assert ["a writer failed after the commit of what it had written"] == errors(caplog)
        assert [1] == committed(engine)[1]

    def test_another_hook_that_fails_after_the_commit(self, engine, begun, scribe):
        """Nothing is lost by it: what is due is done when the session is closed."""

        @event.listens_for(begun, "after_commit")
        def fail(session):
            raise ValueError("too late")

        heard = []
        ledger_of(begun).write(begun, scribe, 1)
        ledger_of(begun).call(begun, lambda: heard.append(1))
        with pytest.raises(ValueError, match="too late"):
            begun.commit()
        begun.close()
        assert ([1], 1, [1]) == (committed(engine)[1], scribe.told, heard)


class TestDiscarded:
    @pytest.mark.parametrize("how", ["close", "reset", "invalidate"])
    def test_a_session_that_is_only_closed(self, engine, begun, scribe, caplog, how):
        """What was recorded in it is gone, and one error says so."""
        ledger_of(begun).write(begun, scribe, 1)
        getattr(begun, how)()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)
        assert [] == committed(engine)[1]

    def test_a_scoped_session_that_is_removed(self, engine, scribe, caplog):
        """The same; what an open savepoint had recorded counts, too."""
        scoped = scoped_session(sessionmaker(engine))
        scoped.begin()
        for _ in range(3):
            scoped.begin_nested()
            ledger_of(scoped()).write(scoped(), scribe, 1)
        scoped().get_nested_transaction().commit()
        scoped.remove()
        assert ["3 durable deliveries were" + DISCARDED] == errors(caplog)

    def test_in_strict_mode(self, engine, begun, scribe, strict):
        """It is raised, and the session can be used on."""
        ledger_of(begun).write(begun, scribe, 1)
        with pytest.raises(DiscardedError, match=r"^1 durable delivery was recorded in a session"):
            begun.close()
        begun.execute(insert(Happened).values(number=7))
        begun.commit()
        assert ([7], []) == committed(engine)

    def test_a_rollback_is_no_accident(self, begun, scribe, caplog, strict):
        """Who rolls back wants nothing of it, whatever levels there are."""
        ledger = ledger_of(begun)
        ledger.write(begun, scribe, 1)
        begun.rollback()
        begun.begin()
        begun.begin_nested()
        ledger.write(begun, scribe, 2)
        begun.rollback()
        begun.begin()
        begun.begin_nested()
        ledger.write(begun, scribe, 3)
        begun.get_transaction().rollback()
        begun.close()
        assert [] == caplog.records

    def test_a_savepoint_that_is_rolled_back_is_none_either(self, begun, scribe, caplog, strict):
        """What it and those inside it had recorded is not missed when the session is closed."""
        outer = begun.begin_nested()
        begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 1)
        outer.rollback()
        begun.close()
        assert [] == caplog.records

    def test_a_savepoint_that_was_rolled_back_excuses_nothing(self, begun, scribe, caplog):
        """The transaction around it is still only closed."""
        ledger_of(begun).write(begun, scribe, 1)
        begun.begin_nested().rollback()
        begun.close()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)

    def test_a_savepoint_that_is_closed_and_a_commit(self, engine, begun, scribe, caplog):
        """Its rows are dropped; the commit is what its caller wanted."""
        nested = begun.begin_nested()
        ledger_of(begun).write(begun, scribe, 1)
        nested.close()
        begun.commit()
        assert ([], []) == (committed(engine)[1], caplog.records)

    def test_a_failed_flush(self, begun, scribe, caplog, strict):
        """It has rolled back, and its caller has the error."""
        ledger_of(begun).write(begun, scribe, 1)
        begun.execute(insert(Happened).values(number=1))
        begun.add(Happened(number=1))
        with pytest.raises(IntegrityError):
            begun.flush()
        begun.close()
        assert [] == caplog.records

    def test_a_block_that_raised(self, engine, scribe, caplog, strict):
        """The error on its way is news enough: a warning, and nothing is raised over it."""

        def fail():
            with Session(engine) as session:
                session.begin()
                ledger_of(session).write(session, scribe, 1)
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert [(logging.WARNING, "1 durable delivery was" + DISCARDED)] == [
            (each.levelno, each.getMessage()) for each in caplog.records
        ]

    def test_a_commit_that_failed(self, engine, begun, scribe, caplog, strict):
        """Its caller has the error, though it was caught before the session was closed."""

        @event.listens_for(begun, "before_commit")
        def refuse(session):
            raise ValueError("never")

        ledger_of(begun).write(begun, scribe, 1)
        with pytest.raises(ValueError, match="never"):
            begun.commit()
        begun.close()
        assert [] == caplog.records
        assert [] == committed(engine)[1]

    @pytest.mark.filterwarnings("ignore:The garbage collector")
    def test_a_session_that_is_forgotten(self, engine, scribe, caplog):
        """Nobody closes it; the collector finds it, and the log has it."""
        gc.collect()  # other tests' sessions
        caplog.clear()
        session = Session(engine)
        session.begin()
        ledger_of(session).write(session, scribe, 1)
        del session
        gc.collect()
        assert [
            "1 durable delivery was"
            + DISCARDED.replace("closed without a commit or a rollback", "thrown away")
        ] == errors(caplog)

    def test_the_transaction_after_the_commit(self, session, scribe, caplog):
        """The trap: reading begins a transaction that nobody commits."""
        thing = Happened(number=1)
        session.add(thing)
        session.commit()
        ledger_of(session).write(session, scribe, thing.number)
        session.close()
        assert ["1 durable delivery was" + DISCARDED] == errors(caplog)

    def test_nothing_leaks_into_the_next_transaction(self, engine, begun, scribe, caplog):
        """What was recorded before the close is neither called nor written later."""
        heard = []
        ledger_of(begun).write(begun, scribe, 1)
        ledger_of(begun).call(begun, lambda: heard.append(1))
        begun.close()
        begun.execute(insert(Happened).values(number=7))
        begun.commit()
        assert (([7], []), []) == (committed(engine), heard)


class TestSeveralSessions:
    def test_two_at_once(self, engine, scribe):
        """Each has what belongs to it."""
        heard = []
        with Session(engine) as first, Session(engine) as second:
            for name, session in (("first", first), ("second", second)):
                session.begin()
                ledger_of(session).call(session, lambda name=name: heard.append(name))
            second.commit()
            assert ["second"] == heard
            first.rollback()
        assert ["second"] == heard

    def test_threads(self, engine):
        """Sessions on many threads, of one registry, do not see each other's."""
        scoped, heard, start = scoped_session(sessionmaker(engine)), [], Barrier(8)

        def work(thread):
            start.wait(5)
            for number in range(30):
                scoped.begin()
                scoped.scalars(select(Written.id)).all()
                ledger_of(scoped()).call(scoped(), lambda: heard.append((thread, number)))  # noqa: B023
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
    """A test suite's session, joined into a transaction that is rolled back in the end."""

    @pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "control_fully"])
    def test_its_commit_counts(self, engine, scribe, mode):
        """SQLAlchemy says the same as after a real commit, and so it is for what waits."""
        heard = []
        with engine.connect() as connection:
            outer = connection.begin()
            with Session(connection, join_transaction_mode=mode) as session:
                session.execute(text("SELECT 1"))
                ledger_of(session).write(session, scribe, 1)
                ledger_of(session).call(session, lambda: heard.append(1))
                session.commit()
                assert [1] == connection.scalars(select(Written.number)).all()
            if outer.is_active:
                outer.rollback()
        assert [1] == heard
        assert ([1] if mode == "control_fully" else []) == committed(engine)[1]


class TestTwoPhase:
    @pytest.fixture
    def session(self, engine):
        """Give a session that commits in two phases, where the server can."""
        if engine.name == "sqlite":
            pytest.skip("SQLite has no two-phase commit")
        with engine.connect() as connection:
            if connection.scalar(text("SHOW max_prepared_transactions")) == "0":
                pytest.skip("the server's max_prepared_transactions is 0")
        with Session(engine, twophase=True) as session:
            yield session

    @pytest.mark.service
    def test_prepared_and_committed(self, engine, begun, scribe):
        """Rows are written before it is prepared, calls are made after the commit."""
        heard = []
        begun.execute(text("SELECT 1"))
        ledger_of(begun).write(begun, scribe, 1)
        ledger_of(begun).call(begun, lambda: heard.append(1))
        begun.prepare()
        assert ([[1]], []) == (scribe.batches, heard)
        ledger_of(begun).write(begun, scribe, 2)
        begun.commit()
        assert ([1], [1, 2], [2]) == (heard, committed(engine)[1], scribe.late)

    @pytest.mark.service
    def test_prepared_and_rolled_back(self, engine, begun, scribe, caplog):
        """Nothing of it is left."""
        begun.execute(text("SELECT 1"))
        ledger_of(begun).write(begun, scribe, 1)
        begun.prepare()
        begun.rollback()
        assert ([], []) == (committed(engine)[1], caplog.records)


class TestListening:
    def test_before_others(self):
        """Who uses the session when its transaction has ended does not bring back what is gone."""
        code = """
            import sys
            from sqlalchemy import create_engine, event, text
            from sqlalchemy.orm import Session

            @event.listens_for(Session, "after_transaction_end")
            def use(session, transaction):
                if not session.info.pop("used", None):
                    session.info["used"] = True
                    session.execute(text("select 1"))
                    session.commit()

            from aldis.transactions import ledger_of

            session = Session(create_engine("sqlite://"))
            for end in (session.rollback, session.commit):
                session.execute(text("select 1"))
                ledger_of(session).call(session, lambda: print(end.__name__))
                end()
        """
        assert "commit" == run_python(code)

    def test_once_for_all_threads(self):
        """Threads that begin to listen at once do not make several of it."""
        code = """
            from threading import Barrier, Thread
            from sqlalchemy.orm import Session
            from aldis.transactions import listen_to_sessions

            start = Barrier(16)

            def listen():
                start.wait(5)
                listen_to_sessions()

            threads = [Thread(target=listen) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            hooks = Session().dispatch
            print(len(hooks.before_commit), len(hooks.after_transaction_end))
        """
        assert "1 1" == run_python(code)

    def test_a_subclass_of_session(self, engine):
        """Flask-SQLAlchemy and others have their own class."""

        class Own(Session):
            pass

        heard = []
        with Own(engine) as session:
            session.begin()
            ledger_of(session).call(session, lambda: heard.append(1))
            session.commit()
        assert [1] == heard


class TestApart:
    def test_inside_a_transaction_it_goes_on(self, engine, begun):
        """A call in a transaction that is not its own leaves it alone."""
        begun.execute(insert(Happened).values(number=1))
        run_apart(begun, lambda: None)
        run_apart(begun, lambda: 1 / 0)
        assert begun.in_transaction()
        begun.commit()
        assert [1] == committed(engine)[0]
