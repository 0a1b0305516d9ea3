"""A dashboard over an outbox in a new database."""

from dataclasses import dataclass
from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox
from aldis.durable.store.sql import migrate
from aldis.durable.types import AttemptFailure, DeliveryFilter, NewDelivery
from aldis.web import Dashboard, Grant
from tests.durable.sql.databases import DATABASES, database
from tests.web.browser import Client


@dataclass
class Place:
    """An outbox with deliveries."""

    outbox: Outbox

    @property
    def store(self):
        """The store of the outbox."""
        return self.outbox.store

    def add(self, receiver="billing.receipt", payload='{"sender":null,"payload":{}}', **more):
        """Record a delivery and return its id."""
        new = NewDelivery(uuid4().hex, receiver, "order-paid", payload, **more)
        self.store.add(None, [new])
        (found,) = self.store.find(DeliveryFilter(emission_id=new.emission_id), limit=1)
        return found.id

    def claim(self, receiver="billing.receipt", limit=100):
        """Claim deliveries with a new lease."""
        worker = uuid4().hex
        self.store.register_worker(worker, "worker 1", 60.0)
        return self.store.claim(worker, receiver, limit, ordered=False)

    def die(self, *reasons, receiver="billing.receipt"):
        """Make one dead letter for each reason and return their ids."""
        ids = [self.add(receiver) for _ in reasons]
        for claimed, reason in zip(self.claim(receiver), reasons, strict=True):
            self.store.fail(claimed, AttemptFailure(reason, f"Traceback: {reason}"))
        return ids

    def state(self, delivery_id):
        """Return the label of the state of a delivery."""
        (found,) = self.store.find(DeliveryFilter(ids=[delivery_id]), limit=1)
        return found.state.label


@pytest.fixture
def place(tmp_path):
    """Give an outbox in an SQLite file."""
    with database("sqlite", tmp_path) as url:
        yield from new_place(url)


@pytest.fixture(params=DATABASES)
def any_place(request, tmp_path):
    """Give an outbox in each kind of database."""
    with database(request.param, tmp_path) as url:
        yield from new_place(url)


def new_place(url):
    """Create the tables and yield a place."""
    engine = create_engine(url, poolclass=NullPool)
    migrate.upgrade(engine)
    yield Place(Outbox(engine=engine))
    engine.dispose()


def operator(_request):
    """Let the user ada operate."""
    return Grant("operate", "ada")


@pytest.fixture
def client(place):
    """Give a client of a dashboard in which the user may operate."""
    return Client(Dashboard(place.outbox, access=operator))
