"""The errors of ``after_commit`` receivers."""

import logging

import pytest
from sqlalchemy import select

import aldis
from aldis.core.observers import Observer, attach, detach
from aldis.observe import trace
from aldis.receivers import after_commit
from tests.core.support import line_of
from tests.transactions.tables import Happened, leave


class TestErrors:
    def test_errors_are_logged(self, receiver, signal, session, received, caplog):
        """An error is logged with the receiver's place. The caller and other receivers go on."""

        @after_commit(session=session)
        def fail(sender):
            raise ValueError("lamp out")

        signal.disconnect(receiver)
        for each in (fail, receiver):
            signal.connect(each)
        session.begin()
        signal.send("later")
        session.commit()
        signal.send("at once")
        function = fail.__wrapped__
        message = f"after_commit receiver {function.__qualname__} ({line_of(function)}) raised"
        assert 2 * [(message, logging.ERROR)] == [
            (each.getMessage(), each.levelno) for each in caplog.records
        ]
        assert ValueError is caplog.records[0].exc_info[0]
        assert ["later", "at once"] == received

    def test_a_base_exception_propagates(self, signal, session):
        """``KeyboardInterrupt`` is raised, and the session can still be used."""

        @signal.connect
        @after_commit(session=session)
        def interrupt(sender):
            leave(session, 7)
            raise KeyboardInterrupt

        session.begin()
        signal.send()
        with pytest.raises(KeyboardInterrupt):
            session.commit()
        assert [] == session.scalars(select(Happened)).all()

    def test_observers_see_them(self, receiver, signal, session):
        """Observers see the call after the commit as a second call in the send."""
        sent_inside = aldis.Namespace().signal("inside")

        @signal.connect
        @after_commit(session=session)
        def fail(sender):
            sent_inside.send()
            raise ValueError("lamp out")

        with trace() as seen:
            session.begin()
            signal.send()
            session.commit()
            aldis.Signal().send()
        sent, after = seen.roots
        name = fail.__wrapped__.__qualname__
        assert [None, None, None, "ValueError: lamp out"] == [each.error for each in sent.calls]
        assert name == sent.calls[1].receiver == sent.calls[3].receiver
        assert ["inside"] == [each.signal for each in sent.calls[3].emissions]
        assert [] == after.calls

    def test_observers_see_a_receiver_that_runs_at_once(self, receiver, signal):
        """Without a transaction, observers see one call of the receiver."""

        class Count(Observer):
            turns = 0

            def call_finished(self, call):
                self.turns += 1

        count = Count()
        attach(count)
        try:
            signal.send()
        finally:
            detach(count)
        assert 1 == count.turns
