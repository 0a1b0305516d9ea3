"""``dispatch_uid`` identifies a connection, so that a factory connects its receiver once."""

import gc
from weakref import ref

import pytest

import aldis
from aldis.receivers import once, robust
from aldis.testing import restored_subscriptions


def first(sender, **extra):
    """Receive."""
    return "first"


def second(sender, **extra):
    """Receive."""
    return "second"


def third(sender, **extra):
    """Receive."""
    return "third"


def values(signal, sender="north"):
    """Return the results of a send, in call order."""
    return [value for _, value in signal.send(sender)]


def factory(signal, number, **options):
    """Connect a new function, as an application factory does."""

    def receive(sender, **extra):
        return number

    signal.connect(receive, weak=False, **options)
    return receive


class TestReplacing:
    def test_a_factory_that_runs_twice_connects_one_receiver(self, signal):
        """The receiver of the last run is called, because the first run's application is gone."""
        factory(signal, 1, dispatch_uid="billing")
        factory(signal, 2, dispatch_uid="billing")
        assert [2] == values(signal)
        assert 1 == len(signal.receivers)

    def test_the_newer_receiver_has_the_place_of_the_earlier_one(self, signal):
        """The order of the receivers does not change."""
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second)
        assert ["first", "second"] == values(signal)
        signal.connect(third, dispatch_uid="billing")
        assert ["third", "second"] == values(signal)
        signal.connect(first, "north")
        assert ["third", "second", "first"] == values(signal)

    def test_each_sender_has_its_own_connection(self, signal):
        """Two applications in one process both have their receiver."""
        signal.connect(first, "north", dispatch_uid="billing")
        signal.connect(second, "south", dispatch_uid="billing")
        signal.connect(third, dispatch_uid="billing")
        assert ["first", "third"] == values(signal, "north")
        assert ["second", "third"] == values(signal, "south")

    def test_the_replaced_receiver_is_free(self, signal):
        """Neither the signal nor the connection keeps it."""
        gone = ref(factory(signal, 1, dispatch_uid="billing"))
        factory(signal, 2, dispatch_uid="billing")
        gc.collect()
        assert gone() is None

    def test_one_receiver_again(self, signal):
        """If the receiver is the same, only the strength changes."""
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second)
        signal.connect(first, weak=False, dispatch_uid="billing")
        assert ["first", "second"] == values(signal)
        assert ["strong", "weak"] == [row.strength for row in signal.explain().rows]

    def test_a_receiver_with_another_owner_stays(self, signal):
        """A plain connection of the replaced receiver is not undone."""
        signal.connect(first)
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second, dispatch_uid="billing")
        assert ["first", "second"] == values(signal)

    def test_a_signal_calls_a_receiver_with_two_uids_once(self, signal):
        """Two texts for one receiver are one connection with two owners."""
        signal.connect(first, dispatch_uid="a")
        signal.connect(first, dispatch_uid="b")
        assert ["first"] == values(signal)
        signal.disconnect(dispatch_uid="a")
        assert ["first"] == values(signal)
        signal.disconnect(dispatch_uid="b")
        assert [] == values(signal)

    def test_after_the_receiver_died(self, signal):
        """A weak receiver that died leaves nothing behind, and the text is free."""

        def local(sender, **extra):
            return "local"

        signal.connect(local, dispatch_uid="billing")
        del local
        gc.collect()
        assert [] == values(signal)
        assert not signal._registry.uids
        signal.connect(first, dispatch_uid="billing")
        assert ["first"] == values(signal)

    @pytest.mark.parametrize("decorate", [robust, once])
    def test_with_a_delivery_mode(self, signal, decorate):
        """The receiver may have a delivery mode."""
        for _ in range(2):
            signal.connect(decorate(factory(aldis.Signal(), 1)), weak=False, dispatch_uid="x")
        assert [1] == values(signal)

    def test_a_handle_of_a_replaced_subscription_is_not_active(self, signal):
        """Its cancel does not undo the newer subscription."""
        earlier = signal.subscribe(first, dispatch_uid="billing")
        later = signal.subscribe(second, dispatch_uid="billing")
        assert (False, True) == (earlier.active, later.active)
        earlier.cancel()
        assert ["second"] == values(signal)
        later.cancel()
        assert [] == values(signal)

    def test_as_a_decorator(self, signal):
        """``connect`` and ``connect_via`` take the text as decorators, too."""
        for number in (1, 2):

            @signal.connect(weak=False, dispatch_uid="everywhere")
            def anywhere(sender, number=number, **extra):
                return number

            @signal.connect_via("north", dispatch_uid="here")
            def here(sender, number=number, **extra):
                return -number

        assert [2, -2] == values(signal)

    async def test_async(self, signal):
        """Async sends call the newer receiver only."""
        for number in (1, 2):

            async def receive(sender, number=number, **extra):
                return number

            signal.connect(receive, weak=False, dispatch_uid="billing")
        assert [2] == [value for _, value in await signal.asend("north")]


class TestDisconnecting:
    def test_by_the_text(self, signal):
        """``disconnect`` needs no receiver, which a factory may have thrown away."""
        factory(signal, 1, dispatch_uid="billing")
        signal.connect(first)
        signal.disconnect(dispatch_uid="billing")
        assert ["first"] == values(signal)
        signal.disconnect(dispatch_uid="billing")

    def test_for_one_sender(self, signal):
        """A sender restricts it."""
        for sender in ("north", "south"):
            signal.connect(first, sender, dispatch_uid="billing")
        signal.disconnect(first, "north", dispatch_uid="billing")
        assert ([], ["first"]) == (values(signal, "north"), values(signal, "south"))

    def test_by_the_receiver(self, signal):
        """The receiver disconnects as without the text, and the text is free."""
        signal.connect(first, dispatch_uid="billing")
        signal.disconnect(first)
        assert [] == values(signal)
        assert not signal._registry.uids

    def test_neither_a_receiver_nor_a_text(self, signal):
        """The error names both."""
        with pytest.raises(TypeError, match="needs the receiver, or the dispatch_uid"):
            signal.disconnect()


class TestChecks:
    @pytest.mark.parametrize("uid", [7, b"x", ("a",), object(), True])
    def test_not_a_text(self, signal, uid):
        """The error shows an example."""
        with pytest.raises(TypeError, match=r"dispatch_uid must be a text .* 'billing.audit'"):
            signal.connect(first, dispatch_uid=uid)
        assert not signal.receivers

    def test_an_empty_text(self, signal):
        """An empty text identifies nothing."""
        with pytest.raises(ValueError, match="dispatch_uid is empty"):
            signal.connect(first, dispatch_uid="")

    def test_a_failed_connect_restores_the_earlier_receiver(self, signal):
        """If a receiver of ``receiver_connected`` raises, the earlier receiver has its place."""
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second)

        def refuse(meta, /, **payload):
            raise LookupError

        with signal.receiver_connected.connected_to(refuse), pytest.raises(LookupError):
            signal.connect(third, dispatch_uid="billing")
        assert ["first", "second"] == values(signal)
        assert ["billing", None] == [row.dispatch_uid for row in signal.explain().rows]

    def test_a_receiver_that_does_not_fit_replaces_nothing(self, shop):
        """The contract is checked before the change."""

        @shop.define
        def paid(sender, /, *, order_id: int) -> None:
            """Sent."""

        paid.connect(first, dispatch_uid="billing")
        with pytest.raises(TypeError):
            paid.connect(lambda: None, dispatch_uid="billing")
        assert 1 == len(paid.send("north", order_id=1))


class TestViews:
    def test_explain(self, signal):
        """A row and its text have the text."""
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second)
        assert ["billing", None] == [row.dispatch_uid for row in signal.explain().rows]
        assert "weak, plain, dispatch_uid billing\n" in str(signal.explain())

    def test_the_signals_about_connections(self, signal):
        """A replacement sends ``receiver_connected`` and ``receiver_disconnected``."""
        seen = []
        signal.connect(first, dispatch_uid="billing")
        signal.receiver_connected.connect(
            lambda meta, /, receiver, **_: seen.append(("connected", receiver)), weak=False
        )
        signal.receiver_disconnected.connect(
            lambda meta, /, receiver, **_: seen.append(("disconnected", receiver)), weak=False
        )
        signal.connect(second, dispatch_uid="billing")
        signal.disconnect(dispatch_uid="billing")
        expected = [("connected", second), ("disconnected", first), ("disconnected", second)]
        assert expected == seen

    def test_a_table_that_is_emptied_and_put_back(self, signal):
        """Fixtures save, empty and restore ``signal.receivers``. The text survives that."""
        signal.connect(first, dispatch_uid="billing")
        saved = signal.receivers.copy()
        signal.receivers.clear()
        assert [] == values(signal)
        signal.receivers.update(saved)
        signal.connect(second, dispatch_uid="billing")
        assert ["second"] == values(signal)

    def test_isolated_tests(self, signal):
        """``restored_subscriptions`` restores the replaced receiver with its text."""
        signal.connect(first, dispatch_uid="billing")
        signal.connect(second)
        with restored_subscriptions():
            signal.connect(third, dispatch_uid="billing")
            assert ["third", "second"] == values(signal)
        assert ["first", "second"] == values(signal)
        signal.connect(third, dispatch_uid="billing")
        assert ["third", "second"] == values(signal)


class TestRepeatedReceivers:
    def test_check_remarks_on_a_factory_that_ran_twice(self, shop):
        """The remark names the function and the remedy. It does not fail a build."""
        paid = shop.define(lambda_contract())
        factory(paid, 1)
        assert [] == shop.check()
        factory(paid, 2)
        [finding] = shop.check()
        assert finding.remark
        assert "factory.<locals>.receive" in finding.problem
        assert "is connected 2 times to paid" in finding.problem
        assert finding.problem.endswith("give the connection a dispatch_uid")

    def test_no_remark(self, shop):
        """Weak functions, other senders and connections with the text are not repeated."""
        paid = shop.define(lambda_contract())
        kept = [factory(paid, number, sender=number) for number in (1, 2)]
        factory(paid, 3, dispatch_uid="x")
        factory(paid, 4, dispatch_uid="y")
        assert kept
        assert [] == shop.check()


def lambda_contract():
    """Return a new contract."""

    def paid(sender, /, **extra) -> None:
        """Sent."""

    return paid
