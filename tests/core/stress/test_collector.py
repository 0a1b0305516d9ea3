"""The garbage collector runs code that uses a signal during an operation of the signal."""

import gc
import threading
from functools import partial
from weakref import ref

import pytest

from aldis import Signal
from tests.core.stress.table_checks import (
    assert_nothing_left,
    check_tables,
    connections,
    interrupt_everywhere,
)

pytestmark = pytest.mark.stress


class Sender:
    pass


class Roomy:
    """A sender of an unusual size, so that a new one gets the address of a dead one."""

    __slots__ = (*[f"unused_{number}" for number in range(30)], "__weakref__")


class Listener:
    """An object whose methods are receivers."""

    def receive(self, sender, **extra):
        """Receive."""
        return "ear"

    def receive_too(self, sender, **extra):
        """Receive with another method."""
        return "also"


def permanent(sender, **extra):
    """Receive. This receiver never dies."""
    return "permanent"


def _connect(signal, sender):
    signal.connect(new_receiver(), weak=False)
    signal.connect(new_receiver(), sender=sender, weak=False)


def _disconnect(signal, sender):
    signal.disconnect(permanent, sender=sender)
    signal.connect(permanent, sender=sender)
    signal.disconnect(permanent)
    signal.connect(permanent)


def _subscribe(signal, sender):
    with signal.connected_to(new_receiver(), sender), signal.subscribe(permanent, sender):
        pass


def _send(signal, sender):
    for each in (sender, "name", 70001, None):
        assert ("permanent",) == tuple(value for f, value in signal.send(each) if f is permanent)


def _send_anew(signal, sender):
    signal.connect(permanent, sender=sender)
    _send(signal, sender)


def _look(signal, sender):
    assert signal.has_receivers_for(sender)
    assert permanent in list(signal.receivers_for(sender))
    assert "permanent" in str(signal.explain(sender))
    assert signal.receivers
    assert len(list(signal.receivers.values())) > 0
    assert "receivers" in repr(signal.receivers)


def _clear(signal, sender):
    signal._clear_state()
    signal.connect(permanent)


def _mute(signal, sender):
    with signal.muted():
        assert signal.send(sender) == []


OPERATIONS = [_connect, _disconnect, _subscribe, _send, _send_anew, _look, _clear, _mute]


def new_receiver():
    """Make a receiver without another reference."""
    return lambda sender, **extra: "new"


def _last_disconnect(signal, sender, receiver):
    signal.disconnect(receiver)


def _last_scoped_disconnect(signal, sender, receiver):
    signal.disconnect(receiver, sender=sender)


def _last_connect(signal, sender, receiver):
    signal.connect(new_receiver(), sender=sender, weak=False)
    signal.connect(receiver, weak=False)


def _last_come_and_go(signal, sender, receiver):
    late = new_receiver()
    signal.connect(late, sender=sender)
    signal.connect(late)
    signal.disconnect(late)


def _last_send(signal, sender, receiver):
    signal.send(sender)
    signal.send(Sender())


LAST_WORDS = [
    _last_disconnect,
    _last_scoped_disconnect,
    _last_connect,
    _last_come_and_go,
    _last_send,
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__.strip("_"))
@pytest.mark.parametrize("last_words", LAST_WORDS, ids=lambda each: each.__name__.strip("_"))
def test_a_del_may_use_the_signal_at_any_allocation(operation, last_words, unraised):
    """A ``__del__`` that runs during an operation of the signal may use the signal."""

    def scene(interrupt):
        signal, sender, ear = Signal(), Sender(), Listener()
        receiver = new_receiver()
        signal.connect(permanent)
        signal.connect(receiver, sender=sender, weak=False)
        signal.connect(receiver)
        signal.connect(ear.receive, sender=Sender())  # the sender is dead but not removed yet
        signal.connect(ear.receive)
        signal.send(sender)
        words = partial(last_words, signal, sender, receiver)
        del receiver, ear
        with interrupt(words) as interruption:
            operation(signal, sender)
        check_tables(signal)
        assert "permanent" in [value for _, value in signal.send(sender)]
        signal._clear_state()
        assert_nothing_left(signal)
        return interruption

    assert interrupt_everywhere(scene) > 3
    assert unraised == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__.strip("_"))
def test_receivers_and_senders_may_die_at_any_allocation(operation, unraised):
    """A weakref callback may run while its thread holds the signal's lock."""

    def scene(interrupt):
        signal, sender = Signal(), Sender()
        mortal, mortal_sender, ear = new_receiver(), Sender(), Listener()
        signal.connect(permanent)
        signal.connect(mortal)
        signal.connect(mortal, sender=sender)
        signal.connect(ear.receive, sender=mortal_sender)
        signal.connect(new_receiver(), sender=mortal_sender, weak=False)
        signal.send(mortal_sender)
        mortals = [mortal, mortal_sender, ear]
        del mortal, mortal_sender, ear
        with interrupt(mortals.clear) as interruption:
            operation(signal, sender)
        check_tables(signal)
        assert "permanent" in [value for _, value in signal.send(sender)]
        signal._clear_state()
        assert_nothing_left(signal)
        return interruption

    assert interrupt_everywhere(scene) > 3
    assert unraised == []


def test_a_disconnect_during_a_connect_does_not_undo_the_connect(unraised):
    """A receiver that is disconnected during its second connect is connected afterwards."""

    def scene(interrupt):
        signal, sender, receiver = Signal(), Sender(), new_receiver()
        signal.connect(receiver, sender=sender)
        too_late = []

        def disconnect():
            too_late.extend(link for link in connections(signal) if not link.weak)
            signal.disconnect(receiver)

        with interrupt(disconnect) as interruption:
            signal.connect(receiver, sender=sender, weak=False)
        check_tables(signal)
        expected = [] if too_late else ["new"]
        assert expected == [value for _, value in signal.send(sender)]
        return interruption

    assert interrupt_everywhere(scene) > 1
    assert unraised == []


def test_a_dying_receiver_may_send_and_connect_itself_again(unraised):
    """A receiver whose ``__del__`` connects it again has one connection."""
    signal = Signal()
    revived = []

    class Revived:
        def __init__(self):
            self.itself = self

        def __call__(self, sender, **extra):
            return "phoenix"

        def __del__(self):
            if not revived:
                signal.send()
                signal.connect(self)
                signal.disconnect(self)
                signal.connect(self)
                revived.append(self)

    signal.connect(Revived())
    gc.collect()
    assert ["phoenix"] == [value for _, value in signal.send()]
    check_tables(signal)
    assert unraised == []
    revived[0].itself = None
    signal.disconnect(revived[0])
    assert_nothing_left(signal)


def test_an_object_at_the_address_of_a_removed_sender_has_no_receivers(unraised):
    """While a dead sender is removed, a new object at its address gets none of its receivers.

    The new object sends during the removal, from a ``__del__``.
    """
    reused, misled = [], []

    def new_object_sends(signal, address):
        others = [Roomy() for _ in range(20)]
        for each in others:
            if id(each) == address:
                reused.append(1)
                misled.extend(signal.send(each))

    def scene(interrupt):
        signal, sender, other = Signal(), Roomy(), Sender()
        receiver = new_receiver()
        signal.connect(receiver, sender=sender)
        signal.connect(receiver, sender=other)
        signal.send(other)
        signal.send(sender)  # both plans are published now
        words = partial(new_object_sends, signal, id(sender))
        with interrupt(words) as interruption:
            del sender
            signal._cleanup_bookkeeping()
        check_tables(signal)
        return interruption

    assert interrupt_everywhere(scene) > 1
    assert reused
    assert misled == []
    assert unraised == []


def test_a_disconnected_delivery_mode_is_released_at_once():
    """The plan of another sender does not keep a disconnected delivery mode alive."""

    class Target:
        def __call__(self, sender, **extra):
            return "target"

    class WithDeliveryMode:
        def __call__(self, sender, **extra):
            raise NotImplementedError

        def __bind_signal__(self, signal):
            target = Target()
            targets.append(ref(target))
            return target

    targets, signal, sender, delivered = [], Signal(), Sender(), WithDeliveryMode()
    signal.connect(permanent, sender=sender)
    signal.connect(delivered)
    assert ["permanent", "target"] == [value for _, value in signal.send(sender)]
    signal.disconnect(delivered)
    assert [None] == [target() for target in targets]


def test_bind_signal_may_connect_to_its_signal():
    """A ``__bind_signal__`` that connects another receiver to the signal does not hang."""

    class WithDeliveryMode:
        def __call__(self, sender, **extra):
            return "delivered"

        def __bind_signal__(self, signal):
            asked.append(signal)
            signal.connect(permanent)
            return self.__call__

    asked, signal, delivered = [], Signal(), WithDeliveryMode()
    signal.connect(delivered)
    assert ["permanent", "delivered"] == [value for _, value in signal.send()]
    assert [signal] == asked


def test_bind_signal_may_wait_for_another_thread():
    """Other threads may use the signal while ``__bind_signal__`` runs."""

    class WithDeliveryMode:
        def __call__(self, sender, **extra):
            return "delivered"

        def __bind_signal__(self, signal):
            thread = threading.Thread(target=signal.connect, args=(permanent,), daemon=True)
            thread.start()
            thread.join(10)
            finished.append(not thread.is_alive())
            return self.__call__

    finished, signal, delivered = [], Signal(), WithDeliveryMode()
    signal.connect(delivered)
    assert [True] == finished
    assert ["permanent", "delivered"] == [value for _, value in signal.send()]


def test_a_receiver_that_dies_with_a_dead_sender_is_ignored():
    """A strong receiver dies with its sender, and all connections of the receiver's object end."""
    signal, ear, sender = Signal(), Listener(), Sender()
    signal.connect(ear.receive, sender=sender, weak=False)
    signal.connect(ear.receive_too)
    del ear
    assert 2 == len(signal.receivers)
    del sender
    assert 0 == len(signal.receivers)
