"""How connect and disconnect grow with the number of senders, and what they leave behind."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any, Final

from benchmarks.scene import Crowd, Sender

_CHUNK: Final = 1000
_Pairs = Sequence[tuple[Any, object]]


class TooSlowError(Exception):
    """The work takes longer than the time it was given; it is not waited for."""


class Growth:
    """Connects a receiver for each of many senders, then disconnects them all again.

    The clock is the processor time of this thread: a pass that takes a second is always interrupted
    by other work, and there is no quicker burst to choose.

    Args:
        make_signal: Makes a new signal with blinker's ``connect`` and ``disconnect``.
        way: ``one`` (the same receiver for every sender) or ``own`` (each sender has its own).
        size: The number of senders.
        block_ns: How long to go on, in nanoseconds; once through at least.
        limit_s: After how many seconds to give up.
    """

    def __init__(
        self, make_signal: Callable[[], Any], way: str, size: int, block_ns: int, limit_s: float
    ) -> None:
        self._make_signal = make_signal
        self._block_ns = block_ns
        self._limit_ns = round(limit_s * 1e9)
        receivers = Crowd("functions", size if way == "own" else 1).receivers()
        self._pairs = [(receivers[n % len(receivers)], Sender()) for n in range(size)]

    def measure(self) -> dict[str, float]:
        """Return the nanoseconds that the fastest pass took for a sender.

        They are of ``connect``, of ``disconnect`` and of ``both``.
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
    """What a signal still holds once its senders have come and gone.

    Args:
        make_signal: Makes a new signal.
        way: How they go: ``disconnected`` one by one, ``died`` without a word, or ``strings``, each
            disconnected. ``own`` is ``disconnected``, and each sender has a receiver.
        size: How many come and go.
    """

    def __init__(self, make_signal: Callable[[], Any], way: str, size: int) -> None:
        self._make_signal = make_signal
        self._way = way
        self._size = size

    def measure(self) -> dict[str, float]:
        """Return the bytes ``held`` while all are connected, and ``left`` when they are gone.

        The senders' own memory is not counted. What a library tidies up at its next use is not
        held against it: one more sender comes and goes before the last look.
        """
        receivers = Crowd("functions", self._size if self._way == "own" else 1).receivers()
        receiver = receivers[0]
        pick = cycle(receivers)
        signal = self._make_signal()
        self._come_and_go(signal, receiver, [Sender()])
        senders: list[object] = [
            f"sender {n}" if self._way == "strings" else Sender() for n in range(self._size)
        ]
        gc.collect()
        tracemalloc.start()
        try:
            for each, sender in zip(pick, senders, strict=False):
                signal.connect(each, sender=sender)
            held = tracemalloc.get_traced_memory()[0]
            if self._way != "died":
                for each, sender in zip(cycle(receivers), senders, strict=False):
                    signal.disconnect(each, sender=sender)
            del sender, senders
            gc.collect()
            self._come_and_go(signal, receiver, [Sender()])
            gc.collect()
            left = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        return {"held": held, "left": left, "each": held / self._size}

    @staticmethod
    def _come_and_go(signal: Any, receiver: Any, senders: Sequence[object]) -> None:
        for sender in senders:
            signal.connect(receiver, sender=sender)
            signal.send(sender, a=1)
            signal.disconnect(receiver, sender=sender)


def _chunks(pairs: _Pairs) -> Iterator[_Pairs]:
    for start in range(0, len(pairs), _CHUNK):
        yield pairs[start : start + _CHUNK]
