"""Kill for as long as you like: ``python -m tests.durable.kill --rounds 300``.

What was counted is printed for each database; the exit code is 1 if a promise was broken.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.durable.kill.gale import binaries, gale_before, own_server
from tests.durable.kill.nursery import Nursery
from tests.durable.kill.storm import Storm, looking_at, prepare
from tests.durable.stores import databases

KINDS = ("sqlite_wal", "postgresql", "mariadb")

#: Mishaps in one storm; a long run is several, each on a new database.
STORM = 100


def kill(engine, url, folder, rounds, seed):
    """Kill processes; return the words for what happened, and what was found."""
    with Nursery(folder / "log") as nursery:
        storm = Storm(nursery, url, engine, folder, seed)
        storm.begin_all()
        storm.rage(rounds, storm.kill_one)
        storm.calm_down(300)
        return "", storm.found()


def cut(engine, url, folder, rounds, seed):
    """Break connections."""
    with Nursery(folder / "log") as nursery, gale_before(url) as (gale, behind):
        storm = Storm(nursery, behind, engine, folder, seed)
        storm.begin_all()
        with gale.at_commits():
            storm.rage(rounds, gale.cut, gale.cut, gale.refuse, gale.stall)
        storm.calm_down(300)
        return f"{gale}\n", storm.found()


def stop(rounds, folder, seed):
    """Stop a server of one's own, and start it again."""
    with own_server() as server, looking_at(server.url) as engine:
        prepare(engine)
        with Nursery(folder / "log") as nursery:
            storm = Storm(nursery, server.url, engine, folder, seed)
            storm.begin_all()

            def stop_and_start():
                server.stop()
                time.sleep(storm.random.uniform(0, 1))
                server.start()

            storm.rage(rounds, stop_and_start, seconds=4)
            storm.calm_down(300)
            return f"the server was stopped {rounds} times\n", storm.found()


def report(title, seconds, words, found):
    """Print what was counted, and each promise that was broken."""
    broken = "".join(f"  - {each}\n" for each in found.wrong[:50])
    sys.stdout.write(f"## {title}, {seconds:.0f} s\n{words}{found}\n{broken}\n")
    sys.stdout.flush()
    return len(found.wrong)


def on_database(kind, how, rounds, seed):
    """Run one storm on a new database."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aldis-kill-") as name:
        folder = Path(name)
        if how is stop:
            words, found = stop(rounds, folder, seed)
        else:
            with getattr(databases, kind)(folder) as engine:
                prepare(engine)
                url = engine.url.render_as_string(hide_password=False)
                words, found = how(engine, url, folder, rounds, seed)
    title = f"{kind}: {how.__name__} {rounds} times, seed {seed}"
    return report(title, time.monotonic() - started, words, found)


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.durable.kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=STORM, help="mishaps on each database")
    parser.add_argument("--database", choices=KINDS, action="append", help="by default all")
    parser.add_argument("--how", choices=["kill", "cut", "stop"], action="append")
    parser.add_argument("--seed", type=int)
    chosen = parser.parse_args()
    # Whoever ends this gets the databases dropped, and the processes ended, all the same.
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
                    wrong += on_database(kind, globals()[how], min(left, STORM), seed)
                except pytest.skip.Exception as reason:
                    sys.stdout.write(f"## {kind}: skipped\n{reason}\n\n")
                    break
                left -= STORM
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
