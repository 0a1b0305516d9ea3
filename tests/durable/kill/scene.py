"""A scene: certain things happen in the receivers of certain workers."""

import time
from pathlib import Path

from sqlalchemy import func, select

from aldis.durable.types import State
from tests.durable.kill.app import Effect, deliveries

SECONDS = 40


class Scene:
    """Workers, what they are sent, and what has become of it.

    Args:
        nursery: Where processes come from.
        url: The database's address.
        engine: The same database, for who looks.
        folder: Where files are written.
    """

    def __init__(self, nursery, url, engine, folder):
        self.nursery = nursery
        self._url = url
        self._engine = engine
        self._folder = Path(folder)

    def worker(self, **options):
        """Begin a worker and return its number."""
        return self.nursery.begin("work", self._url, str(self._folder), "worker", **options)

    def send(self, *probes):
        """Send, in one transaction, with each token what is to happen in the receiver."""
        pid = self.nursery.begin("send_probes", self._url, str(self._folder), probes)
        assert self.nursery.wait(pid) == 0, self.nursery.logged()

    def open_gate(self):
        """Let the receivers return that wait for it."""
        (self._folder / "gate").touch()

    def runs(self, name):
        """Return which token ``"begun"`` or ``"ended"`` in which process, in that order."""
        file = self._folder / name
        lines = file.read_text().splitlines() if file.exists() else []
        return [(token, int(pid)) for token, pid in (line.split() for line in lines)]

    def has(self, name, token, pid):
        """Tell whether a run has begun or ended in a process."""
        return (token, pid) in self.runs(name)

    def rows(self):
        """Return the deliveries in the order of their tokens."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(deliveries)).all()
        return sorted(rows, key=lambda row: row.payload)

    def states(self):
        """Return how many deliveries there are in each state."""
        with self._engine.connect() as connection:
            found = connection.execute(
                select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
            )
            return {State(state): count for state, count in found}

    def effects(self):
        """Return the tokens that a receiver has written."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(Effect.token)))

    def logged(self, pid):
        """Return what a process has logged."""
        lines = self.nursery.logged().splitlines()
        return "\n".join(line for line in lines if f" {pid} " in line)

    def until(self, condition):
        """Wait until ``condition`` is true."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"{self.states()}\n{self.nursery.logged()[-8000:]}"
            time.sleep(0.02)

    def end(self, pid):
        """End a worker as an operator does."""
        self.nursery.send(pid, 15)
        assert self.nursery.wait(pid) == 0, self.nursery.logged()
