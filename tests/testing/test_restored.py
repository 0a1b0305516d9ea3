"""Leaving every subscription as it was found."""

import gc
import sys
import types

import pytest

import aldis
from aldis.testing import restored_subscriptions
from tests.core.support import Recorder, Sender


def names(signal, sender=None):
    """Return who is called, in order."""
    return [receiver.__name__ for receiver, _ in signal.send(sender)]


def first(sender, **extra):
    """Receive."""


def second(sender, **extra):
    """Receive."""


def third(sender, **extra):
    """Receive."""


@pytest.fixture(params=["named", "anonymous"])
def signal(request):
    """Give a signal of a namespace, and one without a name."""
    return aldis.Namespace().signal("x") if request.param == "named" else aldis.Signal()


class TestUndoes:
    def test_what_was_connected(self, signal):
        """Whatever connected it, and for whom."""
        sender = Sender()
        with restored_subscriptions():
            signal.connect(first)
            signal.connect(second, sender)
            signal.connect_via("north")(third)
            signal.subscribe(third)
            signal.connected_to(third).__enter__()
        assert not signal.receivers

    def test_what_was_connected_to_a_new_signal(self):
        """A signal that was made in the block is no exception."""
        with restored_subscriptions():
            signal = aldis.Signal()
            signal.connect(first)
        assert not signal.receivers

    def test_what_the_collector_does_not_see(self):
        """After ``gc.freeze``, as before a fork, the signals of namespaces are found still."""
        shop = aldis.Namespace()
        signal = shop.signal("order-paid")
        gc.freeze()
        try:
            with restored_subscriptions():
                signal.connect(first)
            assert not signal.receivers
        finally:
            gc.unfreeze()

    def test_after_an_exception(self, signal):
        """A test that fails leaves nothing behind either."""

        @restored_subscriptions()
        def test():
            signal.connect(first)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            test()
        assert not signal.receivers

    def test_what_was_disconnected(self, signal):
        """It is connected again, in its place in the order and for its sender."""
        sender = Sender()
        signal.connect(first)
        signal.connect(second, sender)
        signal.connect(third)
        with restored_subscriptions():
            signal.disconnect(second)
            assert ["first", "third"] == names(signal, sender)
        assert ["first", "second", "third"] == names(signal, sender)
        assert ["first", "third"] == names(signal)

    def test_everything(self, signal):
        """Clearing a signal is undone too."""
        signal.connect(first)
        signal.connect(second)
        with restored_subscriptions():
            signal.receivers.clear()
        assert ["first", "second"] == names(signal)

    def test_a_reconnection(self, signal):
        """Disconnected and connected again, a receiver is back in its earlier place."""
        signal.connect(first)
        signal.connect(second)
        with restored_subscriptions():
            signal.disconnect(first)
            signal.connect(first)
            assert ["second", "first"] == names(signal)
        assert ["first", "second"] == names(signal)

    def test_another_strength(self, signal):
        """A weak connection that was made strong is weak again."""

        def local(sender):
            pass

        signal.connect(local)
        with restored_subscriptions():
            signal.connect(local, weak=False)
        del local
        gc.collect()
        assert not signal.receivers

    def test_blocks_may_be_nested(self, signal):
        """Each restores what it found."""
        with restored_subscriptions():
            signal.connect(first)
            with restored_subscriptions():
                signal.disconnect(first)
                signal.connect(second)
            assert ["first"] == names(signal)
        assert [] == names(signal)


class TestLeaves:
    def test_what_nobody_touched(self, signal):
        """Connections that are as they were are not made anew."""
        signal.connect(first)
        signal.connect(second)
        before = signal._registry.all()
        with restored_subscriptions():
            signal.connect(third)
        assert before == signal._registry.all()

    def test_what_did_not_change(self, signal):
        """A subscription from before keeps its handle, and is not interrupted."""
        handle = signal.subscribe(first)
        with restored_subscriptions():
            signal.connect(second)
        assert ["first"] == names(signal)
        handle.cancel()
        assert [] == names(signal)

    def test_a_handle_behind_what_moved(self, signal):
        """What is connected anew does not void the handle of another."""
        signal.connect(first)
        handle = signal.subscribe(second)
        with restored_subscriptions():
            signal.disconnect(first)
        assert ["second", "first"] == names(signal)
        handle.cancel()
        assert ["first"] == names(signal)

    def test_a_handle_that_was_cancelled(self, signal):
        """Its owner has let go of it, in the block: it stays so."""
        handle = signal.subscribe(first)
        with restored_subscriptions():
            handle.cancel()
        assert [] == names(signal)

    def test_one_of_two_owners(self, signal):
        """A second owner of a connection goes, the first stays; and the other way round."""
        handle = signal.subscribe(first)
        with restored_subscriptions():
            signal.connect(first)
        handle.cancel()
        assert [] == names(signal)
        signal.connect(first)
        with restored_subscriptions():
            signal.subscribe(first)
        signal.disconnect(first)
        assert [] == names(signal)

    def test_the_place_of_one_of_two_owners(self, signal):
        """Of a connection with a handle, what ``connect`` did comes back without moving it."""
        handle = signal.subscribe(first)
        signal.connect(first, weak=False)
        signal.connect(second)
        with restored_subscriptions():
            signal.connect(first, weak=True)
        assert ["first", "second"] == names(signal)
        with restored_subscriptions():
            handle.cancel()
        assert ["first", "second"] == names(signal)
        assert not handle.active

    def test_a_new_signal_in_a_dead_ones_memory(self, signal):
        """A signal that got the identity of one that died is not taken for it."""
        old = aldis.Signal()
        old.connect(first)
        with restored_subscriptions():
            old.disconnect(first)
            identity = id(old)
            del old
            made = [aldis.Signal()]
            while id(made[-1]) != identity and len(made) < 1000:
                made.append(aldis.Signal())
            if identity != id(made[-1]):
                pytest.skip("none of a thousand signals got the dead one's memory this time")
        assert not made[-1].receivers

    def test_the_dead(self, signal):
        """A receiver that died in the block is not held, and not connected again."""

        def local(sender):
            pass

        signal.connect(local)
        with restored_subscriptions():
            signal.disconnect(local)
            del local
            gc.collect()
        assert not signal.receivers

    def test_receivers_of_dead_senders(self, signal):
        """Nor is the receiver of a sender that died."""
        sender = Sender()
        signal.connect(first, sender)
        with restored_subscriptions():
            signal.disconnect(first)
            del sender
            gc.collect()
        assert not signal.receivers

    def test_what_an_import_connected(self, signal):
        """A module is imported once: its own functions stay connected, its local ones do not."""
        module = types.ModuleType("aldis_receivers_for_this_test")
        module.signal = signal
        code = """
            @signal.connect
            def receiver(sender):
                pass

            def make():
                def local(sender):
                    pass
                signal.connect(local, weak=False)

            make()
        """
        try:
            with restored_subscriptions():
                sys.modules[module.__name__] = module
                exec("if True:" + code, vars(module))  # noqa: S102 - what an import does
                assert ["receiver", "local"] == names(signal)
            assert ["receiver"] == names(signal)
        finally:
            del sys.modules[module.__name__]

    def test_methods_and_callables(self, signal):
        """Bound methods, callable objects and methods written in C are put back as they were."""
        recorder, items = Recorder(), []

        class Listener:
            def hear(self, sender):
                items.append(sender)

        listener = Listener()
        signal.connect(recorder)
        signal.connect(listener.hear)
        signal.connect(items.append, weak=False)
        with restored_subscriptions():
            signal.receivers.clear()
        signal.send("north")
        assert ["north"] == recorder.senders
        assert ["north", "north"] == items

    def test_those_who_are_told_of_connections(self, signal):
        """Putting back is nobody's connecting: the meta-signals are silent."""
        told = []
        signal.connect(first)

        def tell(sender, /, **payload):
            told.append(payload)

        signal.receiver_connected.connect(tell)
        signal.receiver_disconnected.connect(tell)
        with restored_subscriptions():
            signal.disconnect(first)
        assert 1 == len(told)
        assert ["first"] == names(signal)


class TestDurableNames:
    def test_are_free_again(self):
        """A name that was taken in the block is free after it; one that was taken before is not."""
        durable = pytest.importorskip("aldis.durable").durable
        with restored_subscriptions():
            before = durable("test.before")(first)
            with restored_subscriptions():
                durable("test.inside")(second)
                durable("test.before")(first)
            durable("test.inside")(third)
            assert before is names_of_durables()["test.before"]
            assert third is names_of_durables()["test.inside"].__wrapped__
        assert not {"test.before", "test.inside"} & {*names_of_durables()}


def names_of_durables():
    """Return the durable receivers by name."""
    from aldis.durable.receiver import receivers_by_name

    return receivers_by_name()
