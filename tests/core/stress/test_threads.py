"""Many threads use one signal at once, and the interpreter switches between them often."""

import faulthandler
import gc
import random
import sys
import threading
from weakref import ref

import pytest

import aldis
from aldis import Namespace, Signal
from tests.core.stress.table_checks import assert_nothing_left, check_tables
from tests.sizes import sized

pytestmark = pytest.mark.stress

THREADS = sized(4, 8)
ROUNDS = sized(500, 3000)
NAMES = ROUNDS // 5
LIMIT = 60  # seconds after which a test ends threads that wait for each other


class Sender:
    pass


class Listener:
    """An object whose method is a receiver."""

    def receive(self, sender, **extra):
        """Receive."""
        return "ear"


def quiet(sender, **extra):
    """Receive."""
    return "quiet"


@pytest.fixture(autouse=True)
def frequent_switches():
    """Let the threads switch often. If they hang, print their tracebacks."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    faulthandler.dump_traceback_later(LIMIT - 5, exit=False)
    yield
    faulthandler.cancel_dump_traceback_later()
    sys.setswitchinterval(before)


def run_threads(*works):
    """Run each of ``works`` in a thread, and raise the exception of a failed thread."""
    errors = []
    barrier = threading.Barrier(len(works))

    def run(work):
        try:
            barrier.wait(LIMIT)
            work()
        except BaseException as error:  # noqa: BLE001 - run_threads raises it in the main thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not [thread for thread in threads if thread.is_alive()]
    if errors:
        raise errors[0]


class RandomOperations:
    """Random operations of many threads on one signal."""

    def __init__(self, signal, permanent, seed):
        self.signal = signal
        self.sender, self.receivers = permanent
        self.random = random.Random(seed)
        self.other = Sender()
        self.remains = []  # weak references to dropped receivers and senders

    def __call__(self):
        """Run random operations."""
        chances = [
            self.send,
            self.scoped_send,
            self.weak_receiver,
            self.strong_receiver,
            self.method,
            self.subscriptions,
            self.mortal_sender,
            self.word,
            self.same_for_all,
            self.look,
            self.robust,
        ]
        for step in range(ROUNDS):
            self.random.choice(chances)()
            if step % 100 == 0:
                gc.collect(0)

    def expect_permanent(self, answers):
        """Assert that each permanent receiver was called once, in connection order."""
        assert list(range(len(self.receivers))) == [each for each in answers if type(each) is int]

    def send(self):
        """Send to the permanent receivers."""
        self.expect_permanent([value for _, value in self.signal.send(self.sender, a=1)])

    def robust(self):
        """Send to the permanent receivers with ``send_robust``."""
        self.expect_permanent([each.value for each in self.signal.send_robust(self.sender)])

    def scoped_send(self):
        """Send from a sender that has a permanent receiver."""
        answers = [value for _, value in self.signal.send(self.random.choice([Sender(), "x", 3]))]
        assert answers.count(0) == 1

    def weak_receiver(self):
        """Connect a function, and let it die."""

        def weak(sender, **extra):
            return "weak"

        scope = self.random.choice([aldis.ANY, self.sender, self.other])
        self.signal.connect(weak, sender=scope)
        expected = [] if scope is self.other else [weak]
        assert expected == [r for r, _ in self.signal.send(self.sender) if r is weak]
        self.remains.append(ref(weak))

    def strong_receiver(self):
        """Connect a function, and disconnect it."""

        def strong(sender, **extra):
            return "strong"

        scope = self.random.choice([aldis.ANY, self.sender])
        self.signal.connect(strong, sender=scope, weak=False)
        assert [strong] == [r for r, _ in self.signal.send(self.sender) if r is strong]
        self.signal.disconnect(strong)
        assert [] == [r for r, _ in self.signal.send(self.sender) if r is strong]
        self.remains.append(ref(strong))

    def method(self):
        """Connect a method of an object that dies."""
        ear = Listener()
        self.signal.connect(ear.receive)
        self.signal.connect(ear.receive, sender=self.sender)
        assert [ear.receive] == [r for r, _ in self.signal.send(self.sender) if r == ear.receive]
        self.remains.append(ref(ear))

    def subscriptions(self):
        """Connect one function in several blocks."""

        def owned(sender, **extra):
            return "owned"

        with self.signal.connected_to(owned, self.sender):
            with self.signal.subscribe(owned, self.sender), self.signal.connected_to(owned):
                pass
            assert [owned] == [r for r, _ in self.signal.send(self.sender) if r is owned]
        assert owned not in list(self.signal.receivers_for(self.sender))
        self.remains.append(ref(owned))

    def mortal_sender(self):
        """Connect for a sender that dies."""
        sender = Sender()

        def bound(sender, **extra):
            return "bound"

        self.signal.connect(bound, sender=sender, weak=False)
        assert "bound" in [value for _, value in self.signal.send(sender)]
        assert "bound" not in [value for _, value in self.signal.send(Sender())]
        self.remains += [ref(sender), ref(bound)]

    def word(self):
        """Connect for a sender that is matched by its value."""
        word = f"word {self.random.random()}"

        def spelt(sender, **extra):
            return "spelt"

        self.signal.connect(spelt, sender=word)
        assert "spelt" in [value for _, value in self.signal.send("".join(word))]

    def same_for_all(self):
        """Connect the receiver that all threads connect."""
        self.signal.connect(quiet, sender=self.sender)
        self.signal.disconnect(quiet, sender=self.sender)

    def look(self):
        """Call the inspection methods."""
        assert self.signal.has_receivers_for(self.sender)
        assert len(self.signal.receivers) >= len(self.receivers)
        assert len(list(self.signal.receivers.values())) >= len(self.receivers)
        assert "permanent" in str(self.signal.explain(self.sender))


def test_all_operations_at_once(unraised):
    """No operation raises, no receiver is lost, and no memory leaks."""
    signal, sender = Signal(), Sender()
    receivers = []
    for number in range(4):

        def permanent(sender, number=number, **extra):
            return number

        receivers.append(permanent)
        signal.connect(permanent, sender=sender if number % 2 else aldis.ANY)
    lives = [RandomOperations(signal, (sender, receivers), seed) for seed in range(THREADS)]
    run_threads(*lives)
    check_tables(signal)
    signal.disconnect(quiet)
    assert receivers == list(signal.receivers_for(sender))
    gc.collect()
    assert [] == [each() for life in lives for each in life.remains if each() is not None]
    check_tables(signal)
    assert [0, 2] == [value for _, value in signal.send()]
    receivers.clear()
    del permanent
    lives.clear()
    assert_nothing_left(signal)
    assert unraised == []


def test_a_connect_and_a_disconnect_take_effect_at_once(unraised):
    """Each send between a receiver's connect and disconnect calls it, and no later send.

    Operations of other threads do not matter.
    """
    signal = Signal()

    def work():
        for number in range(ROUNDS):
            sender = (f"sender {number % 7}", number % 5)[number % 2]

            def mine(sender, **extra):
                return "mine"

            signal.connect(mine, sender=sender)
            assert mine in [receiver for receiver, _ in signal.send(sender)]
            signal.disconnect(mine, sender=sender)
            assert mine not in [receiver for receiver, _ in signal.send(sender)]

    run_threads(*[work] * THREADS)
    assert_nothing_left(signal)
    assert unraised == []


def test_an_object_at_the_address_of_a_dead_sender():
    """An object at the address of a dead sender does not get the sender's receivers."""
    signal = Signal()

    def work():
        for _ in range(ROUNDS):
            sender = Sender()

            address = id(sender)

            def private(sender, address=address, **extra):
                return address

            signal.connect(private, sender=sender, weak=False)
            assert [address] == [value for _, value in signal.send(sender)]
            del sender, private
            for _ in range(3):
                assert signal.send(Sender()) == []

    run_threads(*[work] * THREADS)
    assert_nothing_left(signal)


def test_one_receiver_for_many_threads():
    """Threads that subscribe one receiver count as separate owners."""
    signal = Signal()

    def work():
        for _ in range(ROUNDS):
            with signal.subscribe(quiet, "sender"):
                assert ["quiet"] == [value for _, value in signal.send("sender")]

    run_threads(*[work] * THREADS)
    assert_nothing_left(signal)


def test_cycles_that_use_other_signals_when_they_die(unraised):
    """Finalizers in several threads use two signals in different order without a deadlock."""
    signals = [Signal(), Signal()]

    class Node:
        def __init__(self, number):
            self.number = number
            self.itself = self
            signals[number % 2].connect(self.receive)

        def receive(self, sender, **extra):
            return self.number

        def __del__(self):
            for each in signals[:: 1 if self.number % 3 else -1]:
                each.disconnect(self.receive)
                each.connect(quiet)

    def work():
        for number in range(NAMES):
            Node(number)
            signals[number % 2].send(number)

    before = gc.get_threshold()
    gc.set_threshold(20, 5, 5)
    try:
        run_threads(*[work] * THREADS)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    for each in signals:
        each.disconnect(quiet)
        assert_nothing_left(each)
    assert unraised == []


def test_threads_get_one_signal_for_a_name():
    """Threads that call ``signal`` of a namespace with one name at once get one signal."""
    found = []

    def work():
        found.extend((each, namespace.signal(f"signal {each}", doc="one")) for each in range(NAMES))

    namespace = Namespace()
    run_threads(*[work] * THREADS)
    assert THREADS * NAMES == len(found)
    assert all(each is namespace[f"signal {number}"] for number, each in found)


@pytest.mark.parametrize("name", ["receiver_connected", "receiver_disconnected"])
def test_threads_get_one_meta_signal(name):
    """Threads that read a signal's meta-signal at once get one object."""
    signals = [Signal() for _ in range(NAMES)]
    found = [[] for _ in signals]

    def work():
        for each, those in zip(signals, found, strict=True):
            those.append(getattr(each, name))

    run_threads(*[work] * THREADS)
    assert [1] * len(signals) == [len(set(map(id, each))) for each in found]


def test_muting_wins_over_an_outdated_change_of_another_thread():
    """If a thread waits to undo another change, the signal is muted in the end."""
    signal = Signal()
    signal.connect(quiet)
    signal.continue_on_error = True
    thread = threading.Thread(target=setattr, args=(signal, "continue_on_error", False))
    block = signal.muted()
    with signal._registry.lock:
        thread.start()
        thread.join(0.1)  # it waits for the lock now, with outdated information
        block.__enter__()
    thread.join(LIMIT)
    assert [[], []] == [signal.send(), signal.send()]
    block.__exit__(None, None, None)
    assert ["quiet"] == [value for _, value in signal.send()]
