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

LIMIT = 60  # seconds until a child that hangs is ended


def hear(sender, **extra):
    """Receive."""
    return "heard"


def run_in_child(work):
    """Run ``work`` in a fork of this process and return its exit status, -9 if it hung."""
    with warnings.catch_warnings():
        # Python 3.12 and later warn of just what is tested here.
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
    """Do everything once that takes the signal's lock."""
    sender = threading.Event()
    signal.connect(hear)
    signal.connect(hear, sender=sender)
    with signal.connected_to(print, "nobody"), signal.muted():
        assert signal.send(sender) == []
    assert [value for _, value in signal.send(sender)] == ["heard"]
    assert "hear" in str(signal.explain())
    del sender
    check_tables(signal)
    signal.disconnect(hear)
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


def test_a_fork_inside_the_lock():
    """A thread that forks while it holds the signal's lock itself leaves both processes whole."""
    signal = Signal()
    with signal._registry.lock:
        assert 0 == run_in_child(lambda: use(signal))
    use(signal)


def test_a_child_that_left_the_lock_by_itself():
    """A child that was forked inside the lock leaves it, and its new threads can use the signal."""
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


def test_grandchildren():
    """A fork of a fork gets a lock of its own again."""
    signal = Signal()

    def work():
        use(signal)
        with signal._registry.lock:
            assert run_in_child(lambda: use(signal)) == 0
        use(signal)

    assert 0 == run_in_child(work)


def test_forks_while_threads_come_and_go():
    """Whatever the other threads were doing at the moment of the fork, the child is sound."""
    signal, stop = Signal(), threading.Event()

    def churn():
        while not stop.is_set():
            sender = threading.Event()
            signal.connect(lambda sender, **extra: None, sender=sender, weak=False)
            signal.connect(lambda sender, **extra: None)
            signal.send(sender)
            signal.connect(hear, sender=sender)
            signal.disconnect(hear, sender=sender)

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
