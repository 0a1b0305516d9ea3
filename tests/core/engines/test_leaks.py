"""Many sends and connections do not leak memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import aldis
from tests.sizes import sized

pytestmark = pytest.mark.stress

TIMES = sized(100_000, 1_000_000)

#: The interpreter's caches and free lists may grow by this, for any number of repetitions.
SLACK = 200


def growth(work: Callable[[int], None]) -> int:
    """Return the number of memory blocks that many repetitions leak after a warm-up."""
    work(1000)
    gc.collect()
    before = sys.getallocatedblocks()
    work(TIMES)
    gc.collect()
    return sys.getallocatedblocks() - before


class Listener:
    """An object with a receiving method."""

    def receive(self, sender: object, **payload: object) -> None:
        """Receive."""


def connected() -> tuple[aldis.Signal, list[Any]]:
    """Return a signal with a function, a weak method, and a scoped receiver."""
    signal = aldis.Signal()
    listener = Listener()

    def receive(sender: object, **payload: object) -> object:
        return sender

    signal.connect(receive)
    signal.connect(listener.receive)
    signal.connect(receive, "x")
    return signal, [receive, listener]


def test_sends_do_not_leak() -> None:
    """The sends have keyword arguments, a wrapper, and senders with and without receivers."""
    signal, _kept = connected()
    wrapper = list

    def work(times: int) -> None:
        for number in range(times // 2):
            signal.send(number, _async_wrapper=wrapper, a=number, b="b")
            signal.send(None, **{f"dynamic{number % 7}": number})

    assert growth(work) < SLACK


def test_sends_from_every_kind_of_sender_do_not_leak() -> None:
    """The senders are objects and values of every kind."""
    signal, _kept = connected()
    signal.disconnect(_kept[0])
    signal.connect(_kept[0], 7)
    senders: list[Any] = ["x", 7, True, None, Listener(), [1]]

    def work(times: int) -> None:
        for _ in range(times // len(senders)):
            for sender in senders:
                signal.send(sender, a=1)

    assert growth(work) < SLACK


def test_sends_without_receivers_do_not_leak() -> None:
    """The signal has no receiver."""
    signal = aldis.Signal()

    def work(times: int) -> None:
        for _ in range(times):
            signal.send("x", a=1)

    assert growth(work) < SLACK


def test_failed_sends_do_not_leak() -> None:
    """The sends end with the exception of a receiver, or have wrong arguments."""
    signal, _kept = connected()

    @signal.connect
    def fail(sender: object, **payload: object) -> None:
        raise ValueError(payload)

    def work(times: int) -> None:
        for number in range(times // 2):
            with suppress(ValueError):
                signal.send("x", number=number)
            with suppress(TypeError):
                signal.send(1, 2)  # type: ignore[call-arg]

    with pytest.raises(ValueError, match="number"):
        signal.send("x", number=1)
    assert growth(work) < SLACK


@pytest.mark.timeout(300)
def test_connections_do_not_leak() -> None:
    """Functions and methods are connected and disconnected."""
    signal, _kept = connected()
    listener = Listener()

    def work(times: int) -> None:
        for number in range(times // 2):
            signal.connect(listener.receive, number)
            signal.disconnect(listener.receive, number)
            signal.connect(work, weak=False)
            signal.disconnect(work)

    assert growth(work) < SLACK
