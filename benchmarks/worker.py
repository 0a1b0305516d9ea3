"""The process of one contender: ``python -m benchmarks.worker MODULE``.

The process reads requests from standard input and writes answers to standard output. Each line is a
JSON object. The process ends when its input ends. All other output goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

from benchmarks.benchmark import Participants, UnsupportedError
from benchmarks.growth import Growth, Memory, TooSlowError
from benchmarks.importing import Import
from benchmarks.timing import Loop, Probe, count_receivers, freeze_garbage

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
        """Return the version of the contender and the name of its engine."""
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
        """Set up the requested case, and find the number of repetitions."""
        # Free the signals before their receivers: the death of a connected receiver can be slow.
        freeze_garbage()
        self._probe = None
        freeze_garbage()
        self._probe = self._make_probe(request)
        freeze_garbage()
        return {"loops": getattr(self._probe, "loops", None)}

    def measure(self, _request: Answer) -> Answer:
        """Measure one block of the prepared case."""
        if self._probe is None:
            message = "no case was prepared"
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
        benchmark = self._contender.benchmark(Participants(what, size))
        called = count_receivers(benchmark)
        if benchmark.runs is not None and called != benchmark.runs:
            message = f"a send called {called} receivers instead of {benchmark.runs}"
            raise RuntimeError(message)
        return Loop(benchmark, request["block_ns"])


def answer(handlers: dict[str, Callable[[Answer], Answer]], request: Answer) -> Answer:
    """Answer one request. An error is an answer, too, because other contenders wait."""
    try:
        return handlers[request["do"]](request)
    except UnsupportedError as limit:
        return {"unsupported": str(limit)}
    except TooSlowError as limit:
        return {"error": str(limit)}
    except Exception as error:  # noqa: BLE001 - the parent reports the error and continues
        return {"error": reason(error)}


def reason(error: Exception) -> str:
    """Return the text of an error, without the path in an import error."""
    return re.sub(r" \(/[^)]*\)", "", f"{type(error).__name__}: {error}")


def main(module: str) -> None:
    """Answer requests until the input ends."""
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)
        try:
            worker = Worker(module)
        except Exception as error:  # noqa: BLE001 - for example, a library is not installed
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
