"""A handler of an operating system signal raises in the main thread."""

import _thread
import signal as os_signal
import sys
import threading

import pytest

from aldis import Signal
from tests.core.stress.table_checks import assert_nothing_left, check_tables
from tests.sizes import sized

ROUNDS = sized(300, 3000)

pytestmark = pytest.mark.stress


class Sender:
    pass


def receive(sender, **extra):
    """Receive."""


def test_an_exception_of_a_signal_handler_leaves_no_lock_locked():
    """An exception such as the timeout of a web server's worker may arrive in any line."""

    class OutOfTime(Exception):  # noqa: N818 - an intended exception, not an error
        pass

    def interrupt(number, frame):
        nonlocal armed
        if armed:
            armed = False
            raise OutOfTime

    def disturb():
        while not over.wait(0.0001):
            _thread.interrupt_main(os_signal.SIGTERM)

    signal, other, interrupted = Signal(), Sender(), 0
    armed, over = False, threading.Event()
    before = os_signal.signal(os_signal.SIGTERM, interrupt)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    disturber = threading.Thread(target=disturb, daemon=True)
    disturber.start()
    try:
        for _ in range(ROUNDS):
            try:
                armed = True  # the exception could break the lock of an Event
                for _ in range(50):
                    signal.connect(receive, sender=other)
                    signal.disconnect(receive, sender=other)
                armed = False
            except OutOfTime:
                interrupted += 1
    finally:
        over.set()
        disturber.join(10)
        os_signal.signal(os_signal.SIGTERM, before)
        sys.setswitchinterval(switching)

    def work():
        signal.connect(receive, sender=other)
        signal.disconnect(receive)

    assert interrupted > ROUNDS // 10
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    check_tables(signal)
    assert_nothing_left(signal)
