"""Receivers and senders that come and go leave no memory behind.

The large size of the tests makes a million rounds of each kind, which takes some minutes.
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

#: Blocks that come and go with caches of the interpreter, whatever the number of rounds.
SLACK = 300

pytestmark = pytest.mark.stress


class Sender:
    pass


class Ear:
    """An object whose method is a receiver."""

    def hear(self, sender, **extra):
        """Receive."""


def resident(sender, **extra):
    """Receive, and stay."""


def come_and_go(signal):
    """Connect a new function for a new sender, send, and let both die."""
    sender = Sender()

    def receiver(sender, **extra):
        return None

    signal.connect(receiver, sender=sender)
    signal.send(sender)


def short_lives(signal):
    """Connect a new function for a new sender, and let both die."""
    sender = Sender()

    def receiver(sender, **extra):
        return None

    signal.connect(receiver, sender=sender)


def weak_function(signal):
    """Connect a new function for any sender and let it die unheard."""

    def receiver(sender, **extra):
        return None

    signal.connect(receiver)


def weak_method(signal):
    """Connect a method of a new object, twice, and let it die."""
    ear = Ear()
    signal.connect(ear.hear)
    signal.connect(ear.hear, sender="name")
    signal.send("name")


def builtin_method(signal):
    """Connect a method written in C of a new object and let it die."""
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


def new_words(signal, count=iter(range(10**9))):  # noqa: B008 - all rounds share it
    """Connect for a new word and a new number, and disconnect."""
    number = next(count) + 10**6
    for sender in (f"word {number}", number):
        signal.connect(resident, sender=sender)
        signal.send(sender)
        signal.disconnect(resident, sender=sender)


def unweakrefable_sender(signal):
    """Connect for a sender that has to be held, and disconnect."""
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
    """Connect in vain: it cannot be held weakly."""
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
    """Return by how many blocks of memory ``work`` grows when it is done ``times`` times."""
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


@pytest.mark.parametrize("work", [short_lives, send_only], ids=lambda each: each.__name__)
def test_receivers_and_senders_that_die(work):
    """Weak receivers for as many senders leave the memory as it was when they have died."""
    signal = Signal()
    assert grown(work, signal, MOST) < SLACK
    assert_nothing_left(signal)


@pytest.mark.parametrize("work", [come_and_go, *ROUNDS], ids=lambda each: each.__name__)
def test_churn_beside_those_who_stay(work):
    """While other receivers come and go, permanent receivers use no more memory and are called."""
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


@pytest.mark.parametrize("work", [come_and_go, *ROUNDS, failing], ids=lambda each: each.__name__)
def test_nothing_is_traced_to_the_engine(work):
    """No line of the engine keeps memory that grows with the number of rounds."""
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


def test_many_at_once():
    """Fifty thousand dead receivers are removed in one operation."""
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
