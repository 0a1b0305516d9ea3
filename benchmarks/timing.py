"""The stopwatch: a statement in a loop of its own, run often enough to be measurable."""

from __future__ import annotations

import gc
import sys
import time
import timeit
from types import FrameType
from typing import Any, Protocol

from benchmarks.scene import Scene


class Probe(Protocol):
    """What a worker measures."""

    def measure(self) -> dict[str, float]:
        """Measure one block and return its figures by name."""


class Loop:
    """Times one statement: ``ns`` is what a single run of it takes.

    The loop is the one of :mod:`timeit` on :func:`time.perf_counter_ns`: the statement stands in a
    ``for`` over :func:`itertools.repeat`, its names are local variables, garbage collection is off.

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
        self.loops = self._autorange(block_ns)

    def measure(self) -> dict[str, float]:
        """Time one block, after a tenth of one to wake the caches up."""
        self._timer.timeit(max(1, self.loops // 10))
        return {"ns": self._timer.timeit(self.loops) / self.loops}

    def _autorange(self, block_ns: int) -> int:
        loops = 1
        while (taken := self._timer.timeit(loops)) < block_ns / 4:
            loops *= 2
        return max(1, round(loops * block_ns / taken))


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
