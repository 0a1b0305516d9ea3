"""The session whose commit a receiver with ``after_commit`` awaits."""

import re

import pytest
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from aldis.errors import NoSessionError
from aldis.receivers import after_commit
from aldis.transactions import use_session
from tests.core.support import exactly, line_of


class TestWhoseSession:
    def test_without_a_session(self, signal):
        """The send raises an error with a remedy."""

        @signal.connect
        @after_commit
        def wait(sender): ...

        message = (
            f"{wait.__qualname__} ({line_of(wait.__wrapped__)}) waits for a commit: there is no "
            "current app with an outbox, so aldis does not know the session; give the app an "
            "outbox, Aldis(app, outbox=Outbox(db.session)), or name the session: with "
            "outbox.using(session): ...; or give the "
            "receiver its session: @after_commit(session=db.session)"
        )
        with pytest.raises(NoSessionError, match=exactly(message)):
            signal.send()

    def test_using(self, signal, session, received):
        """Without ``session=``, the receiver waits for the commit of the caller's session."""
        receiver = after_commit(received.append)
        signal.connect(receiver)
        with use_session(None, session):
            session.begin()
            signal.send("north")
            session.commit()
        assert ["north"] == received

    def test_an_outbox_without_a_session(self, signal):
        """With an outbox that has no session, the send raises an error."""
        receiver = after_commit(lambda sender: None)
        signal.connect(receiver)

        class Source:
            def session(self): ...

        text = "waits for a commit, and the outbox in use has no session; give the receiver one: @"
        with use_session(Source(), None), pytest.raises(NoSessionError, match=re.escape(text)):
            signal.send()

    @pytest.mark.parametrize("own", [True, False])
    def test_a_connection(self, signal, engine, received, own):
        """A connection does not report its commit, so the send raises an error."""
        with engine.connect() as connection:
            decorate = after_commit(session=lambda: connection) if own else after_commit
            receiver = decorate(received.append)
            signal.connect(receiver)
            with (
                use_session(None, connection),
                pytest.raises(
                    NoSessionError, match="waits for a commit, and only a session reports its"
                ) as caught,
            ):
                signal.send()
        assert str(caught.value).endswith(
            "not a connection; pass a session: @after_commit(session=...), or "
            "with outbox.using(session): ..."
        )

    @pytest.mark.parametrize(
        "kind", [scoped_session, lambda make: make.registry, lambda make: make()]
    )
    def test_the_forms_of_a_session(self, signal, engine, received, kind):
        """``session=`` takes a scoped session, a callable or a session."""
        scoped = scoped_session(sessionmaker(engine))
        given = scoped if kind is scoped_session else kind(scoped)
        receiver = after_commit(session=given)(received.append)
        signal.connect(receiver)
        scoped().begin()
        signal.send("north")
        assert [] == received
        scoped.commit()
        assert ["north"] == received
        scoped.remove()

    def test_a_callable_that_gives_none(self, signal):
        """The message shows the object that the callable returned."""
        receiver = after_commit(session=lambda: None)(lambda sender: None)
        signal.connect(receiver)
        with pytest.raises(
            NoSessionError, match="None is not a session or connection of SQLAlchemy; or"
        ):
            signal.send()

    def test_the_other_session_does_not_matter(self, signal, receiver, session, engine, received):
        """A commit of another session does not call the receiver."""
        with Session(engine) as other:
            session.begin()
            other.begin()
            signal.send("north")
            other.commit()
            assert [] == received
        session.commit()
        assert ["north"] == received
