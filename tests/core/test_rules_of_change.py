"""The rules of dispatch about exact undo, threads, failures, async and views."""

import asyncio
import gc
from threading import Event, Thread
from weakref import ref

import pytest

from aldis.errors import AsyncReceiverError
from tests.core.support import Recorder, Sender, collect, run_python


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestRule5ExactUndo:
    def test_connected_to_undoes_only_its_own_connection(self, signal):
        """A connection that existed before the block exists after it."""
        signal.connect(receive, "north")
        with signal.connected_to(receive, "north"):
            assert [(receive, "north")] == signal.send("north")
        assert [(receive, "north")] == signal.send("north")

    def test_connected_to_restores_the_strength(self, signal):
        """A receiver that was weakly connected before is weak again after the block."""
        receiver = Recorder()
        signal.connect(receiver)
        with signal.connected_to(receiver):
            pass
        del receiver
        assert not signal.receivers

    def test_connected_to_undoes_after_an_error(self, signal):
        """The block undoes its connection even if an error ends the block."""
        with pytest.raises(ValueError, match="lamp"), signal.connected_to(receive):
            raise ValueError("lamp")
        assert [] == signal.send()

    def test_connected_to_keeps_its_receiver_alive(self, signal):
        """A lambda lives for the length of the block."""
        with signal.connected_to(lambda sender: 7):
            assert [7] == [value for _, value in signal.send()]

    def test_muted_blocks_nest(self, signal):
        """Only the end of the outermost block unmutes."""
        signal.connect(receive)
        with signal.muted(), signal.muted():
            assert [] == signal.send()
        assert [(receive, None)] == signal.send()


class TestRule6AnyThreadAnyTime:
    def test_no_connection_of_concurrent_threads_is_lost(self, signal):
        """All connections that four threads make at once exist afterwards."""
        receivers = [[Recorder() for _ in range(100)] for _ in range(4)]

        def connect(mine):
            for receiver in mine:
                signal.connect(receiver)

        threads = [Thread(target=connect, args=(mine,)) for mine in receivers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 400 == len(signal.send())

    def test_threads_connect_disconnect_send_and_drop_receivers_at_once(self, signal):
        """The threads see no error, and each send calls the receiver that stays connected."""
        bystander, errors, sends = Recorder(), [], []
        signal.connect(bystander)
        done = Event()

        def run(work):
            try:
                while not done.is_set():
                    work()
            except Exception as error:  # noqa: BLE001 - the test fails with any error
                errors.append(error)

        def churn():
            receiver, sender = Recorder(), Sender()
            signal.connect(receiver, sender)
            signal.connect(receiver.__call__)
            signal.disconnect(receiver, sender)

        def send():
            sends.append(1)
            signal.send("north")

        def look():
            signal.explain("north")
            list(signal.receivers_for("north"))
            len(signal.receivers)

        threads = [Thread(target=run, args=(work,)) for work in (churn, churn, send, look)]
        for thread in threads:
            thread.start()
        done.wait(0.4)
        done.set()
        for thread in threads:
            thread.join()
        assert [] == errors
        assert len(sends) == len(bystander.senders)

    def test_a_finaliser_may_disconnect_during_a_connect(self, signal):
        """A ``__del__`` that the collector runs inside ``connect`` may disconnect."""

        class DisconnectsAtItsEnd(Recorder):
            def __init__(self):
                super().__init__()
                self.me = self
                signal.connect(self, "north")

            def __del__(self):
                signal.disconnect(self, "north")

        threshold = gc.get_threshold()
        gc.set_threshold(1)
        try:
            for _ in range(50):
                DisconnectsAtItsEnd()
        finally:
            gc.set_threshold(*threshold)
        collect()
        assert not signal.receivers

    def test_the_death_of_a_receiver_during_a_connect_causes_no_deadlock(self, signal):
        """A finaliser that connects in another thread gets the lock."""

        class Dying:
            def __del__(self):
                thread = Thread(target=signal.connect, args=(receive, "south"))
                thread.start()
                thread.join(5)

        signal.connect(receive, Dying())
        assert [(receive, "south")] == signal.send("south")

    def test_the_lock_is_new_after_a_fork(self):
        """A child whose parent's other thread held the lock can connect."""
        printed = run_python(
            """
            import os, sys, threading, warnings
            import aldis

            warnings.simplefilter("ignore", DeprecationWarning)
            signal, entered, done = aldis.Signal(), threading.Event(), threading.Event()

            def hold():
                with signal._registry.lock:
                    entered.set()
                    done.wait()

            holder = threading.Thread(target=hold)
            holder.start()
            entered.wait()
            child = os.fork()
            if child == 0:
                signal.connect(print)
                os._exit(len(signal.send("from the child")))
            _, status = os.waitpid(child, 0)
            done.set()
            holder.join()
            print("receivers", os.waitstatus_to_exitcode(status))
            """,
            PYTHONUNBUFFERED="1",
        )
        assert "from the child\nreceivers 1" == printed

    def test_inspection_ignores_dead_receivers(self, signal):
        """``receivers``, ``has_receivers_for`` and ``explain`` ignore dead receivers."""
        receiver = Recorder()
        signal.connect(receiver, "north")
        del receiver
        assert 0 == len(signal.receivers)
        assert not signal.has_receivers_for("north")
        assert () == signal.explain("north").rows


class Broken:
    """A delivery mode whose ``__bind_signal__`` raises."""

    def __call__(self, sender):
        """Do nothing: ``connect`` fails before."""

    def __bind_signal__(self, signal):
        raise ValueError("no lamp")


class TestRule7FailedConnect:
    @pytest.mark.parametrize(
        ("receiver", "error"),
        [(7, TypeError), (str.upper, TypeError), (Broken(), ValueError)],
        ids=["not callable", "no weak references", "broken delivery"],
    )
    def test_a_failed_connect_changes_nothing(self, signal, receiver, error):
        """A refused receiver adds no entry to a table."""
        with pytest.raises(error):
            signal.connect(receiver, "north")
        assert 0 == len(signal.receivers)
        assert ({}, {}) == (signal._by_sender, signal._by_receiver)
        assert not signal.has_receivers_for("north")

    @pytest.mark.parametrize("how", ["connect", "subscribe"])
    def test_a_meta_receiver_that_refuses_changes_nothing(self, signal, how):
        """An error in a receiver of ``receiver_connected`` undoes the new connection."""
        signal.connect(receive, "north")

        def refuse(source, receiver, sender, weak):
            raise ValueError("not here")

        with (
            signal.receiver_connected.connected_to(refuse),
            pytest.raises(ValueError, match="not here"),
        ):
            getattr(signal, how)(receive, "south")
        assert [] == signal.send("south")
        assert [(receive, "north")] == signal.send("north")

    def test_a_meta_receiver_that_refuses_restores_the_strength(self, signal):
        """A refused second ``connect`` does not change the first connection."""
        receiver = Recorder()
        signal.connect(receiver, weak=False)

        def refuse(source, receiver, sender, weak):
            raise ValueError("not here")

        with signal.receiver_connected.connected_to(refuse), pytest.raises(ValueError, match="not"):
            signal.connect(receiver, weak=True)
        del receiver
        collect()
        assert 1 == len(signal.receivers)


class TestRule8Async:
    def test_connect_decides_between_sync_and_async(self, signal):
        """A receiver that is marked as async after ``connect`` is called as a sync receiver."""

        def receiver(sender):
            return 7

        signal.connect(receiver)
        receiver._is_coroutine = asyncio.coroutines._is_coroutine
        assert [(receiver, 7)] == signal.send()

    def test_an_async_receiver_stops_a_sync_send_before_it_begins(self, signal):
        """If one receiver is async, ``send`` runs no receiver."""
        first = Recorder()

        async def later(sender):
            """Be awaited."""

        signal.connect(first)
        signal.connect(later)
        with pytest.raises(AsyncReceiverError):
            signal.send()
        assert [] == first.senders

    def test_send_checks_the_callables_of_an_overridden_receivers_for(self, signal):
        """If an overridden ``receivers_for`` yields an async callable, ``send`` raises."""

        async def chosen(sender):
            return sender

        signal.receivers_for = lambda sender: [chosen]
        with pytest.raises(AsyncReceiverError):
            signal.send()
        assert [(chosen, "north")] == asyncio.run(signal.asend("north"))


class TestRule9Views:
    def test_receivers_is_live_sized_and_truthy(self, signal):
        """A view that was taken before a connection shows the connection."""
        view = signal.receivers
        assert not view
        signal.connect(receive)
        assert view
        assert 1 == len(view)
        view.clear()
        assert not view

    def test_a_strong_receiver_that_holds_its_sender_keeps_both(self, signal):
        """The user must break a cycle through the signal, as the documentation explains."""
        sender = Sender()
        alive = ref(sender)
        signal.connect(lambda sent_by, kept=sender: kept, sender, weak=False)
        del sender
        collect()
        assert alive() is not None
        signal._clear_state()
        collect()
        assert alive() is None
