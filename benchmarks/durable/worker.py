"""The worker of one system: ``python -m benchmarks.durable.worker SPECIFICATION``.

It runs until it is killed. When its standard input ends, the benchmark has ended, and it kills
itself and its children.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from benchmarks.durable.systems import load
from benchmarks.durable.tally import Tally


def die_with_parent() -> None:
    """Kill this process's group when the other end of standard input is closed."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Run the worker of the system."""
    given = json.loads(sys.argv[1])
    die_with_parent()
    # Some libraries read the command line, so it is emptied.
    del sys.argv[1:]
    tally = Tally(given["tally"], given["step"])
    load(given["system"], given["place"], given["settings"]).work(tally.receive)


if __name__ == "__main__":
    main()
