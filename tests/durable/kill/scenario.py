"""A scenario: chosen receivers of chosen workers do chosen things."""

import time
from pathlib import Path

from sqlalchemy import func, select

from aldis.durable.types import State
from tests.durable.kill.app import Effect, deliveries

SECONDS = 40


class Scenario:
    """Workers, their deliveries and the results.

    Args:
        fork_server: Starts the processes.
        url: The URL of the database.
        engine: An engine on the database, for the test.
        folder: The folder of the files that processes write.
    """

    def __init__(self, fork_server, url, engine, folder):
        self.fork_server = fork_server
        self._url = url
        self._engine = engine
        self._folder = Path(folder)

    def worker(self, **options):
        """Start a worker and return its process id."""
        return self.fork_server.begin("work", self._url, str(self._folder), "worker", **options)

    def send(self, *probes):
        """Send pairs of a token and an action for the receiver, in one transaction."""
        pid = self.fork_server.begin("send_probes", self._url, str(self._folder), probes)
        assert self.fork_server.wait(pid) == 0, self.fork_server.logged()

    def open_gate(self):
        """Let the receivers that wait for the gate return."""
        (self._folder / "gate").touch()

    def runs(self, name):
        """Return the tokens that have ``"started"`` or ``"ended"``, each with its process id."""
        file = self._folder / name
        lines = file.read_text().splitlines() if file.exists() else []
        return [(token, int(pid)) for token, pid in (line.split() for line in lines)]

    def has(self, name, token, pid):
        """Tell whether a receiver has started or ended in a process."""
        return (token, pid) in self.runs(name)

    def rows(self):
        """Return the deliveries, sorted by token."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(deliveries)).all()
        return sorted(rows, key=lambda row: row.payload)

    def states(self):
        """Return the number of deliveries in each state."""
        with self._engine.connect() as connection:
            found = connection.execute(
                select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
            )
            return {State(state): count for state, count in found}

    def effects(self):
        """Return the tokens that receivers have written."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(Effect.token)))

    def logged(self, pid):
        """Return the log of one process."""
        lines = self.fork_server.logged().splitlines()
        return "\n".join(line for line in lines if f" {pid} " in line)

    def until(self, condition):
        """Wait until ``condition`` is true."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, f"{self.states()}\n{self.fork_server.logged()[-8000:]}"
            time.sleep(0.02)

    def end(self, pid):
        """Stop a worker with SIGTERM, as an operator does."""
        self.fork_server.send(pid, 15)
        assert self.fork_server.wait(pid) == 0, self.fork_server.logged()
