"""``aldis worker`` on a database with an async driver."""

import pytest
from sqlalchemy import create_engine

from aldis.durable.store.sql.migrate import upgrade
from tests.cli.durable_shop import RECEIVERS, send, wait_for, working
from tests.durable.sql.databases import database


@pytest.mark.service
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_async_database(project, tmp_path, kind):
    """With an async driver, sync and async receivers run, and SIGTERM ends the worker."""
    pytest.importorskip("aiosqlite")
    pytest.importorskip("asyncpg")
    project.write(
        "pier.py",
        """
        import asyncio, os
        from aldis.durable import Outbox
        from receivers import *
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        engine = create_async_engine(os.environ["SHOP_URL"])
        outbox = Outbox(engine=engine)

        @order_paid.connect
        @durable("shipping.label")
        async def label(sender, **extra): Path("labelled").touch()

        async def send():
            async with AsyncSession(engine) as session, session.begin():
                with outbox.using(session):
                    order_paid.send("harbour", order_id=1)
            await engine.dispose()
        """,
    )
    project.write("receivers.py", RECEIVERS)
    project.write("send.py", "import asyncio, pier\nasyncio.run(pier.send())")
    with database(kind, tmp_path) as url:
        engine = create_engine(url)
        upgrade(engine)
        engine.dispose()
        driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[kind]
        where = {"SHOP_URL": driver + url[url.index(":") :]}
        send(project, **where)
        with working(project, "--outbox", "pier:outbox", **where) as worker:
            wait_for((project.folder / "done-1").exists)
            wait_for((project.folder / "labelled").exists)
            code, output = worker.end()
    assert 0 == code
    assert ": 2 done, 0 failed\n" in output
    advice = f"aldis db upgrade --wal --url sqlite:///{tmp_path}/place.db --prefix aldis_\n"
    assert (kind == "sqlite") == (advice in output)
