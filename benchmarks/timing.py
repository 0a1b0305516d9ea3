"""The timer. It runs a statement in a loop, often enough to measure it."""

from __future__ import annotations

import gc
import sys
import time
import timeit
from types import FrameType
from typing import Any, Final, Protocol

from benchmarks.benchmark import Benchmark

_BURSTS: Final = 10


class Probe(Protocol):
    """A measurement of a worker."""

    def measure(self) -> dict[str, float]:
        """Measure one block and return its figures by name."""


class Loop:
    """Measures one statement. ``ns`` is the time of one run.

    The loop is that of :mod:`timeit` on :func:`time.perf_counter_ns`. The statement is the body of
    a ``for`` over :func:`itertools.repeat`. Its names are local variables. Garbage collection is
    off. A block has ten bursts, and the fastest one counts, because other programs interrupt some
    bursts on a busy machine.

    Args:
        benchmark: The statement to time.
        block_ns: The duration of one block, in nanoseconds.
    """

    def __init__(self, benchmark: Benchmark, block_ns: int) -> None:
        self.benchmark = benchmark
        setup = "\n".join(f"{name} = _names[{name!r}]" for name in benchmark.names) or "pass"
        self._timer = timeit.Timer(
            benchmark.statement,
            setup,
            timer=time.perf_counter_ns,
            globals={"_names": benchmark.names},
        )
        self.loops = self._autorange(block_ns / _BURSTS)

    def measure(self) -> dict[str, float]:
        """Time one block, after a burst that warms up the caches."""
        _, *bursts = (self._timer.timeit(self.loops) for _ in range(_BURSTS + 1))
        return {"ns": min(bursts) / self.loops}

    def _autorange(self, burst_ns: float) -> int:
        loops = 1
        while (taken := self._timer.timeit(loops)) < burst_ns / 4:
            loops *= 2
        return max(1, round(loops * burst_ns / taken))


def count_receivers(benchmark: Benchmark) -> int:
    """Run the statement once and return the number of called receivers."""
    code = compile(benchmark.statement, "<statement>", "exec")
    called = 0

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal called
        called += event == "call" and frame.f_code.co_name == "receiver"

    sys.setprofile(watch)
    try:
        exec(code, dict(benchmark.names))  # noqa: S102 - the statement is part of the benchmarks
    finally:
        sys.setprofile(None)
    return called


def freeze_garbage() -> None:
    """Collect garbage, and exclude all living objects from later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
