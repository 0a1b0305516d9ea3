"""``after_commit`` on functions and methods, and the objects that it refuses."""

import gc
import inspect

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import aldis
from aldis.errors import NoSessionError, ReceiverError
from aldis.receivers import after_commit, once, robust
from tests.core.support import exactly, line_of


class TestDecorated:
    def test_it_looks_like_its_function(self, receiver, signal):
        """The receiver has the name and signature of its function, and a ``repr``."""
        function = receiver.__wrapped__
        assert function.__name__ == receiver.__name__
        assert inspect.signature(function) == inspect.signature(receiver)
        assert f"<after_commit {function.__qualname__}>" == repr(receiver)
        assert "after_commit" == signal.explain().rows[0].delivery

    @pytest.mark.parametrize("session", [Session(), scoped_session(sessionmaker())])
    def test_a_session_as_the_first_argument(self, session):
        """A session as the first argument is refused, and the error names ``session=``."""
        text = "after_commit takes its session by name: @after_commit(session=...)"
        with pytest.raises(TypeError, match=exactly(text)):
            after_commit(session)

    def test_called_directly_it_simply_runs(self, receiver, session, received):
        """A direct call runs the receiver at once."""
        session.begin()
        assert ("north", ["north"]) == (receiver("north"), received)

    @pytest.mark.parametrize("decorate", [after_commit, after_commit(session=Session())])
    def test_one_delivery_mode(self, decorate):
        """``after_commit`` with ``robust``, ``once`` or itself is refused, in either order."""

        def plain(sender): ...

        place = line_of(plain)
        for other in (once, robust, after_commit):
            name = plain.__qualname__
            text = f"{name} ({place}) cannot be after_commit as well as {other.__name__}: a "
            text += "receiver has one delivery mode"
            with pytest.raises(ReceiverError, match=exactly(text)):
                decorate(other(plain))
            text = f"{name} ({place}) cannot be {other.__name__} as well as after_commit: a "
            text += "receiver has one delivery mode"
            with pytest.raises(ReceiverError, match=exactly(text)):
                other(decorate(plain))

    @pytest.mark.parametrize("decorate", [after_commit, after_commit(session=Session())])
    def test_an_object_that_is_not_callable_is_refused(self, decorate):
        """The decorator refuses an object that is not callable."""
        text = "a receiver must be callable, not int 7; write @after_commit above the function"
        with pytest.raises(ReceiverError, match=exactly(text)):
            decorate(7)

    def test_an_object_that_is_not_a_session_is_refused(self):
        """The decorator refuses a ``session=`` that is not a session."""

        def plain(sender): ...

        text = (
            f"{plain.__qualname__} ({line_of(plain)}): session must be a session, or a callable "
            "that gives the current one, not 'db'"
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            after_commit(session="db")(plain)

    @pytest.mark.parametrize(
        "makes", [sessionmaker(), async_sessionmaker(), Session], ids=["sync", "async", "class"]
    )
    def test_a_session_factory_is_refused(self, makes):
        """A factory is refused: its new sessions are never in a transaction."""

        def plain(sender): ...

        text = (
            f"{plain.__qualname__} ({line_of(plain)}): session must be a session, or a callable "
            "that gives the current one, not an object that makes a new session at each call; "
            "put it into a "
            "scoped_session"
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            after_commit(session=makes)(plain)

    def test_methods(self, signal, session):
        """A method is held weakly, and strongly between its send and the commit."""

        class Post:
            letters = []  # noqa: RUF012 - for all of them

            @after_commit(session=session)
            def receive(self, sender):
                self.letters.append(sender)

        post = Post()
        signal.connect(post.receive)
        session.begin()
        signal.send("north")
        del post
        gc.collect()
        session.commit()
        assert ["north"] == Post.letters
        gc.collect()
        assert [] == signal.send("south")

    def test_it_is_held_weakly(self, signal, session, received):
        """A signal holds the receiver weakly."""
        signal.connect(after_commit(session=session)(received.append))
        gc.collect()
        assert [] == signal.send()

    def test_it_goes_through_contracts(self, session):
        """``connect`` checks the receiver against the contract."""

        @aldis.Namespace().define
        def lit(sender, /, *, depth: int) -> None: ...

        with pytest.raises(aldis.errors.ContractError):
            lit.connect(after_commit(session=session)(lambda sender: None))
