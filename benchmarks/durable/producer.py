"""The process that enqueues: ``python -m benchmarks.durable.producer SPECIFICATION``.

It reads requests from standard input and writes answers to standard output, one JSON object
per line. It ends with its input. Other output goes to standard error.
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
#: The first timed order. Order 0 only wakes a worker up.
FIRST: Final = 1


class Producer:
    """Answers the requests about one system.

    Args:
        system: The system in its place.
        module: Its file in :mod:`benchmarks.durable.systems`.
    """

    def __init__(self, system: System, module: str) -> None:
        self._system = system
        self._module = module

    def install(self, _request: Answer) -> Answer:
        """Create the tables, and return the versions of the packages."""
        self._system.install()
        names = import_module(f"benchmarks.durable.systems.{self._module}").DISTRIBUTIONS
        return {"versions": {name: metadata.version(name) for name in names}}

    def enqueue(self, request: Answer) -> Answer:
        """Commit single orders for some seconds; return the number per second."""
        self._system.enqueue(range(_CHUNK))  # opens connections and fills caches
        done, began = _CHUNK, time.perf_counter()
        taken = 0.0
        while taken < request["seconds"]:
            self._system.enqueue(range(done, done + _CHUNK))
            done += _CHUNK
            taken = time.perf_counter() - began
        return {"rate": (done - _CHUNK) / taken}

    def together(self, request: Answer) -> Answer:
        """Commit many orders at once; return the number per second."""
        self._system.together(range(_CHUNK))
        began = time.perf_counter()
        self._system.together(range(request["count"]))
        return {"rate": request["count"] / (time.perf_counter() - began)}

    def fill(self, request: Answer) -> Answer:
        """Add waiting orders."""
        self._system.fill(request["count"])
        return {}

    def wake(self, _request: Answer) -> Answer:
        """Enqueue the order that only wakes a worker up."""
        self._system.enqueue(range(1))
        return {}

    def paced(self, request: Answer) -> Answer:
        """Enqueue some orders per second; return the time of each commit.

        The times vary within their interval, so that they do not match the polls of a worker.
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
        """Return the number of orders that are not acknowledged."""
        return {"left": self._system.left()}


def serve(given: Answer) -> None:
    """Serve requests until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    producer: Producer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if producer is None:
                system = load(given["system"], given["place"], given["settings"])
                producer = Producer(system, given["system"])
            answer = getattr(producer, request["do"])(request)
        except UnsupportedError as limit:
            answer = {"unsupported": str(limit)}
        except Exception as error:  # noqa: BLE001 - the runner reports it and leaves this system out
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


def main() -> None:
    """Serve one system."""
    given = json.loads(sys.argv[1])
    del sys.argv[1:]
    serve(given)


if __name__ == "__main__":
    main()
