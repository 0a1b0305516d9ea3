"""The process of one contender: ``python -m benchmarks.worker MODULE``.

Requests come in on standard input and answers go out on standard output, a JSON object a line. It
ends when its input does. Whatever else is printed goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

from benchmarks.growth import Growth, Memory, TooSlowError
from benchmarks.importing import Import
from benchmarks.scene import Crowd, UnsupportedError
from benchmarks.timing import Loop, Probe, count_receivers, settle

Answer = dict[str, Any]


class Worker:
    """Answers the requests about one contender.

    Args:
        module: The contender's file in :mod:`benchmarks.contenders`.
    """

    def __init__(self, module: str) -> None:
        self._contender: Any = import_module(f"benchmarks.contenders.{module}")
        self._probe: Probe | None = None

    def describe(self, _request: Answer) -> Answer:
        """Return the version of what is measured, and which engine it is."""
        distribution = self._contender.DISTRIBUTION
        try:
            version = distribution and metadata.version(distribution)
        except metadata.PackageNotFoundError:
            version = "from its source tree"
        return {
            "distribution": distribution,
            "version": version,
            "engine": getattr(self._contender, "ENGINE", None),
        }

    def prepare(self, request: Answer) -> Answer:
        """Set the requested case up, and find out how often to run it."""
        # Signals go first, then their receivers: a receiver's death can be dear while they live.
        settle()
        self._probe = None
        settle()
        self._probe = self._make_probe(request)
        settle()
        return {"loops": getattr(self._probe, "loops", None)}

    def measure(self, _request: Answer) -> Answer:
        """Measure one block of the case that was prepared."""
        if self._probe is None:
            message = "nothing was prepared"
            raise RuntimeError(message)
        return self._probe.measure()

    def _make_probe(self, request: Answer) -> Probe:
        what, size = request["what"], request["size"]
        if request["probe"] == "growth":
            return Growth(
                self._contender.Signal, what, size, request["block_ns"], request["limit_s"]
            )
        if request["probe"] == "memory":
            return Memory(self._contender.Signal, what, size)
        if request["probe"] == "import":
            return Import(self._contender.DISTRIBUTION)
        scene = self._contender.scene(Crowd(what, size))
        called = count_receivers(scene)
        if scene.runs is not None and called != scene.runs:
            message = f"a send called {called} receivers instead of {scene.runs}"
            raise RuntimeError(message)
        return Loop(scene, request["block_ns"])


def answer(handlers: dict[str, Callable[[Answer], Answer]], request: Answer) -> Answer:
    """Answer one request; whatever goes wrong is an answer too, since others are waiting."""
    try:
        return handlers[request["do"]](request)
    except UnsupportedError as limit:
        return {"unsupported": str(limit)}
    except TooSlowError as limit:
        return {"error": str(limit)}
    except Exception as error:  # noqa: BLE001 - the parent names it and goes on without us
        return {"error": reason(error)}


def reason(error: Exception) -> str:
    """Return what went wrong, without the place on this machine that import errors name."""
    return re.sub(r" \(/[^)]*\)", "", f"{type(error).__name__}: {error}")


def main(module: str) -> None:
    """Serve requests until there are no more."""
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)
        try:
            worker = Worker(module)
        except Exception as error:  # noqa: BLE001 - a peer that is not installed, above all
            print(json.dumps({"error": reason(error)}), file=replies)
            return
        handlers = {
            "describe": worker.describe,
            "prepare": worker.prepare,
            "measure": worker.measure,
        }
        for line in sys.stdin:
            print(json.dumps(answer(handlers, json.loads(line))), file=replies)


if __name__ == "__main__":
    main(sys.argv[1])
