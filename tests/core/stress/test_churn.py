"""Short-lived receivers and senders do not leak memory.

The large size of the tests runs a million rounds of each kind and takes some minutes.
"""

import gc
import sys
import tracemalloc
from collections import deque
from itertools import repeat

import pytest

from aldis import Signal
from tests.core.stress.table_checks import assert_nothing_left, check_tables
from tests.sizes import sized

MOST = sized(100_000, 1_000_000)
MANY = sized(5_000, 1_000_000)

#: Memory blocks by which caches of the interpreter may grow, for any number of rounds.
SLACK = 300

#: Lists are senders without weak references here.
pytestmark = [pytest.mark.stress, pytest.mark.filterwarnings("ignore::aldis.errors.SenderWarning")]


class Sender:
    pass


class Listener:
    """An object whose method is a receiver."""

    def receive(self, sender, **extra):
        """Receive."""


def resident(sender, **extra):
    """Receive. This receiver stays connected."""


def connect_send_drop(signal):
    """Connect a new function for a new sender, send, and let both die."""
    sender = Sender()

    def receiver(sender, **extra):
        return None

    signal.connect(receiver, sender=sender)
    signal.send(sender)


def connect_and_drop(signal):
    """Connect a new function for a new sender, and let both die."""
    sender = Sender()

    def receiver(sender, **extra):
        return None

    signal.connect(receiver, sender=sender)


def weak_function(signal):
    """Connect a new function for any sender and let it die without a send."""

    def receiver(sender, **extra):
        return None

    signal.connect(receiver)


def weak_method(signal):
    """Connect a method of a new object, twice, and let it die."""
    ear = Listener()
    signal.connect(ear.receive)
    signal.connect(ear.receive, sender="name")
    signal.send("name")


def builtin_method(signal):
    """Connect a method in C of a new object and let the object die."""
    signal.connect(deque(maxlen=1).append)
    signal.send("name")


def strong_function(signal):
    """Connect a new function strongly and disconnect it."""

    def receiver(sender, **extra):
        return None

    signal.connect(receiver, weak=False)
    signal.send("name")
    signal.disconnect(receiver)


def strong_for_a_sender(signal):
    """Connect a new function strongly for a sender that dies."""
    sender = Sender()
    signal.connect(lambda sender, **extra: None, sender=sender, weak=False)
    signal.send(sender)


def same_for_new_senders(signal):
    """Connect one function for new senders, one after the other."""
    sender = Sender()
    signal.connect(resident, sender=sender)
    signal.send(sender)


def new_words(signal, count=iter(range(10**9))):  # noqa: B008 - all rounds share the iterator
    """Connect for a new str and a new int, and disconnect."""
    number = next(count) + 10**6
    for sender in (f"word {number}", number):
        signal.connect(resident, sender=sender)
        signal.send(sender)
        signal.disconnect(resident, sender=sender)


def unweakrefable_sender(signal):
    """Connect for a sender without weak references, and disconnect."""
    sender = [1]
    signal.connect(resident, sender=sender)
    signal.send(sender)
    signal.disconnect(resident, sender=sender)


def subscription(signal):
    """Connect a new function for the length of a block."""
    sender = Sender()
    with signal.connected_to(lambda sender, **extra: None, sender):
        signal.send(sender)


def handle(signal):
    """Subscribe a function that dies before its handle is cancelled."""
    held = signal.subscribe(lambda sender, **extra: None)
    signal.send("name")
    held.cancel()


def send_only(signal):
    """Send from a new object, a new text and a new number without receivers."""
    signal.send(Sender())
    signal.send(str(id(signal)))
    signal.send(id(signal))


def failing(signal):
    """Try to connect a receiver without weak references."""
    with pytest.raises(TypeError):
        signal.connect([].append, sender=Sender())


ROUNDS = [
    weak_function,
    weak_method,
    builtin_method,
    strong_function,
    strong_for_a_sender,
    same_for_new_senders,
    new_words,
    unweakrefable_sender,
    subscription,
    handle,
    send_only,
]


def grown(work, signal, times):
    """Return the number of memory blocks that ``times`` calls of ``work`` leak."""
    for _ in repeat(None, 1000):
        work(signal)
    signal._cleanup_bookkeeping()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in repeat(None, times):
        work(signal)
    signal._cleanup_bookkeeping()
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize("work", [connect_and_drop, send_only], ids=lambda each: each.__name__)
def test_dead_receivers_and_senders_use_no_memory(work):
    """After the death of weak receivers and their senders, memory use is as before."""
    signal = Signal()
    assert grown(work, signal, MOST) < SLACK
    assert_nothing_left(signal)


@pytest.mark.parametrize("work", [connect_send_drop, *ROUNDS], ids=lambda each: each.__name__)
def test_short_lived_receivers_do_not_affect_permanent_ones(work):
    """Permanent receivers are called and use no more memory while others connect and die."""
    signal, sender = Signal(), Sender()
    receivers = [lambda sender, number=number, **extra: number for number in range(3)]
    for receiver, scope in zip(receivers, (Signal.ANY, sender, "name"), strict=True):
        signal.connect(receiver, sender=scope)
    assert grown(work, signal, MANY) < SLACK
    check_tables(signal)
    assert [0, 1] == [value for _, value in signal.send(sender)]
    assert [0, 2] == [value for _, value in signal.send("name")]
    receivers.clear()
    del receiver
    assert_nothing_left(signal)


@pytest.mark.parametrize(
    "work", [connect_send_drop, *ROUNDS, failing], ids=lambda each: each.__name__
)
def test_no_line_of_the_engine_leaks(work):
    """The memory of no line of the engine grows with the number of rounds."""
    signal = Signal()
    for _ in repeat(None, 200):
        work(signal)
    signal._cleanup_bookkeeping()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in repeat(None, 2000):
            work(signal)
        signal._cleanup_bookkeeping()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 20_000  # ten bytes a round
    assert_nothing_left(signal)


def test_many_dead_receivers_are_removed_at_once():
    """One operation removes fifty thousand dead receivers."""
    signal = Signal()
    receivers = [lambda sender, **extra: None for _ in range(50_000)]
    senders = [Sender() for _ in range(1000)]
    for number, receiver in enumerate(receivers):
        signal.connect(receiver, sender=senders[number % 1000])
    assert 50_000 == len(signal.receivers)
    assert 50 == len(signal.send(senders[1]))
    senders.clear()
    assert 0 == len(signal.receivers)
    assert_nothing_left(signal)
