"""The caller's session."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from werkzeug.local import LocalProxy

from aldis.errors import NoSessionError
from aldis.transactions import current_scope, register_provider, sync_counterpart, use_session
from aldis.transactions.scope import _find_provider
from tests.core.support import exactly, run_python


class Box:
    """A session provider."""

    def __init__(self, handle=None):
        self.handle = handle

    def session(self):
        """Return the session of the box."""
        return self.handle


@pytest.fixture(autouse=True)
def no_providers():
    """Start without any current app."""
    before = _find_provider[:]
    _find_provider.clear()
    yield
    _find_provider[:] = before


class TestCurrentScope:
    def test_without_an_app(self):
        """Without an app and without ``using``, the error explains how to name a session."""
        text = (
            "there is no current app with an outbox, so aldis does not know the session; give the "
            "app an outbox, Aldis(app, outbox=Outbox(db.session)), or name the session: with "
            "outbox.using(session): ..."
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            current_scope()

    def test_the_current_apps(self):
        """The current app's outbox provides the session; registering twice has no effect."""
        box, session = Box(), Session()
        box.handle = session
        find = lambda: box
        register_provider(find)
        register_provider(find)
        register_provider(lambda: None)
        assert (box, session) == current_scope()

    def test_two_apps(self):
        """With two current apps, the error asks for a session; aldis does not guess."""
        for box in (Box(), Box()):
            register_provider(lambda box=box: box)
        text = (
            "2 current apps have an outbox, so aldis does not know the session; name it: with "
            "outbox.using(session): ..."
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            current_scope()

    def test_using(self):
        """The innermost ``use_session`` comes before the current app."""
        register_provider(lambda: Box(Session()))
        outer, inner, box = Session(), Session(), Box()
        with use_session(box, outer):
            with use_session(box, inner):
                assert (box, inner) == current_scope()
            assert (box, outer) == current_scope()
        assert inner is not current_scope().handle is not outer

    def test_using_ends_with_its_block(self):
        """``use_session`` ends with its block, also after an error."""
        with pytest.raises(KeyError), use_session(Box(), Session()):
            raise KeyError
        with pytest.raises(NoSessionError):
            current_scope()


class TestCounterpart:
    def test_sessions(self):
        """A scoped session, an async session and a proxy lead to the sync session behind them."""
        session, inner = Session(), AsyncSession()
        scoped = scoped_session(sessionmaker())
        async_scoped = async_scoped_session(lambda: inner, scopefunc=lambda: 1)
        assert session is sync_counterpart(session)
        assert scoped() is sync_counterpart(scoped)
        assert inner.sync_session is sync_counterpart(inner)
        assert inner.sync_session is sync_counterpart(async_scoped)
        assert session is sync_counterpart(LocalProxy(lambda: session))
        assert scoped() is sync_counterpart(LocalProxy(lambda: scoped))

    def test_a_connection(self):
        """A connection of SQLAlchemy Core is returned unchanged."""
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            assert connection is sync_counterpart(connection)
        engine.dispose()

    async def test_an_async_connection(self):
        """An async connection is refused, and the error names two alternatives."""
        text = (
            "an AsyncConnection cannot record a send, because that would need await; use an "
            "AsyncSession, or the connection that await connection.run_sync(...) passes on"
        )
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            with pytest.raises(NoSessionError, match=exactly(text)):
                sync_counterpart(connection)
            inner = await connection.run_sync(sync_counterpart)
            assert inner is connection.sync_connection
        await engine.dispose()

    def test_something_else(self):
        """The error names an object that is not a session."""
        text = "7 is not a session or connection of SQLAlchemy"
        with pytest.raises(NoSessionError, match=exactly(text)):
            sync_counterpart(7)


class TestImports:
    def test_sqlalchemy_is_not_imported(self):
        """Code without sessions does not import SQLAlchemy."""
        code = """
            import sys
            import aldis.receivers, aldis.transactions
            print("sqlalchemy" in sys.modules)
        """
        assert "False" == run_python(code)

    def test_greenlet_is_not_needed(self):
        """Sync sessions work without greenlet."""
        code = """
            import sys
            sys.modules["greenlet"] = None
            import aldis
            from aldis.receivers import after_commit
            from sqlalchemy import create_engine, text
            from sqlalchemy.orm import Session

            session = Session(create_engine("sqlite://"))
            signal = aldis.Signal()
            receiver = signal.connect(after_commit(session=session)(lambda sender: print(sender)))
            signal.send("at once")
            session.execute(text("select 1"))
            signal.send("later")
            print("committing")
            session.commit()
        """
        assert "at once\ncommitting\nlater" == run_python(code)
