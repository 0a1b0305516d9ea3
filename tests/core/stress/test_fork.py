"""A process that forks while its other threads use signals."""

import os
import threading
import time
import warnings

import pytest

from aldis import Signal
from tests.core.stress.table_checks import check_tables
from tests.sizes import sized

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

LIMIT = 60  # seconds after which a child that hangs is ended


def receive(sender, **extra):
    """Receive."""
    return "heard"


def run_in_child(work):
    """Run ``work`` in a fork of this process and return its exit status, -9 if it hung."""
    with warnings.catch_warnings():
        # Python 3.12 and later warn about a fork beside threads, which this test needs.
        warnings.filterwarnings(
            "ignore", "This process .* is multi-threaded, use of fork", DeprecationWarning
        )
        child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def use(signal):
    """Call each operation that takes the signal's lock."""
    sender = threading.Event()
    signal.connect(receive)
    signal.connect(receive, sender=sender)
    with signal.connected_to(print, "nobody"), signal.muted():
        assert signal.send(sender) == []
    assert [value for _, value in signal.send(sender)] == ["heard"]
    assert "receive" in str(signal.explain())
    del sender
    check_tables(signal)
    signal.disconnect(receive)
    assert not signal.receivers


def test_a_lock_held_by_another_thread_is_free_in_the_child():
    """A child forked while another thread holds the signal's lock can use the signal."""
    signal = Signal()
    held, release = threading.Event(), threading.Event()

    def hold():
        with signal._registry.lock:
            held.set()
            release.wait(LIMIT)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LIMIT)
    try:
        assert 0 == run_in_child(lambda: use(signal))
    finally:
        release.set()
        thread.join(LIMIT)
    assert not thread.is_alive()
    use(signal)


def test_a_thread_may_fork_while_it_holds_the_lock():
    """After such a fork, the signal works in both processes."""
    signal = Signal()
    with signal._registry.lock:
        assert 0 == run_in_child(lambda: use(signal))
    use(signal)


def test_a_child_may_release_the_lock():
    """A child that was forked inside the lock releases it. Its new threads can use the signal."""
    signal = Signal()

    def work():
        use(signal)
        lock.__exit__(None, None, None)
        thread = threading.Thread(target=use, args=(signal,), daemon=True)
        thread.start()
        thread.join(LIMIT / 2)
        assert not thread.is_alive()

    lock = signal._registry.lock
    with lock:
        assert 0 == run_in_child(work)


def test_a_child_of_a_child_can_use_the_signal():
    """Each fork gets a new lock."""
    signal = Signal()

    def work():
        use(signal)
        with signal._registry.lock:
            assert run_in_child(lambda: use(signal)) == 0
        use(signal)

    assert 0 == run_in_child(work)


def test_forks_beside_busy_threads():
    """A child can use the signal, whichever operations other threads ran during the fork."""
    signal, stop = Signal(), threading.Event()

    def churn():
        while not stop.is_set():
            sender = threading.Event()
            signal.connect(lambda sender, **extra: None, sender=sender, weak=False)
            signal.connect(lambda sender, **extra: None)
            signal.send(sender)
            signal.connect(receive, sender=sender)
            signal.disconnect(receive, sender=sender)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()

    def work():
        check_tables(signal)
        signal._clear_state()
        use(signal)

    try:
        assert {0} == {run_in_child(work) for _ in range(sized(8, 100))}
    finally:
        stop.set()
        for thread in threads:
            thread.join(LIMIT)
