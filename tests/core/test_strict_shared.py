"""Strict mode and containers that threads share."""

import sys
import warnings
from threading import Event, Thread

import pytest

from tests.core.support import Recorder


@pytest.fixture
def frequent_switches():
    """Let the interpreter switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("make", [lambda: dict.fromkeys(range(5000)), lambda: set(range(5000))])
def test_a_container_that_another_thread_changes(shop, strict, frequent_switches, make):
    """A send may look at a container while another thread changes its size."""
    shared, done = make(), Event()

    @shop.define
    def lit(sender, /, *, shelf: object) -> None: ...

    def change():
        while not done.is_set():
            shared.update({-1: None})
            shared.pop(-1) if isinstance(shared, dict) else shared.discard(-1)

    heard = Recorder()
    lit.connect(heard)
    thread = Thread(target=change)
    thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # strict mode rightly reports the change
            for _ in range(20):
                lit.send("north", shelf=shared)
    finally:
        done.set()
        thread.join()
    assert ["north"] * 20 == heard.senders
