"""Measures connect and disconnect with many senders, and the memory that remains."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

from benchmarks.benchmark import Participants, Sender

_CHUNK: Final = 1000
_Pairs = Sequence[tuple[Any, object]]


class TooSlowError(Exception):
    """The work takes longer than its limit, so it was stopped."""


class Growth:
    """Connects a receiver for each of many senders, and then disconnects all of them.

    The unit is the processor time of this thread, because other programs always interrupt a pass
    that takes a second.

    Args:
        make_signal: Makes a new signal with blinker's ``connect`` and ``disconnect``.
        way: ``one`` (one receiver for all senders) or ``own`` (each sender has a receiver).
        size: The number of senders.
        block_ns: The duration in nanoseconds. At least one pass is measured.
        limit_s: The seconds after which the work is stopped.
    """

    def __init__(
        self, make_signal: Callable[[], Any], way: str, size: int, block_ns: int, limit_s: float
    ) -> None:
        self._make_signal = make_signal
        self._block_ns = block_ns
        self._limit_ns = round(limit_s * 1e9)
        receivers = Participants("functions", size if way == "own" else 1).receivers()
        self._pairs = [(receivers[n % len(receivers)], Sender()) for n in range(size)]

    def measure(self) -> dict[str, float]:
        """Return the nanoseconds of the fastest pass for each sender.

        The keys are ``connect``, ``disconnect`` and ``both``.
        """
        passes: list[tuple[int, int]] = []
        began = time.perf_counter_ns()
        gc.disable()
        try:
            while not passes or time.perf_counter_ns() - began < self._block_ns:
                signal = self._make_signal()
                connecting = self._timed(signal.connect)
                passes.append((connecting, self._timed(signal.disconnect)))
        finally:
            gc.enable()
        connecting, disconnecting = min(passes, key=sum)
        return {
            "connect": connecting / len(self._pairs),
            "disconnect": disconnecting / len(self._pairs),
            "both": (connecting + disconnecting) / len(self._pairs),
        }

    def _timed(self, operation: Callable[..., Any]) -> int:
        taken = 0
        for chunk in _chunks(self._pairs):
            start = time.thread_time_ns()
            for receiver, sender in chunk:
                operation(receiver, sender=sender)
            taken += time.thread_time_ns() - start
            if taken > self._limit_ns:
                message = f"{len(self._pairs)} senders took more than {self._limit_ns / 1e9:.0f} s"
                raise TooSlowError(message)
        return taken


class Memory:
    """Measures the memory that a signal uses after its senders have gone.

    Args:
        make_signal: Makes a new signal.
        way: ``disconnected`` (one by one), ``died`` (without a disconnect), ``strings`` (strings,
            each disconnected) or ``own`` (disconnected, and each sender has a receiver).
        size: The number of senders.
    """

    def __init__(self, make_signal: Callable[[], Any], way: str, size: int) -> None:
        self._make_signal = make_signal
        self._way = way
        self._size = size

    def measure(self) -> dict[str, float]:
        """Return the bytes ``held`` while all are connected, and ``left`` afterwards.

        The memory of the senders is not counted. Before the last measurement, one more sender is
        connected and disconnected, because a library may clean up at its next use.
        """
        receivers = Participants("functions", self._size if self._way == "own" else 1).receivers()
        receiver = receivers[0]
        signal = self._make_signal()
        self._connect_and_disconnect(signal, receiver, [Sender()])
        senders: list[object] = [
            f"sender {n}" if self._way == "strings" else Sender() for n in range(self._size)
        ]
        each_receiver = receivers if self._way == "own" else repeat(receiver)
        pairs = list(zip(each_receiver, senders, strict=False))
        gc.collect()
        tracemalloc.start()
        try:
            for each, sender in pairs:
                signal.connect(each, sender=sender)
            held = tracemalloc.get_traced_memory()[0]
            if self._way != "died":
                for each, sender in pairs:
                    signal.disconnect(each, sender=sender)
            del sender, senders, pairs
            gc.collect()
            self._connect_and_disconnect(signal, receiver, [Sender()])
            gc.collect()
            left = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        return {"held": held, "left": left, "each": held / self._size}

    @staticmethod
    def _connect_and_disconnect(signal: Any, receiver: Any, senders: Sequence[object]) -> None:
        for sender in senders:
            signal.connect(receiver, sender=sender)
            signal.send(sender, a=1)
            signal.disconnect(receiver, sender=sender)


def _chunks(pairs: _Pairs) -> Iterator[_Pairs]:
    for start in range(0, len(pairs), _CHUNK):
        yield pairs[start : start + _CHUNK]
