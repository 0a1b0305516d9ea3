"""The garbage collector runs code that uses the signal in the middle of an operation."""

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
    """A sender of an unusual size: where one was, the next one is made."""

    __slots__ = (*[f"unused_{number}" for number in range(30)], "__weakref__")


class Ear:
    """An object whose methods are receivers."""

    def hear(self, sender, **extra):
        """Receive."""
        return "ear"

    def listen(self, sender, **extra):
        """Receive as well."""
        return "also"


def forever(sender, **extra):
    """Receive, and never die."""
    return "forever"


def _connect(signal, sender):
    signal.connect(new_receiver(), weak=False)
    signal.connect(new_receiver(), sender=sender, weak=False)


def _disconnect(signal, sender):
    signal.disconnect(forever, sender=sender)
    signal.connect(forever, sender=sender)
    signal.disconnect(forever)
    signal.connect(forever)


def _subscribe(signal, sender):
    with signal.connected_to(new_receiver(), sender), signal.subscribe(forever, sender):
        pass


def _send(signal, sender):
    for each in (sender, "name", 70001, None):
        assert ("forever",) == tuple(value for f, value in signal.send(each) if f is forever)


def _send_anew(signal, sender):
    signal.connect(forever, sender=sender)
    _send(signal, sender)


def _look(signal, sender):
    assert signal.has_receivers_for(sender)
    assert forever in list(signal.receivers_for(sender))
    assert "forever" in str(signal.explain(sender))
    assert signal.receivers
    assert len(list(signal.receivers.values())) > 0
    assert "receivers" in repr(signal.receivers)


def _clear(signal, sender):
    signal._clear_state()
    signal.connect(forever)


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
def test_a_del_that_uses_the_signal_may_come_at_any_allocation(operation, last_words, unraised):
    """A ``__del__`` may use the signal in the middle of an operation."""

    def scene(interrupt):
        signal, sender, ear = Signal(), Sender(), Ear()
        receiver = new_receiver()
        signal.connect(forever)
        signal.connect(receiver, sender=sender, weak=False)
        signal.connect(receiver)
        signal.connect(ear.hear, sender=Sender())  # the sender is dead, and waits to be swept
        signal.connect(ear.hear)
        signal.send(sender)
        words = partial(last_words, signal, sender, receiver)
        del receiver, ear
        with interrupt(words) as interruption:
            operation(signal, sender)
        check_tables(signal)
        assert "forever" in [value for _, value in signal.send(sender)]
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
        mortal, mortal_sender, ear = new_receiver(), Sender(), Ear()
        signal.connect(forever)
        signal.connect(mortal)
        signal.connect(mortal, sender=sender)
        signal.connect(ear.hear, sender=mortal_sender)
        signal.connect(new_receiver(), sender=mortal_sender, weak=False)
        signal.send(mortal_sender)
        mortals = [mortal, mortal_sender, ear]
        del mortal, mortal_sender, ear
        with interrupt(mortals.clear) as interruption:
            operation(signal, sender)
        check_tables(signal)
        assert "forever" in [value for _, value in signal.send(sender)]
        signal._clear_state()
        assert_nothing_left(signal)
        return interruption

    assert interrupt_everywhere(scene) > 3
    assert unraised == []


def test_a_connect_is_not_lost_to_a_disconnect_in_its_middle(unraised):
    """A receiver that is disconnected while it is connected again is connected in the end."""

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


def test_a_receiver_that_dies_may_send_and_revive_itself(unraised):
    """A receiver whose ``__del__`` connects it again is connected again, and only once."""
    signal = Signal()
    revived = []

    class Phoenix:
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

    signal.connect(Phoenix())
    gc.collect()
    assert ["phoenix"] == [value for _, value in signal.send()]
    check_tables(signal)
    assert unraised == []
    revived[0].itself = None
    signal.disconnect(revived[0])
    assert_nothing_left(signal)


def test_a_stranger_is_no_dead_sender_while_it_is_swept(unraised):
    """A new object at the address of a sender that is just being swept gets none of its receivers.

    The stranger sends in the middle of the sweep, from a ``__del__``.
    """
    strangers, misled = [], []

    def stranger_sends(signal, address):
        others = [Roomy() for _ in range(20)]
        for stranger in others:
            if id(stranger) == address:
                strangers.append(1)
                misled.extend(signal.send(stranger))

    def scene(interrupt):
        signal, sender, other = Signal(), Roomy(), Sender()
        receiver = new_receiver()
        signal.connect(receiver, sender=sender)
        signal.connect(receiver, sender=other)
        signal.send(other)
        signal.send(sender)  # both are published now
        words = partial(stranger_sends, signal, id(sender))
        with interrupt(words) as interruption:
            del sender
            signal._cleanup_bookkeeping()
        check_tables(signal)
        return interruption

    assert interrupt_everywhere(scene) > 1
    assert strangers
    assert misled == []
    assert unraised == []


def test_what_an_undone_connection_called_is_let_go_at_once():
    """The plan of another sender does not keep a disconnected delivery mode alive."""

    class Target:
        def __call__(self, sender, **extra):
            return "target"

    class Delivered:
        def __call__(self, sender, **extra):
            raise NotImplementedError

        def __bind_signal__(self, signal):
            target = Target()
            targets.append(ref(target))
            return target

    targets, signal, sender, delivered = [], Signal(), Sender(), Delivered()
    signal.connect(forever, sender=sender)
    signal.connect(delivered)
    assert ["forever", "target"] == [value for _, value in signal.send(sender)]
    signal.disconnect(delivered)
    assert [None] == [target() for target in targets]


def test_a_binding_that_connects_to_the_same_signal():
    """A receiver that connects a companion when it is asked how it is reached does not hang."""

    class Delivered:
        def __call__(self, sender, **extra):
            return "delivered"

        def __bind_signal__(self, signal):
            asked.append(signal)
            signal.connect(forever)
            return self.__call__

    asked, signal, delivered = [], Signal(), Delivered()
    signal.connect(delivered)
    assert ["forever", "delivered"] == [value for _, value in signal.send()]
    assert [signal] == asked


def test_a_binding_that_waits_for_another_thread():
    """A receiver is asked how it is reached while other threads may use the signal."""

    class Delivered:
        def __call__(self, sender, **extra):
            return "delivered"

        def __bind_signal__(self, signal):
            thread = threading.Thread(target=signal.connect, args=(forever,), daemon=True)
            thread.start()
            thread.join(10)
            finished.append(not thread.is_alive())
            return self.__call__

    finished, signal, delivered = [], Signal(), Delivered()
    signal.connect(delivered)
    assert [True] == finished
    assert ["forever", "delivered"] == [value for _, value in signal.send()]


def test_a_receiver_that_dies_of_a_dead_sender_does_not_count():
    """A dead sender's strong receiver dies with it, and so do its object's other connections."""
    signal, ear, sender = Signal(), Ear(), Sender()
    signal.connect(ear.hear, sender=sender, weak=False)
    signal.connect(ear.listen)
    del ear
    assert 2 == len(signal.receivers)
    del sender
    assert 0 == len(signal.receivers)
