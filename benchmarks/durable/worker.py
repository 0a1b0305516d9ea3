"""The worker of one system: ``python -m benchmarks.durable.worker SPECIFICATION``.

It runs until it is killed, and kills itself, with the children it may have, when its standard
input ends: then the benchmark is gone.
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
    """Kill this process's group as soon as nobody holds the other end of standard input."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Run the system's own worker."""
    told = json.loads(sys.argv[1])
    die_with_parent()
    # What a library makes of the command line is not meant for it.
    del sys.argv[1:]
    tally = Tally(told["tally"], told["step"])
    load(told["system"], told["place"], told["settings"]).work(tally.receive)


if __name__ == "__main__":
    main()
