"""Makes deliveries in a database and runs ``aldis deliveries`` on it."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from aldis.cli.group import aldis
from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.types import AttemptFailure, DeliveryFilter, NewDelivery, State
from tests.durable.sql.databases import DATABASES

LEASE = "1" * 32


class Deliveries:
    """Makes deliveries in a database and runs the command in this process."""

    def __init__(self, url):
        self.url = url
        self.engine = create_engine(url)
        upgrade(self.engine)
        self.store = SqlStore(self.engine)
        self.store.register_worker(LEASE, "quay-1", 600)

    def add(self, receiver="billing.receipt", count=1, **facts):
        """Record deliveries."""
        new = {"signal": "order_paid", "payload": '{"payload":{"order_id":7}}', **facts}
        for _ in range(count):
            number = f"{self.store.count(DeliveryFilter()):032x}"
            self.store.add(None, [NewDelivery(emission_id=number, receiver=receiver, **new)])

    def kill(self, receiver="billing.receipt", reason="LookupError: no such lamp", **more):
        """Make every waiting delivery of a receiver a dead letter."""
        while claimed := self.store.claim(LEASE, receiver, 500, ordered=False):
            for each in claimed:
                self.store.fail(each, AttemptFailure(reason, f"Traceback …\n{reason}\n", **more))

    def run(self, *command, stdin=None):
        """Run ``aldis deliveries`` on the database."""
        return CliRunner().invoke(aldis, ["deliveries", *command, "--url", self.url], input=stdin)

    def json(self, *command):
        """Return the JSON of a command."""
        ended = self.run(*command, "--json")
        assert 0 == ended.exit_code, ended.output
        return json.loads(ended.stdout)

    def states(self):
        """Return the state of each delivery, by id."""
        with self.engine.connect() as connection:
            found = connection.scalars(text("SELECT state FROM aldis_deliveries ORDER BY id"))
            return [State(each).name for each in found]


everywhere = pytest.mark.parametrize("deliveries", DATABASES, indirect=True)


def said(ended):
    """Return the exit code and the last line on the standard error."""
    return ended.exit_code, (ended.stderr.splitlines() or [""])[-1]
