"""Inject faults for as long as you like: ``python -m tests.durable.kill --rounds 300``.

The counts are printed for each database. The exit code is 1 if a promise was broken.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.durable.kill.faults import binaries, faulty_connections, own_server
from tests.durable.kill.fork_server import ForkServer
from tests.durable.kill.stress import StressRun, engine_without_pool, prepare
from tests.durable.sql import databases

KINDS = ("sqlite_wal", "postgresql", "mariadb")

#: The number of faults on one database. A longer run uses several new databases.
BATCH = 100


def kill(engine, url, folder, rounds, seed):
    """Kill processes. Return a text about the faults, and the report."""
    with ForkServer(folder / "log") as fork_server:
        stress = StressRun(fork_server, url, engine, folder, seed)
        stress.start_all()
        stress.inject(rounds, stress.kill_one)
        stress.finish(300)
        return "", stress.check()


def cut(engine, url, folder, rounds, seed):
    """Break connections. Return a text about the faults, and the report."""
    with ForkServer(folder / "log") as fork_server, faulty_connections(url) as (faults, behind):
        stress = StressRun(fork_server, behind, engine, folder, seed)
        stress.start_all()
        with faults.at_commits():
            stress.inject(rounds, faults.cut, faults.cut, faults.refuse, faults.stall)
        stress.finish(300)
        return f"{faults}\n", stress.check()


def stop(rounds, folder, seed):
    """Stop a separate server and start it again."""
    with own_server() as server, engine_without_pool(server.url) as engine:
        prepare(engine)
        with ForkServer(folder / "log") as fork_server:
            stress = StressRun(fork_server, server.url, engine, folder, seed)
            stress.start_all()

            def stop_and_start():
                server.stop()
                time.sleep(stress.random.uniform(0, 1))
                server.start()

            stress.inject(rounds, stop_and_start, seconds=4)
            stress.finish(300)
            return f"the server was stopped {rounds} times\n", stress.check()


def report(title, seconds, words, found):
    """Print the counts and the broken promises."""
    broken = "".join(f"  - {each}\n" for each in found.wrong[:50])
    sys.stdout.write(f"## {title}, {seconds:.0f} s\n{words}{found}\n{broken}\n")
    sys.stdout.flush()
    return len(found.wrong)


def on_database(kind, how, rounds, seed):
    """Run one stress test on a new database."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aldis-kill-") as name:
        folder = Path(name)
        if how is stop:
            words, found = stop(rounds, folder, seed)
        else:
            with databases.engine_on(kind, folder) as engine:
                prepare(engine)
                url = engine.url.render_as_string(hide_password=False)
                words, found = how(engine, url, folder, rounds, seed)
    title = f"{kind}: {how.__name__} {rounds} times, seed {seed}"
    return report(title, time.monotonic() - started, words, found)


def main():
    """Run the stress tests that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.durable.kill", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=BATCH, help="the number of faults on each database"
    )
    parser.add_argument("--database", choices=KINDS, action="append", help="the default is all")
    parser.add_argument("--how", choices=["kill", "cut", "stop"], action="append")
    parser.add_argument("--seed", type=int)
    chosen = parser.parse_args()
    # After SIGTERM, the databases are dropped and the processes end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wrong = 0
    for how in chosen.how or ("kill", "cut", "stop"):
        for kind in chosen.database or KINDS:
            if how == "cut" and kind == "sqlite_wal":
                continue  # it has no connections to cut
            if how == "stop" and (kind != "postgresql" or binaries() is None):
                continue
            left = max(1, chosen.rounds // 10) if how == "stop" else chosen.rounds
            while left > 0:
                seed = random.getrandbits(32) if chosen.seed is None else chosen.seed
                try:
                    wrong += on_database(kind, globals()[how], min(left, BATCH), seed)
                except pytest.skip.Exception as reason:
                    sys.stdout.write(f"## {kind}: skipped\n{reason}\n\n")
                    break
                left -= BATCH
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
