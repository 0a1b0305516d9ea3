"""``upgrade``, ``check``, ``current`` and ``sql`` on every database."""

import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, event, inspect, select, text
from sqlalchemy.pool import NullPool

from aldis.durable.store.sql import migrate
from aldis.durable.store.sql.migrations import runner, versions
from aldis.durable.store.sql.tables import tables
from aldis.errors import OutboxError, SchemaError
from aldis.version import __version__
from tests.durable.sql.databases import KINDS, database, run

ALL = list(migrate.REVISIONS)
NEWEST = ALL[-1]
OURS = ("aldis_audit", "aldis_deliveries", "aldis_paused", "aldis_receivers", "aldis_workers")


def table_names(engine):
    """Return the names of the tables."""
    return set(inspect(engine).get_table_names())


def insert_delivery(engine, prefix="aldis_"):
    """Insert a delivery with the required columns; return its row."""
    rows = tables(MetaData(), prefix).deliveries
    with engine.begin() as connection:
        connection.execute(
            rows.insert(), {"emission_id": "e", "receiver": "r", "signal": "s", "payload": "{}"}
        )
        return connection.execute(select(rows)).one()


@contextmanager
def statements_of(engine):
    """Record the statements of a ``with`` block."""
    seen = []

    def note(connection, cursor, statement, *_):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


class TestUpgrade:
    def test_it_reports_each_revision(self, engine):
        """The first call runs the revisions; the second has nothing to do."""
        told = []

        assert ALL == migrate.upgrade(engine, tell=told.append)
        assert [f"{each}: " for each in ALL] == [line[:6] for line in told]
        assert "0001: create the tables" == told[0]
        assert [] == migrate.upgrade(engine, tell=told.append)
        assert len(ALL) == len(told)
        assert {*OURS, "aldis_version"} == table_names(engine)
        assert NEWEST == migrate.current(engine)

    def test_defaults(self, engine):
        """The database sets the defaults, and times in microseconds."""
        migrate.upgrade(engine)
        row = insert_delivery(engine)

        assert (0, 0, 0) == (row.state, row.attempts, row.lost)
        assert row.created_at == row.due_at
        assert abs(row.created_at / 1e6 - time.time()) < 60

    @pytest.mark.parametrize("kind", KINDS, indirect=True)
    def test_it_creates_the_described_tables(self, engine):
        """The migration and SQLAlchemy create the same tables."""
        migrate.upgrade(engine, "one_")
        metadata = MetaData()
        tables(metadata, "one_")
        # SQLAlchemy cannot read such defaults from MariaDB; `described` compares them below.
        defaults = engine.dialect.name in ("sqlite", "postgresql")
        options = {"compare_type": True, "compare_server_default": defaults}
        options["include_name"] = lambda name, kind, _: kind != "table" or name != "one_version"
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert [] == compare_metadata(context, metadata)

        others = MetaData()
        tables(others, "two_")
        others.create_all(engine)
        for name in ("deliveries", "workers", "paused", "audit"):
            assert described(engine, "two_", name) == described(engine, "one_", name)

    def test_any_prefix(self, engine):
        """Several outboxes can share a database, each with its own revision."""
        migrate.upgrade(engine, "one_")
        assert ALL == migrate.upgrade(engine, "two_")
        assert (NEWEST, NEWEST) == (
            migrate.current(engine, "one_"),
            migrate.current(engine, "two_"),
        )
        assert migrate.current(engine) is None

    def test_the_longest_prefix(self, engine):
        """With the longest prefix, every name fits into each database's limit."""
        prefix = "p" * 29 + "_"
        migrate.upgrade(engine, prefix)
        migrate.check(engine, prefix)

    @pytest.mark.parametrize("prefix", ["", "1", "a-b", "a;", "p" * 31])
    def test_a_wrong_prefix(self, engine, prefix):
        """A prefix that cannot start a table's name is rejected before any statement."""
        with pytest.raises(ValueError, match="a prefix is up to 30 letters, digits"):
            migrate.upgrade(engine, prefix)
        assert set() == table_names(engine)

    def test_an_unknown_revision(self, engine):
        """The error lists the known revisions."""
        with pytest.raises(ValueError, match="unknown revision") as raised:
            migrate.upgrade(engine, revision="9999")
        assert f"unknown revision '9999': choose one of {', '.join(ALL)}" == str(raised.value)

    def test_another_kind_of_database(self):
        """The error names the supported databases."""
        with pytest.raises(OutboxError) as raised:
            migrate.sql("oracle")
        said = "an outbox is kept in SQLite, PostgreSQL, MariaDB or MySQL, not in 'oracle'"
        assert said == str(raised.value)

    def test_the_revisions_are_those_of_the_files(self):
        """``REVISIONS`` lists each file of a revision, and each one follows the one before."""
        files = sorted(Path(versions.__file__).parent.glob("revision_*.py"))
        assert [each.__file__ for each in versions.MODULES] == [str(each) for each in files]
        assert migrate.REVISIONS == tuple(each.revision for each in versions.MODULES)
        earlier = [each.down_revision for each in versions.MODULES]
        assert [None, *migrate.REVISIONS[:-1]] == earlier

    def test_the_steps_between_two_revisions(self):
        """Alembic plans the steps from no revision to the newest one, and none after that."""
        newest = migrate.REVISIONS[-1]
        steps = runner.upgrade_steps(newest, ())
        assert list(migrate.REVISIONS) == [each.to_revisions[0] for each in steps]
        assert [] == runner.upgrade_steps(newest, newest)

    def test_the_caller_commits(self, engine):
        """If the caller rolls back, the tables are gone, where the database can do that."""
        with engine.connect() as connection:
            migrate.upgrade(connection)
            connection.rollback()
        with engine.connect() as connection, connection.begin() as transaction:
            migrate.upgrade(connection)
            transaction.rollback()
        if engine.dialect.name in ("sqlite", "postgresql"):
            assert set() == table_names(engine)
        with engine.begin() as connection:
            migrate.upgrade(connection)
        migrate.check(engine)

    def test_inside_a_migration_of_the_app(self, engine):
        """``upgrade`` works inside a revision of the application's own Alembic."""
        from alembic import op
        from alembic.operations import Operations

        with engine.begin() as connection:
            context = MigrationContext.configure(connection)
            with Operations.context(context):
                migrate.upgrade(op.get_bind())
                op.execute("CREATE TABLE theirs (id INTEGER)")
        assert {*OURS, "aldis_version", "theirs"} == table_names(engine)

    @pytest.mark.parametrize(
        "kind", [pytest.param("postgresql", marks=pytest.mark.service)], indirect=True
    )
    def test_the_connections_settings_stay(self, engine):
        """On PostgreSQL, the caller's lock timeout does not change."""
        with engine.begin() as connection:
            migrate.upgrade(connection)
            assert "0" == connection.scalar(text("SHOW lock_timeout"))

    def test_an_engine_that_commits_each_statement(self, url):
        """``upgrade`` works on an AUTOCOMMIT engine."""
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        assert ALL == migrate.upgrade(engine)
        migrate.check(engine)

    def test_an_engine_that_begins_by_itself(self, engine):
        """``upgrade`` works if listeners run BEGIN, as SQLAlchemy recommends for SQLite."""
        if engine.dialect.name == "sqlite":

            @event.listens_for(engine, "connect")
            def connect(connection, record):
                connection.isolation_level = None

            @event.listens_for(engine, "begin")
            def begin(connection):
                connection.exec_driver_sql("BEGIN")

        assert ALL == migrate.upgrade(engine)
        migrate.check(engine)


def described(engine, prefix, name):
    """Return the database's description of a table, without its prefix."""
    inspector = inspect(engine)
    full_name = prefix + name
    columns = [str(each) for each in inspector.get_columns(full_name)]
    indexes = sorted(str(each) for each in inspector.get_indexes(full_name))
    found = [*columns, *indexes, str(inspector.get_pk_constraint(full_name))]
    if engine.dialect.name in ("mariadb", "mysql"):
        with engine.connect() as connection:
            ((_, created),) = connection.execute(text(f"SHOW CREATE TABLE {full_name}"))
        found += sorted(line.rstrip(",") for line in created.splitlines())
    return [line.replace(full_name, name).replace(prefix, "") for line in found]


class TestSchemas:
    """Tables in a schema, on PostgreSQL."""

    @pytest.fixture
    def engine(self, tmp_path):
        """Give an engine on a PostgreSQL database with a schema."""
        with database("postgresql", tmp_path) as url:
            engine = create_engine(url, poolclass=NullPool)
            run(engine, "CREATE SCHEMA post")
            yield engine

    @pytest.mark.service
    def test_tables_in_a_schema(self, engine):
        """The tables are created and found in the schema only."""
        migrate.upgrade(engine, schema="post")
        migrate.check(engine, schema="post")
        assert set() == table_names(engine)
        assert {*OURS, "aldis_version"} == set(inspect(engine).get_table_names("post"))
        assert (NEWEST, None) == (migrate.current(engine, schema="post"), migrate.current(engine))

    @pytest.mark.service
    def test_a_missing_schema(self, engine):
        """``upgrade`` does not create the schema."""
        with pytest.raises(OutboxError, match='schema "nowhere" does not exist'):
            migrate.upgrade(engine, schema="nowhere")


class TestCheck:
    def test_current_tables(self, engine):
        """The check takes two statements."""
        migrate.upgrade(engine)
        with statements_of(engine) as seen:
            migrate.check(engine)
        assert 2 == len(seen), seen

    def test_missing_columns(self, engine):
        """``check(columns=True)`` finds missing tables and columns."""
        migrate.upgrade(engine)
        migrate.check(engine, columns=True)
        run(engine, "DROP TABLE aldis_paused", "ALTER TABLE aldis_workers DROP COLUMN name")
        migrate.check(engine)
        with pytest.raises(SchemaError) as raised:
            migrate.check(engine, columns=True)
        assert (
            f"the tables aldis_* are of revision {NEWEST}, but lack table aldis_paused, column "
            "aldis_workers.name: add them again"
        ) == str(raised.value)

    def test_no_tables(self, engine):
        """The error names both ways to create the tables."""
        with pytest.raises(SchemaError) as raised:
            migrate.check(engine)
        assert (
            "the tables aldis_* are missing: run `aldis db upgrade`, or add them to your own "
            "migrations: aldis.durable.tables(metadata), then autogenerate"
        ) == str(raised.value)
        assert set() == table_names(engine)

    def test_too_old(self, engine, monkeypatch):
        """The error names both revisions and the command."""
        migrate.upgrade(engine)
        insert_delivery(engine)
        monkeypatch.setattr(migrate, "REVISIONS", (*ALL, "9999"))
        with pytest.raises(SchemaError) as raised:
            migrate.check(engine)
        assert (
            f"the tables aldis_* are of revision {NEWEST}, and aldis {__version__} needs 9999: run "
            "`aldis db upgrade`; it keeps all deliveries"
        ) == str(raised.value)

    @pytest.mark.parametrize("work", [migrate.check, migrate.upgrade])
    def test_too_new(self, engine, work):
        """Tables of a later aldis are not changed."""
        migrate.upgrade(engine)
        insert_delivery(engine)
        run(engine, "UPDATE aldis_version SET version_num = '9999'")
        with pytest.raises(SchemaError) as raised:
            work(engine)
        assert (
            f"the tables aldis_* are of revision 9999, which aldis {__version__} does not know "
            f"(its newest is {NEWEST}): upgrade aldis"
        ) == str(raised.value)
        assert "9999" == migrate.current(engine)
        with engine.connect() as connection:
            assert 1 == connection.scalar(text("SELECT count(*) FROM aldis_deliveries"))

    def test_interrupted(self, engine):
        """A version table without a revision means an interruption; ``upgrade`` continues."""
        run(engine, "CREATE TABLE aldis_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        with pytest.raises(SchemaError) as raised:
            migrate.check(engine)
        assert (
            "the creation of the tables aldis_* was interrupted: run `aldis db upgrade` again to "
            "continue"
        ) == str(raised.value)
        migrate.upgrade(engine)
        migrate.check(engine)


class TestTablesOfTheApp:
    """Tables that the application's own migrations created."""

    @pytest.fixture
    def made(self, engine):
        """Give an engine on a database in which the application has made the tables."""
        metadata = MetaData()
        tables(metadata)
        metadata.create_all(engine)
        return engine

    def test_complete(self, made):
        """Complete tables pass the check."""
        migrate.check(made)
        assert migrate.current(made) is None

    def test_with_a_table_missing(self, made):
        """The error names the missing table and the remedy."""
        run(made, "DROP TABLE aldis_paused")
        with pytest.raises(SchemaError) as raised:
            migrate.check(made)
        assert (
            "the tables aldis_*, which your own migrations created, lack table aldis_paused: "
            f"autogenerate a migration for aldis {__version__}; it keeps all deliveries"
        ) == str(raised.value)

    def test_with_columns_missing(self, made):
        """The error names each missing column."""
        run(
            made,
            "ALTER TABLE aldis_deliveries DROP COLUMN cause",
            "ALTER TABLE aldis_workers DROP COLUMN name",
        )
        said = "lack column aldis_deliveries.cause, column aldis_workers.name: autogenerate"
        with pytest.raises(SchemaError, match=said):
            migrate.check(made)

    def test_with_more_columns(self, made):
        """Additional columns are accepted."""
        run(made, "ALTER TABLE aldis_deliveries ADD COLUMN note VARCHAR(10)")
        migrate.check(made)

    def test_are_not_upgraded(self, made):
        """``upgrade`` refuses to change them."""
        with pytest.raises(SchemaError) as raised:
            migrate.upgrade(made)
        assert (
            "aldis_audit, aldis_deliveries, aldis_paused, aldis_receivers, aldis_workers already "
            "exists, and "
            "`aldis db upgrade` did not create it: upgrade tables of your own migrations "
            "with a migration; for other tables of that name, choose another prefix"
        ) == str(raised.value)
        assert set(OURS) == table_names(made)


class TestSql:
    def test_it_runs(self, engine):
        """The printed SQL creates the tables with their revision."""
        script = migrate.sql(engine.dialect.name)
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.connection.executescript(script)
            else:
                for statement in script.split(";"):
                    if statement.strip() not in ("", "BEGIN", "COMMIT"):
                        connection.exec_driver_sql(statement)
                connection.commit()
        assert NEWEST == migrate.current(engine)
        assert [] == migrate.upgrade(engine)
        insert_delivery(engine)

    def test_from_a_revision_on(self):
        """From the newest there is nothing to do."""
        assert "CREATE" not in migrate.sql("sqlite", start=NEWEST)
