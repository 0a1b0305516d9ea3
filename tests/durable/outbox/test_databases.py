"""The databases that an outbox accepts and refuses."""

import sqlite3

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Session

from aldis.durable import Outbox
from aldis.errors import OutboxError, SchemaError
from tests.durable import support
from tests.durable.outbox.sending import send, sent
from tests.durable.support import notes, rows, write, written

pytestmark = pytest.mark.usefixtures("aldis_clean", "lenient")


class TestDatabases:
    def test_another_engine_is_refused(self, engine, tmp_path, receipt):
        """A session on another database is refused, because it is not atomic."""
        with support.sqlite(tmp_path / "other.db") as other:
            outbox = Outbox(engine=engine)
            with Session(other) as session, outbox.using(session):
                write(session, "paid")
                send(7)
                with pytest.raises(OutboxError, match=r"atomically across databases: .*other.db"):
                    session.commit()
                session.rollback()
            assert [] == written(other)
            why = "cannot be recorded atomically"
            with (
                other.begin() as connection,
                outbox.using(connection),
                pytest.raises(OutboxError, match=why),
            ):
                send(7)

    def test_two_engines_are_refused(self, engine, tmp_path, receipt):
        """A session that has used a second database is refused."""
        with support.sqlite(tmp_path / "other.db") as other:
            outbox = Outbox(engine=engine)
            with Session(engine) as session, outbox.using(session):
                session.execute(insert(notes).values(text="x"), bind_arguments={"bind": other})
                send(7)
                with pytest.raises(OutboxError, match="atomically across databases"):
                    session.commit()
                session.rollback()
        assert [] == rows(outbox)

    def test_binds_by_model_need_an_engine(self, engine, receipt):
        """A session with engines for models only needs ``Outbox(engine=)``."""

        class Base(DeclarativeBase): ...

        with Session(binds={Base: engine}) as session:
            session.begin()
            outbox = Outbox(lambda: session)
            remedy = r"Outbox\(session, engine=engine\)"
            with pytest.raises(OutboxError, match=remedy), outbox.using():
                send(7)
            outbox = Outbox(lambda: session, engine=engine)
            with outbox.using():
                send(8)
            session.commit()
        assert [8] == sent(outbox)

    def test_another_kind_is_refused(self):
        """Only supported databases are accepted."""
        engine = create_engine("mssql+pymssql://", module=sqlite3)
        with pytest.raises(
            OutboxError, match=r"kept in SQLite, PostgreSQL, MariaDB or MySQL, not i"
        ):
            Outbox(engine=engine)

    def test_without_the_tables(self, tmp_path, receipt):
        """The send's transaction fails, and the error names the missing command."""
        engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
        outbox = Outbox(engine=engine)
        with Session(engine) as session, outbox.using(session):
            session.begin()
            send(7)
            with pytest.raises(SchemaError, match="create them with 'aldis db upgrade'"):
                session.commit()
        engine.dispose()

    def test_a_prefix(self, tmp_path, receipt):
        """The table names can have another prefix."""
        engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
        support.create_tables(engine, "shop_")
        outbox = Outbox(engine=engine, prefix="shop_")
        with Session(engine) as session, outbox.using(session):
            send(7)
        assert [7] == sent(outbox)
        engine.dispose()
