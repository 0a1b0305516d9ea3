"""The work of an ``after_commit`` receiver in the session."""

import pytest

from aldis.receivers import after_commit
from tests.transactions.tables import Happened, committed, leave


class TestItsWork:
    """The receiver's work in the session is a new transaction."""

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_committed(self, signal, session, engine, begun):
        """The work is committed. Neither a read nor a write leaves a transaction open."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            leave(session, sender)

        if begun:
            session.begin()
        signal.send(7)
        session.commit()
        assert ([7], False) == (committed(engine)[0], session.in_transaction())

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_rolled_back_after_an_error(self, signal, session, engine, begun):
        """After an error the work is rolled back, and the session can be used."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            leave(session, 8)
            leave(session, 8)

        if begun:
            session.begin()
        signal.send(7)
        session.commit()
        assert not session.in_transaction()
        leave(session, 9)
        session.commit()
        assert [9] == committed(engine)[0]

    def test_a_connection_that_breaks_under_it(self, signal, session, engine, caplog):
        """If even the rollback fails, the caller's commit returns, and the log has both errors."""

        @signal.connect
        @after_commit(session=session)
        def break_it(sender):
            session.connection().connection.dbapi_connection.close()
            raise ValueError("lamp out")

        leave(session, 7)
        signal.send()
        session.commit()
        assert [
            "after_commit receiver",
            "the session of an after_commit receiver cannot be rolled back",
        ] == [each.getMessage().partition(" Test")[0] for each in caplog.records[:2]]
        assert [7] == committed(engine)[0]

    def test_work_that_is_not_flushed(self, signal, session, engine, caplog):
        """Unflushed work is flushed with its commit. Its failure does not affect the caller."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            session.add(Happened(number=sender))

        leave(session, 8)
        signal.send(8)
        signal.send(9)
        session.commit()
        assert ([8, 9], 1) == (committed(engine)[0], len(caplog.records))

    def test_the_attributes_of_a_mapped_argument(self, signal, session, received):
        """A mapped object that expired with the commit is read again."""

        @signal.connect
        @after_commit(session=session)
        def read(sender, thing):
            received.append(thing.number)

        with session.begin():
            thing = Happened(number=7)
            session.add(thing)
            signal.send(thing=thing)
        assert [7] == received
