"""Databases that are not in UTF-8, and transactions with unusual numbers of sends."""

from uuid import uuid4

import pytest
from sqlalchemy import create_engine, event, text

from aldis.durable import Outbox, Retry, durable
from aldis.errors import OutboxError
from tests.durable.support import counts, create_tables, order_paid, rows, sqlite
from tests.durable.working import run_all, send
from tests.services import POSTGRESQL

pytestmark = pytest.mark.usefixtures("aldis_clean")


@pytest.fixture
def latin():
    """Give an engine on a PostgreSQL database in LATIN1."""
    POSTGRESQL.require()
    driver = "postgresql+psycopg"
    name = f"aldis_latin_{uuid4().hex[:12]}"
    server = create_engine(POSTGRESQL.sqlalchemy_url(driver), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(
            text(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        )
    engine = create_engine(POSTGRESQL.sqlalchemy_url(driver, name))
    create_tables(engine)
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.mark.service
def test_an_error_that_the_database_cannot_encode(latin):
    """The worker stores the error in ASCII and continues."""

    @order_paid.connect
    @durable("odd.arrow", retry=Retry(attempts=1))
    def arrow(sender, *, order_id):
        if order_id == 1:
            raise ValueError("order \N{RIGHTWARDS ARROW} nobody")

    outbox = Outbox(engine=latin)
    send(outbox, 1, 2)
    run_all(outbox)
    assert counts(outbox) == {"done": 1, "dead": 1}
    (dead,) = [row for row in rows(outbox) if row.reason]
    assert dead.reason == r"ValueError: order \u2192 nobody"


@pytest.mark.service
def test_a_payload_that_the_database_cannot_encode(latin):
    """The sender's transaction fails, and the error names the encoding."""

    @order_paid.connect
    @durable("odd.sender")
    def receiver(sender, *, order_id):
        pass

    with pytest.raises(OutboxError, match=r"not in UTF-8 and cannot store this: 'latin-1' codec"):
        send(Outbox(engine=latin), 1, sender="\N{RIGHTWARDS ARROW}")


@pytest.mark.parametrize("count", [1, 64, 65, 137, 600])
def test_rows_of_one_transaction_are_written_by_few_statements(tmp_path, count):
    """A transaction writes its rows in order, with few statements of few sizes."""

    @order_paid.connect
    @durable("odd.number")
    def receiver(sender, *, order_id):
        pass

    inserts = []
    with sqlite(tmp_path / "shop.db") as engine:
        outbox = Outbox(engine=engine)
        event.listen(
            engine,
            "before_cursor_execute",
            lambda *args: inserts.append(args[2]) if args[2].startswith("INSERT") else None,
        )
        send(outbox, *range(count))
        found = [row.payload for row in rows(outbox)]
    assert len(inserts) <= 6
    assert [f'"order_id":{number}}}' in row for number, row in enumerate(found)] == [True] * count
