"""Running due deliveries in the test's own process."""

import contextvars
import threading

import pytest
from sqlalchemy.orm import Session

from aldis import current_signal
from aldis.durable import Outbox, current_delivery, durable
from aldis.errors import UnknownNameError
from aldis.observe import trace
from aldis.testing import drain
from tests.durable import support
from tests.durable.support import counts, order_paid, receipt_sent, write, written
from tests.testing.draining.sending import send

pytestmark = pytest.mark.usefixtures("aldis_clean")


class TestDrain:
    def test_runs_what_is_due(self, outbox, session, engine, receipt):
        """``drain`` runs committed deliveries and commits the receivers' writes."""
        send(outbox, session, 7, 8)

        assert 2 == drain(outbox).done
        assert ["harbour 7", "harbour 8"] == written(engine)
        assert {"done": 2} == counts(outbox)

    def test_without_due_deliveries(self, outbox, receipt):
        """``drain`` without due deliveries runs nothing and raises nothing."""
        ran = drain(outbox)

        assert (0, 0, []) == (ran.attempts, ran.dead, ran.errors)

    def test_what_is_not_committed_is_not_there(self, tmp_path):
        """``drain`` does not run deliveries that are not committed."""
        heard = []
        with support.sqlite(tmp_path / "shop.db") as engine, Session(engine) as session:
            outbox = Outbox(engine=engine)

            @order_paid.connect
            @durable("billing.receipt")
            def receipt(sender, *, order_id, **extra):
                heard.append(order_id)

            with outbox.using(session):
                session.begin()
                order_paid.send("harbour", order_id=7)
                assert 0 == drain(outbox).attempts
                session.commit()
            drain(outbox)
        assert [7] == heard

    def test_runs_what_receivers_send(self, outbox, session, engine, receipt):
        """``drain`` also runs the deliveries that receivers send."""

        @order_paid.connect
        @durable("billing.pass_on")
        def pass_on(sender, *, order_id, **extra):
            receipt_sent.send(sender, order_id=order_id + 1)

        @receipt_sent.connect
        @durable("billing.archive")
        def archive(sender, *, order_id, **extra):
            write(current_delivery().session, f"archived {order_id}")

        send(outbox, session, 7)

        assert 3 == drain(outbox).done
        assert {"harbour 7", "archived 8"} == set(written(engine))

    def test_only_some_receivers(self, outbox, session, receipt):
        """``receivers=`` leaves the deliveries of other receivers pending."""

        @order_paid.connect
        @durable("billing.other")
        def other(sender, **extra): ...

        send(outbox, session, 7)

        assert 1 == drain(outbox, receivers=["billing.other"]).done
        assert {"done": 1, "pending": 1} == counts(outbox)
        with pytest.raises(UnknownNameError, match=r"did you mean 'billing.receipt'\?"):
            drain(outbox, receivers=["billing.receip"])

    def test_sees_nothing_of_the_test(self, outbox, session, receipt):
        """Receivers do not see the test's context variables, session or thread."""
        variable = contextvars.ContextVar("variable", default="unset")
        variable.set("the test's")
        seen = []

        @order_paid.connect
        @durable("billing.look")
        def look(sender, **extra):
            mine = current_delivery().session
            seen.append((variable.get(), mine is theirs, threading.current_thread().name))

        theirs = session()
        send(outbox, session, 7)
        drain(outbox)
        assert [("unset", False, "aldis-receiver")] == seen

    def test_the_trace_shows_it(self, outbox, session, receipt):
        """A trace shows each delivery, and the sends of its receiver under it."""

        @order_paid.connect
        @durable("billing.pass_on")
        def pass_on(sender, *, order_id, **extra):
            receipt_sent.send(sender, order_id=order_id)

        send(outbox, session, 7)
        with trace() as seen:
            drain(outbox)

        assert [("order_paid", "durable"), ("order_paid", "durable")] == [
            (root.signal, root.how) for root in seen.roots
        ]
        calls = {call.receiver.split(".")[-1]: call for root in seen.roots for call in root.calls}
        assert ["receipt_sent"] == [each.signal for each in calls["pass_on"].emissions]
        assert [] == calls["receipt"].emissions


class TestCurrentSignal:
    def test_in_a_worker(self, outbox, session):
        """A durable receiver knows the signal of its delivery."""
        heard = []

        @order_paid.connect
        @durable("billing.ask")
        def ask(sender, *, order_id, **extra):
            heard.append(current_signal() is order_paid)

        send(outbox, session, 7)
        assert [] == heard
        assert 1 == drain(outbox).done
        assert [True] == heard
