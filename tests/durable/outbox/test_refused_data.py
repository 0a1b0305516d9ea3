"""Data that a database accepts only in part raises an error at the send, not at the commit."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import aldis
from aldis.durable import Outbox, current_delivery, durable
from aldis.durable.types import State
from aldis.errors import OutboxError, PayloadError
from tests.durable.sql.databases import DATABASES, database, run
from tests.durable.support import create_tables, order_paid, rows, write, written
from tests.durable.working import run_all

pytestmark = pytest.mark.usefixtures("aldis_clean")

shop = aldis.Namespace()


@shop.define
def note_written(sender: str, /, *, title: str, body: str) -> None:
    """Sent once a note is written."""


@pytest.fixture
def note():
    """Give a durable receiver of notes of up to 64 MiB, and the notes that it got."""
    heard = []

    @note_written.connect
    @durable("test.note", max_bytes=64 << 20)
    def note(sender, *, title, body):
        heard.append((title, body))

    return heard


@pytest.fixture(params=DATABASES)
def engine(request, tmp_path):
    """Give an engine with the tables on each database."""
    with database(request.param, tmp_path) as url:
        engine = create_engine(url)
        create_tables(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def mariadb(tmp_path):
    """Give an engine with the tables on MariaDB."""
    with database("mariadb", tmp_path) as url:
        engine = create_engine(url)
        create_tables(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def postgresql(tmp_path):
    """Give the URL of a database on PostgreSQL."""
    with database("postgresql", tmp_path) as url:
        yield url


def test_characters_that_some_database_refuses(engine, note):
    """NUL, quotes and backslashes in a payload arrive on every database."""
    odd = "a\0b\\'\"\x1a\n\N{SNOWMAN}\N{GRINNING FACE}"
    outbox = Outbox(engine=engine)
    with Session(engine) as session, outbox.using(session), session.begin():
        note_written.send(odd, title=odd, body="")
    run_all(outbox)
    assert [(odd, "")] == note


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.parametrize(("count", "size"), [(256, 65_000), (20, 1_000_000)])
def test_a_transaction_of_many_large_sends(mariadb, note, count, size):
    """MariaDB gets as many statements as its max_allowed_packet makes necessary."""
    outbox = Outbox(engine=mariadb)
    with Session(mariadb) as session, outbox.using(session), session.begin():
        for number in range(count):
            note_written.send("harbour", title=str(number), body='"' * (size // 2))
    assert count == len(rows(outbox))


@pytest.mark.service
def test_a_delivery_that_is_too_large_for_the_server(mariadb, note):
    """The send names the argument and the limit; the transaction goes on without it."""
    outbox = Outbox(engine=mariadb)
    with Session(mariadb) as session, outbox.using(session), session.begin():
        write(session, "order 7")
        with pytest.raises(PayloadError, match=r"argument 'body' of signal .*max_allowed_packet"):
            note_written.send("harbour", title="long", body="x" * (17 << 20))
    assert (["order 7"], []) == (written(mariadb), rows(outbox))


@pytest.mark.service
def test_a_two_phase_transaction(postgresql, note):
    """PostgreSQL cannot prepare a NOTIFY: the outbox names the option."""
    engine = create_engine(postgresql)
    create_tables(engine)
    outbox = Outbox(engine=engine)
    with (
        Session(engine, twophase=True) as session,
        pytest.raises(OutboxError, match=r"Outbox\(notify=False\)"),
        outbox.using(session),
    ):
        note_written.send("harbour", title="", body="")
    with (
        engine.connect() as connection,
        connection.begin_twophase(),
        pytest.raises(OutboxError, match=r"Outbox\(notify=False\)"),
        outbox.using(connection),
    ):
        note_written.send("harbour", title="", body="")
    engine.dispose()


@pytest.mark.service
class TestSchemaForEachTenant:
    """A session may translate schemas; the outbox's tables are in one schema."""

    @pytest.fixture
    def tenant(self, postgresql):
        """Give an engine whose database has a schema for a tenant with the tables."""
        engine = create_engine(postgresql)
        create_tables(engine)
        run(engine, "CREATE SCHEMA tenant")
        create_tables(engine.execution_options(schema_translate_map={None: "tenant"}))
        yield engine
        engine.dispose()

    @pytest.mark.parametrize("key", [None, "one"])
    def test_it_is_recorded_and_completed_in_one_schema(self, tenant, key):
        """Recording, claiming and completing ignore the map of a session."""
        in_tenant = {"schema_translate_map": {None: "tenant"}}

        @order_paid.connect
        @durable("test.receipt", key=lambda sender, **_: key)
        def receipt(sender, *, order_id):
            session = current_delivery().session
            session.connection(execution_options=in_tenant)
            write(session, str(order_id))

        outbox = Outbox(engine=tenant)
        bound = tenant.execution_options(**in_tenant)
        with Session(bound) as session, outbox.using(session), session.begin():
            write(session, "sent")
            order_paid.send("harbour", order_id=1)
            order_paid.send("harbour", order_id=2)
        run_all(outbox)
        assert [State.DONE, State.DONE] == [row.state for row in rows(outbox)]
        assert ["1", "2", "sent"] == sorted(written(bound))
        assert [] == written(tenant)

    def test_an_engine_that_moves_the_tables(self, tenant):
        """The outbox refuses it, and names the options."""
        moved = tenant.execution_options(schema_translate_map={None: "tenant"})
        with pytest.raises(OutboxError, match=r"Outbox\(schema='tenant'\)"):
            Outbox(engine=moved)
        outbox = Outbox(scoped_session(sessionmaker(moved)))
        with pytest.raises(OutboxError, match=r"Outbox\(engine=engine\)"):
            outbox.prepare()

    def test_the_schema_of_such_an_engine(self, tenant, note):
        """With schema=, the deliveries are recorded and completed there."""
        moved = tenant.execution_options(schema_translate_map={None: "tenant"})
        outbox = Outbox(engine=moved, schema="tenant")
        with Session(moved) as session, outbox.using(session), session.begin():
            note_written.send("harbour", title="1", body="")
        run_all(outbox)
        assert [("1", "")] == note
        with tenant.connect() as connection:
            count = text("SELECT count(*) FROM tenant.aldis_deliveries WHERE state = 2")
            assert 1 == connection.scalar(count)
