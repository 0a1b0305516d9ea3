"""Many sends and connections leave no memory behind."""

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

#: What the interpreter itself may keep: caches and free lists, whatever the number of repetitions.
SLACK = 200


def growth(work: Callable[[int], None]) -> int:
    """Return how many blocks of memory are left by many repetitions after a warm-up."""
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


def test_sends_leave_nothing() -> None:
    """Sends with keyword arguments and a wrapper, plain and to a scoped sender."""
    signal, _kept = connected()
    wrapper = list

    def work(times: int) -> None:
        for number in range(times // 2):
            signal.send(number, _async_wrapper=wrapper, a=number, b="b")
            signal.send(None, **{f"dynamic{number % 7}": number})

    assert growth(work) < SLACK


def test_scoped_sends_leave_nothing() -> None:
    """Sends from senders of every kind."""
    signal, _kept = connected()
    signal.disconnect(_kept[0])
    signal.connect(_kept[0], 7)
    senders: list[Any] = ["x", 7, True, None, Listener(), [1]]

    def work(times: int) -> None:
        for _ in range(times // len(senders)):
            for sender in senders:
                signal.send(sender, a=1)

    assert growth(work) < SLACK


def test_sends_to_nobody_leave_nothing() -> None:
    """Sends without receivers."""
    signal = aldis.Signal()

    def work(times: int) -> None:
        for _ in range(times):
            signal.send("x", a=1)

    assert growth(work) < SLACK


def test_failures_leave_nothing() -> None:
    """Sends that end in an exception: a receiver's, or that of a wrong call."""
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
def test_connections_leave_nothing() -> None:
    """Connects and disconnects, of functions and of methods."""
    signal, _kept = connected()
    listener = Listener()

    def work(times: int) -> None:
        for number in range(times // 2):
            signal.connect(listener.receive, number)
            signal.disconnect(listener.receive, number)
            signal.connect(work, weak=False)
            signal.disconnect(work)

    assert growth(work) < SLACK
