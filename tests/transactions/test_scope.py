"""Whose session it is."""

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from werkzeug.local import LocalProxy

from aldis.errors import NoSessionError
from aldis.transactions import current_scope, register_provider, sync_counterpart, use_session
from aldis.transactions.scope import _providers
from tests.core.support import exactly, run_python


class Box:
    """A source of sessions."""

    def __init__(self, handle=None):
        self.handle = handle

    def session(self):
        """Return what it was made with."""
        return self.handle


@pytest.fixture(autouse=True)
def no_providers():
    """Start without any current app."""
    before = _providers[:]
    _providers.clear()
    yield
    _providers[:] = before


class TestCaller:
    def test_nobody_knows(self):
        """Without an app and without ``using`` the error says how to give a session."""
        text = (
            "whose session is it? There is no current app with an outbox; give the app one "
            "(Aldis(app, outbox=Outbox(db.session))), or say it: with outbox.using(session): ..."
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            current_scope()

    def test_the_current_apps(self):
        """What a finder finds is asked for the session; a finder given twice is one."""
        box, session = Box(), Session()
        box.handle = session
        find = lambda: box
        register_provider(find)
        register_provider(find)
        register_provider(lambda: None)
        assert (box, session) == current_scope()

    def test_two_apps_are_one_too_many(self):
        """It is never guessed."""
        for box in (Box(), Box()):
            register_provider(lambda box=box: box)
        text = (
            "whose session is it? 2 apps are current that have an outbox; say it: "
            "with outbox.using(session): ..."
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            current_scope()

    def test_using(self):
        """The innermost ``using`` counts, and before the current app."""
        register_provider(lambda: Box(Session()))
        outer, inner, box = Session(), Session(), Box()
        with use_session(box, outer):
            with use_session(box, inner):
                assert (box, inner) == current_scope()
            assert (box, outer) == current_scope()
        assert inner is not current_scope().handle is not outer

    def test_using_ends_with_its_block(self):
        """An error ends it, too."""
        with pytest.raises(KeyError), use_session(Box(), Session()):
            raise KeyError
        with pytest.raises(NoSessionError):
            current_scope()


class TestCounterpart:
    def test_sessions(self):
        """A session, scoped or async or behind a proxy, is the session behind it."""
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
        """A connection of Core is one of the things that can be the caller's."""
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            assert connection is sync_counterpart(connection)
        engine.dispose()

    async def test_an_async_connection(self):
        """It is refused, with what can be had instead."""
        text = (
            "an AsyncConnection cannot be written to without await; use an AsyncSession, or the "
            "connection that await connection.run_sync(...) hands to its function"
        )
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            with pytest.raises(NoSessionError, match=exactly(text)):
                sync_counterpart(connection)
            inner = await connection.run_sync(sync_counterpart)
            assert inner is connection.sync_connection
        await engine.dispose()

    def test_something_else(self):
        """It is named."""
        text = "that is no session or connection of SQLAlchemy: 7"
        with pytest.raises(NoSessionError, match=exactly(text)):
            sync_counterpart(7)


class TestImports:
    def test_sqlalchemy_is_not_imported(self):
        """Who has no session does not pay for one."""
        code = """
            import sys
            import aldis.receivers, aldis.transactions
            print("sqlalchemy" in sys.modules)
        """
        assert "False" == run_python(code)

    def test_greenlet_is_not_needed(self):
        """A sync session does without the async part of SQLAlchemy, which needs greenlet."""
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
