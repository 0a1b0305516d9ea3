"""The process that enqueues: ``python -m benchmarks.durable.producer SPECIFICATION``.

Requests come in on standard input and answers go out on standard output, a JSON object a line. It
ends when its input does. Whatever else is printed goes to standard error.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from importlib import import_module, metadata
from typing import Any, Final

from benchmarks.durable.systems import System, UnsupportedError, load

Answer = dict[str, Any]

_CHUNK: Final = 50
#: Order 0 wakes a worker up; those that are timed begin here.
FIRST: Final = 1


class Producer:
    """Answers the requests about one system.

    Args:
        system: The system, in a place of its own.
        module: Its file in :mod:`benchmarks.durable.systems`.
    """

    def __init__(self, system: System, module: str) -> None:
        self._system = system
        self._module = module

    def install(self, _request: Answer) -> Answer:
        """Make the tables, and say which versions take part."""
        self._system.install()
        names = import_module(f"benchmarks.durable.systems.{self._module}").DISTRIBUTIONS
        return {"versions": {name: metadata.version(name) for name in names}}

    def enqueue(self, request: Answer) -> Answer:
        """Commit one order after the other for some seconds; return how many a second."""
        self._system.enqueue(range(_CHUNK))  # opens connections, and lets plans be cached
        done, began = _CHUNK, time.perf_counter()
        taken = 0.0
        while taken < request["seconds"]:
            self._system.enqueue(range(done, done + _CHUNK))
            done += _CHUNK
            taken = time.perf_counter() - began
        return {"rate": (done - _CHUNK) / taken}

    def together(self, request: Answer) -> Answer:
        """Commit many orders at once; return how many a second."""
        self._system.together(range(_CHUNK))
        began = time.perf_counter()
        self._system.together(range(request["count"]))
        return {"rate": request["count"] / (time.perf_counter() - began)}

    def fill(self, request: Answer) -> Answer:
        """Let orders wait."""
        self._system.fill(request["count"])
        return {}

    def wake(self, _request: Answer) -> Answer:
        """Enqueue the order that only wakes a worker up."""
        self._system.enqueue(range(1))
        return {}

    def paced(self, request: Answer) -> Answer:
        """Enqueue so many a second; return when each was committed.

        The instants are spread within their interval, or they would dance with a worker's polling.
        """
        interval = 1 / request["per_s"]
        spread = random.Random(request["seed"])
        began = time.monotonic()
        sent: list[int] = []
        for number in range(request["count"]):
            at = began + (number + spread.random()) * interval
            time.sleep(max(0.0, at - time.monotonic()))
            self._system.enqueue(range(FIRST + number, FIRST + number + 1))
            sent.append(time.monotonic_ns())
        return {"sent": sent}

    def left(self, _request: Answer) -> Answer:
        """Return how many orders are not acknowledged."""
        return {"left": self._system.left()}


def serve(told: Answer) -> None:
    """Serve requests until there are no more."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    producer: Producer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if producer is None:
                system = load(told["system"], told["place"], told["settings"])
                producer = Producer(system, told["system"])
            answer = getattr(producer, request["do"])(request)
        except UnsupportedError as limit:
            answer = {"unsupported": str(limit)}
        except Exception as error:  # noqa: BLE001 - the runner names it and goes on without us
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


def main() -> None:
    """Serve one system."""
    told = json.loads(sys.argv[1])
    del sys.argv[1:]
    serve(told)


if __name__ == "__main__":
    main()
