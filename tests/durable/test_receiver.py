"""``durable``: the receiver, its errors, and the deliveries that a send records."""

import re
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

import aldis
from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.receiver import find_receiver
from aldis.errors import (
    InvalidNameError,
    NoDeliveryError,
    PayloadError,
    PayloadTypeError,
    ReceiverError,
)
from aldis.receivers import after_commit, once, robust
from aldis.testing import MemoryStore, assert_wired, drain
from tests.durable import support
from tests.durable.support import order_paid, receipt_sent, rows

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.fixture
def outbox():
    """Provide an outbox in memory, in use."""
    outbox = Outbox(store=MemoryStore())
    with outbox.using():
        yield outbox


def receive(sender, **extra):
    """Receive."""


class TestReceiver:
    def test_called_directly_it_runs(self):
        """A direct call runs the receiver without an outbox or a worker."""

        @durable("test.receipt")
        def receipt(sender, *, order_id):
            return f"{sender} {order_id}"

        assert "harbour 7" == receipt("harbour", order_id=7)

    def test_looks_like_its_function(self):
        """The receiver has the name and the docstring of its function."""
        receipt = durable("test.receipt", aliases=["old"])(receive)

        assert ("receive", "Receive.") == (receipt.__name__, receipt.__doc__)
        assert ("test.receipt", ("test.receipt", "old")) == (receipt.name, receipt.names)
        assert ([], False) == (receipt.signals, receipt.is_async)
        assert repr(receipt).startswith("<Durable")

    def test_is_shown_by_explain(self):
        """``explain`` shows the delivery mode."""
        receipt = order_paid.connect(durable("test.receipt")(receive))

        assert_wired(order_paid, receipt)
        assert ["order_paid"] == receipt.signals
        (row,) = order_paid.explain("harbour").rows
        assert "durable" in str(row).lower()

    def test_is_disconnected_like_any(self, outbox):
        """``disconnect`` accepts the decorated receiver."""
        receipt = order_paid.connect(durable("test.receipt")(receive))
        order_paid.disconnect(receipt)
        order_paid.send("harbour", order_id=7)
        assert [] == rows(outbox)

    def test_is_held_strongly(self, outbox):
        """The signal holds a durable receiver strongly, so that a worker finds it."""
        import gc

        def connect():
            @order_paid.connect
            @durable("test.receipt")
            def receipt(sender, **extra): ...

        connect()
        gc.collect()
        order_paid.send("harbour", order_id=7)
        assert ["test.receipt"] == [row.receiver for row in rows(outbox)]

    def test_a_send_returns_nothing_for_it(self, outbox):
        """``send`` returns ``None`` for a durable receiver."""
        receipt = order_paid.connect(durable("test.receipt")(receive))
        assert [(receipt, None)] == order_paid.send("harbour", order_id=7)

    def test_connect_via(self, outbox):
        """``connect_via`` records the sends of one sender only."""
        order_paid.connect_via("market")(durable("test.receipt")(receive))
        order_paid.send("harbour", order_id=7)
        order_paid.send("market", order_id=8)
        assert ['"market"'] == [row.payload.split("sender")[-1][2:10] for row in rows(outbox)]

    async def test_an_async_receiver_needs_no_asend(self, outbox):
        """Both ``send`` and ``asend`` record a delivery for an async receiver."""

        @order_paid.connect
        @durable("test.receipt")
        async def receipt(sender, **extra): ...

        order_paid.send("harbour", order_id=7)
        await order_paid.asend("harbour", order_id=8)
        assert 2 == len(rows(outbox))


class TestNames:
    def test_twice_is_an_error(self):
        """Two functions with one name are an error that names both."""
        durable("test.receipt")(receive)
        with pytest.raises(
            InvalidNameError, match=r"two durable receivers 'test.receipt': rec"
        ) as info:

            @durable("test.receipt")
            def other(sender): ...

        assert "other" in str(info.value)

    def test_an_alias_is_a_name(self):
        """An alias cannot be the name of another receiver."""
        durable("test.receipt", aliases=["test.mail"])(receive)
        with pytest.raises(InvalidNameError, match=r"two durable receivers 'test.mail'"):
            durable("test.mail")(lambda sender: None)

    def test_the_same_function_again_is_none(self):
        """A second definition of a function replaces the first, as in an app factory."""

        def make_app():
            @durable("test.receipt")
            def receipt(sender): ...

            return receipt

        first, second = make_app(), make_app()
        assert first is not second
        assert second is find_receiver("test.receipt")

    @pytest.mark.parametrize("name", ["", " a", "a\n", "a" * 191, 7, None])
    def test_unusable_ones(self, name):
        """A name must be printable text of at most 190 characters."""
        with pytest.raises(InvalidNameError, match="the name of a durable receiver must"):
            durable(name)

    def test_without_parentheses(self):
        """The error names the function and the form with a name, and shows no address."""
        with pytest.raises(TypeError) as raised:

            @durable
            def receive(sender): ...

        text = str(raised.value)
        assert re.match(r"@durable needs a name for \S+receive \(\S+test_receiver.py:\d+\)", text)
        assert text.endswith('write @durable("billing.receipt")')

    def test_unknown_ones(self):
        """The lookup of an unknown name suggests the closest one."""
        durable("test.receipt")(receive)
        with pytest.raises(aldis.errors.UnknownNameError, match=r"did you mean 'test.receipt'\?"):
            find_receiver("test.receit")

    def test_a_signal_without_a_name(self):
        """A signal without a name is refused, because the row names the signal."""
        with pytest.raises(
            InvalidNameError, match="the name of a durable receiver's signal must be text"
        ):
            aldis.Signal().connect(durable("test.receipt", payload=lambda sender: {})(receive))


class TestRefusals:
    def test_a_method(self):
        """A method is refused, in the class and bound, because a worker has no object."""
        with pytest.raises((ReceiverError, RuntimeError)) as info:

            class Shop:
                @durable("test.receipt")
                def receipt(self, sender): ...

        error = info.value if isinstance(info.value, ReceiverError) else info.value.__cause__
        assert "receipt" in str(error)
        assert "make a function durable, or a staticmethod" in str(error)

        class Market:
            def receipt(self, sender): ...

        with pytest.raises(ReceiverError, match="is a method, and a worker has no object"):
            durable("test.market")(Market().receipt)

    def test_a_staticmethod(self, outbox):
        """A static method can be durable, with ``staticmethod`` as the outer decorator."""
        received = []

        class Shop:
            @staticmethod
            @durable("test.receipt")
            def receipt(sender, *, order_id):
                received.append(order_id)

        order_paid.connect(Shop.receipt)
        order_paid.send("harbour", order_id=7)
        drain(outbox)
        assert [7] == received

    @pytest.mark.parametrize("other", [robust, once, after_commit, durable("test.other")])
    def test_two_deliveries(self, other):
        """A second delivery mode is refused, in either order."""
        with pytest.raises(ReceiverError):
            durable("test.receipt")(other(receive))
        with pytest.raises(ReceiverError):
            other(durable("test.receipt")(receive))

    def test_a_hidden_delivery(self):
        """``connect`` refuses a wrapper that hides a durable receiver."""
        from functools import wraps

        inner = durable("test.receipt")(receive)

        @wraps(inner)
        def timed(*args, **kwargs):
            return inner(*args, **kwargs)

        with pytest.raises(ReceiverError):
            order_paid.connect(timed)

    @pytest.mark.parametrize(
        "options",
        [{"timeout": 0}, {"timeout": -1}, {"delay": -1}, {"delay": float("inf")}],
    )
    def test_numbers_out_of_range(self, options):
        """Negative and infinite seconds are refused."""
        with pytest.raises(ValueError, match="number"):
            durable("test.receipt", **options)

    @pytest.mark.parametrize("options", [{"attempts": 0}, {"first_delay": -1}, {"factor": 0.5}])
    def test_retries_out_of_range(self, options):
        """A delivery has at least one attempt, and the waits do not become shorter."""
        with pytest.raises(ValueError, match=r"at least 1|number"):
            Retry(**options)

    def test_a_value_that_cannot_be_encoded_is_refused_at_connect(self):
        """``connect`` refuses a contract with a value that cannot be encoded."""
        signal = aldis.Namespace().define(lambda_sent)
        with pytest.raises(PayloadTypeError, match="payload="):
            signal.connect(durable("test.receipt")(receive))

    def test_a_signal_without_a_contract(self):
        """A signal without a contract needs ``payload=``."""
        signal = aldis.Namespace().signal("untyped")
        with pytest.raises(PayloadTypeError, match="payload="):
            signal.connect(durable("test.receipt")(receive))

    def test_too_large(self, outbox):
        """A send with a too large payload raises an error and records nothing."""
        order_paid.connect(durable("test.receipt", max_bytes=10)(receive))
        with pytest.raises(PayloadError, match="10"):
            order_paid.send("harbour", order_id=7)
        assert [] == rows(outbox)


def lambda_sent(sender: str, /, *, function: type) -> None:
    """A contract with a value that cannot be encoded."""


class TestRecorded:
    def test_every_receiver_of_a_send_has_its_id(self, outbox):
        """All deliveries of a send have one emission id, and other sends have others."""
        for name in "ab":
            order_paid.connect(durable(f"test.{name}")(lambda sender, **extra: None))
        order_paid.send("harbour", order_id=7)
        order_paid.send("harbour", order_id=8)

        ids = [row.emission_id for row in rows(outbox)]
        assert [32] * 4 == [len(each) for each in ids]
        assert (ids[0], ids[2], True) == (ids[1], ids[3], ids[0] != ids[2])

    def test_the_id_is_the_same_observed(self, outbox):
        """An observer does not change the emission ids."""
        for name in "ab":
            order_paid.connect(durable(f"test.{name}")(lambda sender, **extra: None))
        with aldis.testing.record(order_paid):
            order_paid.send("harbour", order_id=7)
        first, second = rows(outbox)
        assert first.emission_id == second.emission_id != ""

    def test_a_send_in_a_receiver_names_its_delivery_as_the_cause(self, outbox):
        """A delivery names the delivery whose receiver sent the signal."""
        keys = []

        @order_paid.connect
        @durable("test.pass_on")
        def pass_on(sender, *, order_id):
            keys.append(current_delivery().key)
            receipt_sent.send(sender, order_id=order_id)

        receipt_sent.connect(durable("test.archive")(receive))
        order_paid.send("harbour", order_id=7)
        drain(outbox)

        paid, archived = rows(outbox)
        assert (None, f"{paid.emission_id}:test.pass_on") == (paid.caused_by, archived.caused_by)
        assert [paid.key] == keys

    @pytest.mark.parametrize(("key", "recorded"), [("a", "a"), (7, "7"), (None, None)])
    def test_a_key(self, outbox, key, recorded):
        """An ordering key is recorded as text, or as null."""
        order_paid.connect(durable("test.bookkeeping", key=lambda sender, **_: key)(receive))
        order_paid.send("harbour", order_id=7)
        assert [recorded] == [row.order_key for row in rows(outbox)]

    @pytest.mark.parametrize(
        ("key", "why"), [(True, "text, a whole number or None"), ("a" * 191, "190")]
    )
    def test_an_invalid_key(self, outbox, key, why):
        """Another type of key, or a too long one, is refused and nothing is recorded."""
        order_paid.connect(durable("test.bookkeeping", key=lambda sender, **_: key)(receive))
        with pytest.raises(PayloadError, match=why):
            order_paid.send("harbour", order_id=7)
        assert [] == rows(outbox)

    @pytest.mark.parametrize("key", ["a\0b", "\ud800"])
    def test_a_key_that_no_database_stores(self, outbox, key):
        """NUL and lone surrogates are refused at the send, not at the commit."""
        order_paid.connect(durable("test.bookkeeping", key=lambda sender, **_: key)(receive))
        with pytest.raises(
            PayloadError, match=r"key= of durable receiver 'test.bookkeeping' returned"
        ):
            order_paid.send("harbour", order_id=7)
        assert [] == rows(outbox)

    def test_calls_without_a_send(self, outbox):
        """Each call of ``receivers_for`` has another idempotency key, also inside of a send."""
        order_paid.connect(durable("test.bookkeeping")(receive))

        def call_all():
            for order_id in (1, 2):
                for receiver in order_paid.receivers_for("harbour"):
                    receiver("harbour", order_id=order_id)

        call_all()

        @receipt_sent.connect
        def call_inside(sender, **extra):
            call_all()

        receipt_sent.connect(durable("test.archive")(receive))
        receipt_sent.send("harbour", order_id=7)
        found = rows(outbox)
        assert 5 == len(found)
        assert 5 == len({row.key for row in found})
        assert {32} == {len(row.emission_id) for row in found}

    def test_a_delay(self, outbox):
        """A delayed delivery is due that many seconds after it was recorded."""
        order_paid.connect(durable("test.remind", delay=60)(receive))
        order_paid.send("harbour", order_id=7)
        (row,) = rows(outbox)
        assert 60 == (row.due_at - row.created_at).total_seconds()

    def test_a_projection(self, outbox):
        """The values that ``payload=`` returns are recorded and passed to the receiver."""
        received = []

        @dataclass
        class Parcel:
            number: int

        @order_paid.connect
        @durable("test.parcel", payload=lambda sender, *, order_id: {"number": order_id * 10})
        def pack(sender, *, number: int):
            received.append((sender, number))

        order_paid.send("harbour", order_id=7)
        drain(outbox)
        assert [("harbour", 70)] == received

    def test_a_payload_that_breaks_the_contract(self, outbox):
        """A send with a wrong type is refused."""
        order_paid.connect(durable("test.receipt")(receive))
        with pytest.raises(PayloadError, match="order_id"):
            order_paid.send("harbour", order_id="seven")
        assert [] == rows(outbox)


class TestCurrentDelivery:
    def test_outside_there_is_none(self):
        """Without a delivery, the error explains how to pretend one in a test."""
        with pytest.raises(NoDeliveryError, match="no durable delivery is running here"):
            current_delivery()

    def test_tells_what_it_is(self, tmp_path):
        """The current delivery has its facts, and one key for all attempts."""
        seen = []
        with support.sqlite(tmp_path / "shop.db") as engine:
            outbox = Outbox(engine=engine)

            @order_paid.connect
            @durable("test.receipt", retry=Retry(attempts=3))
            def receipt(sender, *, order_id):
                d = current_delivery()
                seen.append((d.attempt, d.key, d.emission_id, d.receiver, d.signal, d.caused_by))
                raise ConnectionError

            with Session(engine) as session, outbox.using(session), session.begin():
                order_paid.send("harbour", order_id=7)
            drain(outbox, later=True, raise_errors=False)

        assert [1, 2, 3] == [each[0] for each in seen]
        assert 1 == len({each[1:] for each in seen})
        _, key, emission_id, *rest = seen[0]
        assert f"{emission_id}:test.receipt" == key
        assert ["test.receipt", "order_paid", None] == rest
