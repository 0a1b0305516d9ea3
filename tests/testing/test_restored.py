"""``restored_subscriptions`` restores every subscription."""

import gc
import sys
import types

import pytest

import aldis
from aldis.testing import restored_subscriptions
from tests.core.support import Recorder, Sender


def names(signal, sender=None):
    """Return the names of the receivers in call order."""
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
        """Connections are undone, for any way to connect and any sender."""
        sender = Sender()
        with restored_subscriptions():
            signal.connect(first)
            signal.connect(second, sender)
            signal.connect_via("north")(third)
            signal.subscribe(third)
            signal.connected_to(third).__enter__()
        assert not signal.receivers

    def test_what_was_connected_to_a_new_signal(self):
        """Connections to a signal that was made in the block are undone, too."""
        with restored_subscriptions():
            signal = aldis.Signal()
            signal.connect(first)
        assert not signal.receivers

    def test_what_the_collector_does_not_see(self):
        """After ``gc.freeze``, signals of namespaces are restored, too."""
        shop = aldis.Namespace()
        signal = shop.signal("order-paid")
        gc.freeze()
        try:
            with restored_subscriptions():
                signal.connect(first)
            assert not signal.receivers
        finally:
            gc.unfreeze()
            gc.collect()
            gc.freeze()  # as before; see tests/conftest.py

    @pytest.mark.parametrize("kept", [True, False])
    def test_another_table_of_receivers(self, signal, kept):
        """A test may assign another table, and forget to restore the first one."""
        signal.connect(first, "north")
        signal.connect(second)
        with restored_subscriptions():
            table = signal.receivers if kept else None
            signal.receivers = {}
            gc.collect()
            signal.connect(third)
        assert ["first", "second"] == names(signal, "north")
        assert ["second"] == names(signal)
        assert not kept or table is signal.receivers

    def test_after_an_exception(self, signal):
        """A block that raises restores its subscriptions, too."""

        @restored_subscriptions()
        def test():
            signal.connect(first)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            test()
        assert not signal.receivers

    def test_what_was_disconnected(self, signal):
        """A receiver is connected again, in its place and for its sender."""
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
        """Removing all receivers of a signal is undone."""
        signal.connect(first)
        signal.connect(second)
        with restored_subscriptions():
            signal.receivers.clear()
        assert ["first", "second"] == names(signal)

    def test_a_reconnection(self, signal):
        """A receiver that was connected again returns to its earlier place."""
        signal.connect(first)
        signal.connect(second)
        with restored_subscriptions():
            signal.disconnect(first)
            signal.connect(first)
            assert ["second", "first"] == names(signal)
        assert ["first", "second"] == names(signal)

    def test_another_strength(self, signal):
        """A weak connection that became strong is weak again."""

        def local(sender):
            pass

        signal.connect(local)
        with restored_subscriptions():
            signal.connect(local, weak=False)
        del local
        gc.collect()
        assert not signal.receivers

    def test_blocks_may_be_nested(self, signal):
        """Each block restores the state at its start."""
        with restored_subscriptions():
            signal.connect(first)
            with restored_subscriptions():
                signal.disconnect(first)
                signal.connect(second)
            assert ["first"] == names(signal)
        assert [] == names(signal)


class TestLeaves:
    def test_unchanged_connections(self, signal):
        """Unchanged connections are not made again."""
        signal.connect(first)
        signal.connect(second)
        before = signal._registry.all()
        with restored_subscriptions():
            signal.connect(third)
        assert before == signal._registry.all()

    def test_what_did_not_change(self, signal):
        """An unchanged subscription keeps its handle and is not interrupted."""
        handle = signal.subscribe(first)
        with restored_subscriptions():
            signal.connect(second)
        assert ["first"] == names(signal)
        handle.cancel()
        assert [] == names(signal)

    def test_a_handle_behind_what_moved(self, signal):
        """A connection that is made again does not change the handle of another."""
        signal.connect(first)
        handle = signal.subscribe(second)
        with restored_subscriptions():
            signal.disconnect(first)
        assert ["second", "first"] == names(signal)
        handle.cancel()
        assert ["first"] == names(signal)

    def test_a_handle_that_was_cancelled(self, signal):
        """A subscription that its owner cancelled in the block stays cancelled."""
        handle = signal.subscribe(first)
        with restored_subscriptions():
            handle.cancel()
        assert [] == names(signal)

    def test_one_of_two_owners(self, signal):
        """Of two owners of a connection, the new one is removed and the old one is kept."""
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
        """The second connection of a subscription is restored in its place."""
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
        """A new signal at the address of a dead signal is not confused with it."""
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
        """A receiver that died in the block is not kept alive and not connected again."""

        def local(sender):
            pass

        signal.connect(local)
        with restored_subscriptions():
            signal.disconnect(local)
            del local
            gc.collect()
        assert not signal.receivers

    def test_receivers_of_dead_senders(self, signal):
        """A receiver for a sender that died is not connected again."""
        sender = Sender()
        signal.connect(first, sender)
        with restored_subscriptions():
            signal.disconnect(first)
            del sender
            gc.collect()
        assert not signal.receivers

    def test_what_an_import_connected(self, signal):
        """Functions of an imported module stay connected. Its local functions do not."""
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
                exec("if True:" + code, vars(module))  # noqa: S102 - an import does the same
                assert ["receiver", "local"] == names(signal)
            assert ["receiver"] == names(signal)
        finally:
            del sys.modules[module.__name__]

    def test_methods_and_callables(self, signal):
        """Bound methods, callable objects and methods written in C are restored unchanged."""
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

    def test_receivers_of_the_meta_signals(self, signal):
        """Restoring does not send the meta-signals."""
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
        """A durable name from the block is free after it; an earlier name is not."""
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
