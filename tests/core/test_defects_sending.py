"""The defects of blinker 1.9.0 in sends, muting and threads, and the behaviour of aldis.

Each test runs twice, on aldis and on blinker. blinker must fail it.
"""

import copy
import inspect
import pickle
import sys
from functools import partial
from threading import Barrier, Thread
from time import monotonic
from unittest.mock import MagicMock

import pytest

import aldis
from tests.core.support import Recorder, Sender, blinker_raises


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestOrder:
    def test_receivers_run_in_connection_order(self, library):
        """Fifty receivers run in the order in which they were connected."""
        signal = library.Signal()
        receivers = [Recorder() for _ in range(50)]
        for receiver in receivers:
            signal.connect(receiver)
        assert receivers == [receiver for receiver, _ in signal.send()]

    def test_order_holds_across_any_sender_and_this_sender(self, library):
        """A receiver of one sender, connected first, runs before one of any sender."""
        signal = library.Signal()
        first, second, third = (Recorder() for _ in range(3))
        signal.connect(first, "north")
        signal.connect(second)
        signal.connect(third, "north")
        # blinker's sets order these three by hash. At least one of the rounds has a wrong order.
        rounds = [signal.send("north")]
        signal.disconnect(first)
        signal.connect(first, "north")
        rounds.append(signal.send("north"))
        order = [[receiver for receiver, _ in results] for results in rounds]
        assert [[first, second, third], [second, third, first]] == order

    def test_a_receiver_disconnected_by_an_earlier_one_is_skipped(self, library):
        """A disconnect for one sender takes effect during the send, as a full disconnect does."""
        signal, later = library.Signal(), Recorder()
        senders = ["north"] * 8
        receivers = [Recorder() for _ in senders]

        def drop(sender, **extra):
            for receiver in receivers:
                signal.disconnect(receiver, "north")

        receivers[0].__class__ = type("First", (Recorder,), {"__call__": lambda self, s: drop(s)})
        for receiver in receivers:
            signal.connect(receiver, "north")
        signal.connect(later)
        signal.send("north")
        assert [] == [each for receiver in receivers for each in receiver.senders]


def make_async():
    """Make a new async receiver."""

    async def receiver(sender):
        """Be awaited."""

    return receiver


class TestSyncAndAsync:
    def test_an_async_receiver_is_refused_before_any_receiver_ran(self, library):
        """``send`` raises before the first receiver when a later one is async."""
        heard = Recorder()
        # blinker's sets have a random order: in one of 20 signals, the sync receiver comes first.
        for number in range(20):
            signal = library.Signal()
            receivers = [partial(heard, number=number), make_async()]
            for receiver in receivers:
                signal.connect(receiver)
            with pytest.raises(RuntimeError):
                signal.send()
        assert [] == heard.payloads

    @blinker_raises(RuntimeError)
    async def test_an_object_with_an_async_call_method_is_async(self, library):
        """``send_async`` awaits an object whose ``__call__`` is a coroutine function."""

        class Receiver:
            async def __call__(self, sender):
                return sender

        signal, receiver = library.Signal(), Receiver()
        signal.connect(receiver)
        assert [(receiver, "north")] == await signal.send_async("north")

    @blinker_raises(RuntimeError)
    def test_a_mock_of_a_sync_function_is_sync(self, library):
        """``MagicMock(spec=function)`` does not count as async."""
        signal, mock = library.Signal(), MagicMock(spec=receive, return_value=7)
        signal.connect(mock)
        assert [(mock, 7)] == signal.send("north")

    @blinker_raises(RuntimeError)
    def test_a_relay_forwards_the_async_wrapper(self, library):
        """``a.connect(b.send)`` lets the async receivers of b run with the wrapper of a."""
        near, far, heard = library.Signal(), library.Signal(), []

        @far.connect
        async def receiver(sender):
            """Be awaited."""

        near.connect(far.send)
        near.send("north", _async_wrapper=lambda function: heard.append)
        assert ["north"] == heard

    def test_connect_decides_whether_a_receiver_is_async(self, library):
        """A send does not call ``inspect.iscoroutinefunction``."""
        signal, asked = library.Signal(), []
        signal.connect(receive)

        def profile(frame, event, argument):
            if event == "call" and frame.f_code is inspect.iscoroutinefunction.__code__:
                asked.append(frame)

        sys.setprofile(profile)
        try:
            signal.send()
            signal.send()
        finally:
            sys.setprofile(None)
        assert [] == asked


class TestMuting:
    def test_muted_blocks_nest(self, library):
        """The end of an inner block does not unmute the outer one."""
        signal = library.Signal()
        signal.connect(receive)
        with signal.muted():
            with signal.muted():
                pass
            assert [] == signal.send()
        assert [(receive, None)] == signal.send()

    @blinker_raises(TypeError)
    def test_muting_can_leave_other_threads_alone(self, library):
        """``muted(everywhere=False)`` mutes only the sends of this context."""
        signal, heard = library.Signal(), Recorder()
        signal.connect(heard)
        with signal.muted(everywhere=False):
            other = Thread(target=signal.send, args=("thread",))
            other.start()
            other.join()
            signal.send("here")
        assert ["thread"] == heard.senders


class TestErrors:
    @blinker_raises(AttributeError)
    def test_a_robust_send_calls_every_receiver(self, library):
        """``send_robust`` continues after an error and returns the error."""
        signal, error = library.Signal(), ValueError("lamp out")

        @signal.connect
        def fail(sender):
            raise error

        signal.connect(receive)
        outcomes = signal.send_robust("north")
        assert [aldis.Outcome(fail, None, error), aldis.Outcome(receive, "north")] == outcomes


class TestPickling:
    @blinker_raises(TypeError)
    def test_a_named_signal_pickles_to_itself(self, library):
        """Unpickling a named signal of an importable namespace returns that signal."""
        signal = library.signal("test-defects-pickled")
        signal.connect(receive)
        assert signal is pickle.loads(pickle.dumps(signal))  # noqa: S301 - the test pickles the signal itself

    def test_a_copy_of_a_named_signal_is_the_signal(self, library):
        """``copy.copy`` and ``deepcopy`` return the signal, so two signals share no state."""
        signal = library.signal("test-defects-copied")
        assert signal is copy.copy(signal)
        assert signal is copy.deepcopy(signal)

    def test_an_unnamed_signal_with_receivers_cannot_be_copied(self, library):
        """A copy would share the receivers, so ``copy`` raises an error."""
        signal = library.Signal()
        signal.connect(receive)
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copy.copy(signal)


class TestReceiversThatDieBeforeTheirFirstCall:
    @pytest.mark.parametrize("kind", ["lambda", "partial", "method"])
    def test_strict_mode_reports_the_dead_receiver(self, library, kind, strict):
        """Strict mode reports the location of a weak receiver that died before its first call."""
        signal = library.Signal()
        signal.connect(
            {
                "lambda": lambda sender: None,
                "partial": partial(receive, colour="red"),
                "method": Recorder().__call__,
            }[kind]
        )
        with pytest.warns(aldis.errors.StrictWarning, match="died before it was ever called"):
            signal.send()


@pytest.fixture
def frequent_switches():
    """Let the interpreter switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
class TestThreads:
    def test_two_threads_get_one_signal_for_a_name(self, library):
        """Simultaneous calls of ``Namespace.signal`` with one name return one object."""
        found, deadline = [], monotonic() + 4
        for number in range(20_000):
            namespace, barrier, pair = library.Namespace(), Barrier(2), []

            def look(namespace=namespace, barrier=barrier, pair=pair):
                barrier.wait()
                pair.append(namespace.signal("order-paid"))

            threads = [Thread(target=look) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found.append(pair[0] is pair[1])
            if not found[-1] or monotonic() > deadline or (library is aldis and number == 300):
                break
        assert all(found)

    def test_tables_change_while_they_are_used(self, library):
        """Two threads connect and disconnect new senders again and again without an error."""
        signal, errors, deadline = library.Signal(), [], monotonic() + 0.5

        def churn():
            receivers = [Recorder() for _ in range(20)]
            while monotonic() < deadline and not errors:
                try:
                    for number, receiver in enumerate(receivers):
                        signal.connect(receiver, Sender())
                        signal.connect(receiver, f"{id(receivers)} {number}")
                    for receiver in receivers:
                        signal.disconnect(receiver)
                    signal._cleanup_bookkeeping()
                except Exception as error:  # noqa: BLE001 - the test fails with any error
                    errors.append(error)

        threads = [Thread(target=churn) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == errors
