"""A server becomes read-only, as at a failover: the worker delivers again once it is well."""

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import NullPool

from aldis.durable import Outbox, Retry, current_delivery, durable
from aldis.durable.types import State
from tests.durable.sql.databases import database
from tests.durable.support import create_tables, order_paid, rows, write, written
from tests.durable.working import send, until, working

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    pytest.mark.usefixtures("dropped_connections", "aldis_clean"),
]

#: Retries that need no time.
PATIENT = Retry(attempts=50, first_delay=0.05, max_delay=0.2)


class ReadOnlyServer:
    """A database whose new connections can be made read-only.

    A connection that was opened in this time stays read-only, like one to a demoted server.
    """

    def __init__(self, url):
        self._admin = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        create_tables(self._admin)
        self.workers = create_engine(url)
        self.senders = create_engine(url, poolclass=NullPool)
        self._is_read_only = False
        event.listen(self.workers, "connect", self._connected)

    def _connected(self, raw, record):
        if self._is_read_only:
            is_postgresql = self._admin.dialect.name == "postgresql"
            scope = "SESSION CHARACTERISTICS AS" if is_postgresql else "SESSION"
            cursor = raw.cursor()
            cursor.execute(f"SET {scope} TRANSACTION READ ONLY")
            cursor.close()
            raw.commit()

    def fail_over(self):
        """End the workers' connections. New ones are read-only."""
        self._is_read_only = True
        with self._admin.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
                return
            sessions = connection.scalars(
                text(
                    "SELECT id FROM information_schema.processlist "
                    "WHERE db = database() AND id <> connection_id()"
                )
            ).all()
            for number in sessions:
                connection.execute(text(f"KILL {number}"))

    def recover(self):
        """Let new connections write."""
        self._is_read_only = False

    def close(self):
        """Close the engines."""
        for engine in (self._admin, self.workers, self.senders):
            engine.dispose()


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request, tmp_path):
    """Give a server that can become read-only."""
    with database(request.param, tmp_path) as url:
        server = ReadOnlyServer(url)
        yield server
        server.close()


@pytest.mark.parametrize("uses_session", [False, True], ids=["plain", "session"])
def test_a_read_only_window(server, uses_session, caplog):
    """Every delivery runs after the window, also those that were sent before and within it."""
    received = set()

    @order_paid.connect
    @durable("test.receipt", retry=PATIENT)
    def receipt(sender, *, order_id, **extra):
        if uses_session:
            write(current_delivery().session, str(order_id))
        received.add(order_id)

    outbox, sending = Outbox(engine=server.workers), Outbox(engine=server.senders)
    with working(outbox, lease=3):
        send(sending, 1)
        until(lambda: received == {1})
        server.fail_over()
        send(sending, *range(2, 8))
        until(lambda: "read-only" in caplog.text)
        server.recover()
        send(sending, 8, 9)
        until(lambda: len(rows(sending, State.DONE)) == 9)
    if uses_session:
        assert [*range(1, 10)] == sorted(map(int, written(server.senders)))
    assert "the database answers again" in caplog.text


def test_receivers_that_got_read_only_connections(server):
    """Receivers whose sessions fail on read-only connections get new ones from the pool."""

    @order_paid.connect
    @durable("test.receipt", retry=PATIENT)
    def receipt(sender, *, order_id, **extra):
        write(current_delivery().session, str(order_id))

    server._is_read_only = True
    with server.workers.connect(), server.workers.connect():
        pass  # the pool has two read-only connections now
    server.recover()
    sending = Outbox(engine=server.senders)
    with working(Outbox(engine=server.workers)):
        send(sending, *range(6))
        until(lambda: len(rows(sending, State.DONE)) == 6)
    assert max(row.attempts for row in rows(sending)) <= 3
