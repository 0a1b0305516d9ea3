"""The stopwatch: a statement in a loop of its own, run often enough to be measurable."""

from __future__ import annotations

import gc
import sys
import time
import timeit
from types import FrameType
from typing import Any, Final, Protocol

from benchmarks.scene import Scene

_BURSTS: Final = 10


class Probe(Protocol):
    """What a worker measures."""

    def measure(self) -> dict[str, float]:
        """Measure one block and return its figures by name."""


class Loop:
    """Times one statement: ``ns`` is what a single run of it takes.

    The loop is the one of :mod:`timeit` on :func:`time.perf_counter_ns`: the statement stands in a
    ``for`` over :func:`itertools.repeat`, its names are local variables, garbage collection is off.
    A block is ten bursts and its figure that of the fastest: where the machine is busy, some are
    interrupted by other work, and what that took is not the statement's.

    Args:
        scene: What to time.
        block_ns: How long one block shall last, in nanoseconds.
    """

    def __init__(self, scene: Scene, block_ns: int) -> None:
        self.scene = scene
        setup = "\n".join(f"{name} = _names[{name!r}]" for name in scene.names) or "pass"
        self._timer = timeit.Timer(
            scene.statement,
            setup,
            timer=time.perf_counter_ns,
            globals={"_names": scene.names},
        )
        self.loops = self._autorange(block_ns / _BURSTS)

    def measure(self) -> dict[str, float]:
        """Time one block, after a burst to wake the caches up."""
        _, *bursts = (self._timer.timeit(self.loops) for _ in range(_BURSTS + 1))
        return {"ns": min(bursts) / self.loops}

    def _autorange(self, burst_ns: float) -> int:
        loops = 1
        while (taken := self._timer.timeit(loops)) < burst_ns / 4:
            loops *= 2
        return max(1, round(loops * burst_ns / taken))


def count_receivers(scene: Scene) -> int:
    """Run the statement once and return how many receivers were called."""
    code = compile(scene.statement, "<statement>", "exec")
    called = 0

    def watch(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal called
        called += event == "call" and frame.f_code.co_name == "receiver"

    sys.setprofile(watch)
    try:
        exec(code, dict(scene.names))  # noqa: S102 - the statement is ours
    finally:
        sys.setprofile(None)
    return called


def settle() -> None:
    """Collect garbage, and take what lives now out of later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
