"""A stress run: processes send and deliver while faults are injected."""

import random
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from aldis.durable.store.sql.connection import use_wal
from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.types import UNFINISHED, State
from tests.durable.kill.app import Effect, Order, db, deliveries

#: The receivers that write through the delivery's session.
BY_SESSION = ("ledger", "settled", "awaited", "flaky", "keyed")
RECEIVERS = ("plain", *BY_SESSION)


@dataclass
class Report:
    """The counts after a stress run, and the broken promises in words."""

    kills: Counter
    sends: int = 0
    rolled_back: int = 0
    errors: int = 0
    deliveries: Counter = field(default_factory=Counter)
    runs: int = 0
    repeats: int = 0
    lost: Counter = field(default_factory=Counter)
    wrong: list = field(default_factory=list)

    def __str__(self):
        states = ", ".join(f"{count} {state.label}" for state, count in self.deliveries.items())
        lost = ", ".join(f"{times}: {count}" for times, count in sorted(self.lost.items()))
        kills = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items())) or "none"
        return (
            f"kills: {kills}\n"
            f"sends committed: {self.sends}, rolled back for certain: {self.rolled_back}, "
            f"requests that failed: {self.errors}\n"
            f"deliveries: {states}\n"
            f"plain receiver: {self.runs} runs, {self.repeats} of them repeats\n"
            f"deliveries, by how often a worker was lost with them: {lost}\n"
            f"broken promises: {len(self.wrong)}"
        )


class StressRun:
    """Web processes and workers on one database.

    Args:
        fork_server: Starts the processes.
        url: The URL of the database for the processes.
        engine: An engine on the database for the test, without a proxy.
        folder: The folder of the files that processes write.
        seed: The seed of the random choices.
    """

    def __init__(self, fork_server, url, engine, folder, seed=None):
        self._fork_server = fork_server
        self._url = url
        self.engine = engine
        self._folder = Path(folder)
        self.random = random.Random(seed)
        self._alive = {}  # the role of each process, by process id
        self.kills = Counter()

    def begin(self, role):
        """Start a web process or a worker."""
        if role == "serve":
            pid = self._fork_server.begin(
                "serve", self._url, str(self._folder), self.random.getrandbits(32)
            )
        else:
            pid = self._fork_server.begin("work", self._url, str(self._folder), "worker")
        self._alive[pid] = role
        return pid

    def kill_one(self):
        """Kill one process and start another in its place."""
        pid = self.random.choice(list(self._alive))
        role = self._alive.pop(pid)
        status = self._fork_server.kill(pid)
        assert status == -9, (
            f"a process had ended by itself ({status}):\n{self._fork_server.logged()}"
        )
        self.kills["web" if role == "serve" else "worker"] += 1
        self.begin(role)

    def start_all(self, *, webs=1, workers=3):
        """Start the web processes and the workers, and wait until the workers are running.

        A worker that cannot reach its database at its start ends with an error.
        """
        for role, count in (("serve", webs), ("work", workers)):
            for _ in range(count):
                self.begin(role)
        end = time.monotonic() + 30
        while self._fork_server.logged().count(" serves ") < workers:
            assert time.monotonic() < end, self._fork_server.logged()
            time.sleep(0.02)

    def inject(self, times, *faults, seconds=0.5):
        """Cause a random fault ``times`` times, at most ``seconds`` apart."""
        for _ in range(times):
            time.sleep(self.random.uniform(0, seconds))
            self.random.choice(faults)()

    def finish(self, seconds=90):
        """Kill the web processes, let the workers finish their deliveries, and stop them."""
        for pid in self._all("serve"):
            self._fork_server.kill(pid)
            del self._alive[pid]
        end = time.monotonic() + seconds
        while (left := self.unfinished()) and time.monotonic() < end:
            time.sleep(0.2)
        workers = self._all("work")
        for pid in workers:
            self._fork_server.send(pid, 15)
        ended = {self._fork_server.wait(pid, 40) for pid in workers}
        assert left == 0, (
            f"{left} deliveries are not finished:\n{self._fork_server.logged()[-8000:]}"
        )
        assert ended == {0}, f"{ended}:\n{self._fork_server.logged()[-8000:]}"

    def _all(self, role):
        return [pid for pid, other in self._alive.items() if other == role]

    def unfinished(self):
        """Return the number of unfinished deliveries."""
        unfinished = [state for state in UNFINISHED if state != State.DEAD]
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).where(deliveries.c.state.in_(unfinished)))

    def check(self):
        """Count the results and check every promise."""
        found = Report(self.kills)
        with self.engine.connect() as connection:
            sent = set(connection.scalars(select(Order.token)))
            effects = connection.execute(
                select(Effect.receiver, Effect.token, Effect.order_key, Effect.number).order_by(
                    Effect.id
                )
            ).all()
            for state, count in connection.execute(
                select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
            ):
                found.deliveries[State(state)] = count
            for lost, count in connection.execute(
                select(deliveries.c.lost, func.count()).group_by(deliveries.c.lost)
            ):
                found.lost[lost] = count
        found.sends = len(sent)
        found.rolled_back = sum(int(line) for line in self._lines("rolled_back"))
        found.errors = len(self._lines("errors"))
        self._check_plain(found, sent)
        for receiver in BY_SESSION:
            _check_effects(found, receiver, sent, effects)
        _check_order(found, effects)
        if found.deliveries != {State.DONE: len(sent) * len(RECEIVERS)}:
            found.wrong.append(f"{len(sent)} sends have left {found.deliveries}")
        return found

    def _check_plain(self, found, sent):
        lines = self._lines("plain")
        tokens = Counter(line.split()[0] for line in lines)
        found.runs = len(lines)
        found.repeats = len(lines) - len(tokens)
        _compare(found, "plain", sent, set(tokens))

    def _lines(self, name):
        file = self._folder / name
        return file.read_text().splitlines() if file.exists() else []


def _check_effects(found, receiver, sent, effects):
    tokens = Counter(effect.token for effect in effects if effect.receiver == receiver)
    _compare(found, receiver, sent, set(tokens))
    found.wrong += [
        f"{receiver} took effect {count} times for {token}"
        for token, count in tokens.items()
        if count > 1
    ]


def _compare(found, receiver, sent, received):
    found.wrong += [f"{receiver} never had {token}" for token in sent - received]
    found.wrong += [
        f"{receiver} had {token}, which was never committed" for token in received - sent
    ]


def _check_order(found, effects):
    last = {}
    for effect in effects:
        if effect.receiver != "keyed":
            continue
        before = last.get(effect.order_key, 0)
        if effect.number <= before:
            found.wrong.append(f"{effect.order_key}: {effect.number} came after {before}")
        last[effect.order_key] = effect.number


def prepare(engine):
    """Create all tables. On SQLite, use the write-ahead log."""
    if engine.dialect.name == "sqlite":
        use_wal(engine)
    upgrade(engine)
    db.metadata.create_all(engine)


@contextmanager
def engine_without_pool(url):
    """Provide an engine that keeps no connection open."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()
