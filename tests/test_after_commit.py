"""The delivery ``after_commit``."""

import asyncio
import gc
import inspect
import logging
import re
from pathlib import Path
from weakref import ref

import pytest
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

import aldis
from aldis.core.tap import Observer, attach, detach
from aldis.errors import AsyncReceiverError, HiddenDeliveryError, NoSessionError, NotCallableError
from aldis.observe import trace
from aldis.receivers import after_commit, once, robust
from aldis.transactions import using
from tests.core.support import exactly, line_of
from tests.transactions import databases
from tests.transactions.tables import Happened, Table, committed


@pytest.fixture
def engine(tmp_path):
    """Give an engine on a new SQLite file with tables."""
    with databases.sqlite(tmp_path / "place.db") as engine:
        Table.metadata.create_all(engine)
        yield engine


@pytest.fixture
async def async_engine(engine):
    """Give an async engine on the same file."""
    async_engine = databases.async_sqlite(engine.url.database)
    yield async_engine
    await async_engine.dispose()


@pytest.fixture
def session(engine):
    """Give a session."""
    with Session(engine) as session:
        yield session


@pytest.fixture
async def async_session(async_engine):
    """Give an async session, with the setting that its documentation asks for."""
    async with AsyncSession(async_engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def signal():
    """Give a signal."""
    return aldis.Signal()


@pytest.fixture
def heard():
    """Give a list for what was heard."""
    return []


@pytest.fixture
def receiver(signal, session, heard):
    """Give a connected receiver that hears after the commit."""

    @signal.connect
    @after_commit(session=session)
    def receiver(sender, **extra):
        heard.append(sender)
        return sender

    return receiver


def number(session, number):
    """Leave a row."""
    session.execute(insert(Happened).values(number=number))


class TestDecorated:
    def test_it_looks_like_its_function(self, receiver, signal):
        """It has its function's name and signature, and says what it is."""
        function = receiver.__wrapped__
        assert function.__name__ == receiver.__name__
        assert inspect.signature(function) == inspect.signature(receiver)
        assert f"<after_commit {function.__qualname__}>" == repr(receiver)
        assert "after_commit" == signal.explain().rows[0].delivery

    def test_called_directly_it_simply_runs(self, receiver, session, heard):
        """A direct call waits for nothing."""
        session.begin()
        assert ("north", ["north"]) == (receiver("north"), heard)

    @pytest.mark.parametrize("decorate", [after_commit, after_commit(session=Session())])
    def test_one_delivery(self, decorate):
        """With ``robust``, ``once`` or itself it is refused, in either order."""

        def plain(sender): ...

        place = line_of(plain)
        for other in (once, robust, after_commit):
            name = plain.__qualname__
            text = f"{name} ({place}) cannot be after_commit as well as {other.__name__}: a "
            with pytest.raises(
                HiddenDeliveryError, match=exactly(text + "receiver has one delivery")
            ):
                decorate(other(plain))
            text = f"{name} ({place}) cannot be {other.__name__} as well as after_commit: a "
            with pytest.raises(
                HiddenDeliveryError, match=exactly(text + "receiver has one delivery")
            ):
                other(decorate(plain))

    @pytest.mark.parametrize("decorate", [after_commit, after_commit(session=Session())])
    def test_what_is_not_callable_is_refused(self, decorate):
        """The mistake is found when decorating."""
        with pytest.raises(
            NotCallableError, match=exactly("a receiver must be callable, not int: 7")
        ):
            decorate(7)

    def test_what_is_no_session_is_refused(self):
        """This mistake is, too."""

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
    def test_what_makes_sessions_is_refused(self, makes):
        """A new session is in no transaction: the receiver would always be called at once."""

        def plain(sender): ...

        text = (
            f"{plain.__qualname__} ({line_of(plain)}): session must be a session, or a callable "
            "that gives the current one, not what makes a new one at each call: put it into a "
            "scoped_session"
        )
        with pytest.raises(NoSessionError, match=exactly(text)):
            after_commit(session=makes)(plain)

    def test_methods(self, signal, session):
        """A method is held weakly until it is sent to, and strongly from then to the commit."""

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

    def test_it_is_held_weakly(self, signal, session, heard):
        """A function is kept by its module, not by the signal."""
        signal.connect(after_commit(session=session)(heard.append))
        gc.collect()
        assert [] == signal.send()

    def test_it_goes_through_contracts(self, session):
        """What the receiver takes is checked when it is connected."""

        @aldis.Namespace().define
        def lit(sender, /, *, depth: int) -> None: ...

        with pytest.raises(aldis.errors.ReceiverMismatchError):
            lit.connect(after_commit(session=session)(lambda sender: None))


class TestWhen:
    def test_after_the_commit(self, receiver, signal, session, heard):
        """Collected, with ``None`` as the value, and called in the order of the sends."""
        session.begin()
        assert [(receiver, None)] == signal.send(1)
        signal.send(2)
        assert [] == heard
        session.commit()
        assert [1, 2] == heard
        session.begin()
        session.commit()
        assert [1, 2] == heard

    def test_the_data_is_there(self, receiver, signal, session, engine):
        """When it runs, others can see what was committed."""
        seen = []
        signal.connect(
            after_commit(session=session)(lambda _: seen.append(committed(engine)[0])), weak=False
        )
        number(session, 7)
        signal.send()
        session.commit()
        assert [[7]] == seen

    def test_a_savepoint_is_no_commit(self, receiver, signal, session, heard):
        """Its release changes nothing, and the rollback around it takes all back."""
        session.begin()
        with session.begin_nested():
            signal.send(1)
        assert [] == heard
        session.rollback()
        session.begin()
        session.commit()
        assert [] == heard

    def test_a_savepoint_that_is_rolled_back(self, receiver, signal, session, heard):
        """What was sent inside is dropped, what was sent around it stays."""
        session.begin()
        signal.send(1)
        nested = session.begin_nested()
        signal.send(2)
        nested.rollback()
        signal.send(3)
        session.commit()
        assert [1, 3] == heard

    @pytest.mark.parametrize("how", ["rollback", "close", "invalidate"])
    def test_without_a_commit(self, receiver, signal, session, heard, how):
        """Rolled back or closed: dropped, and not called with a later commit."""
        session.begin()
        signal.send(1)
        getattr(session, how)()
        session.begin()
        session.commit()
        assert [] == heard

    def test_in_no_transaction(self, receiver, signal, session, heard):
        """There is nothing to wait for: it is called at once, and its value is ``None``."""
        assert [(receiver, None)] == signal.send(1)
        assert [1] == heard

    def test_the_end_of_a_block(self, receiver, signal, engine, session, heard):
        """``with session.begin()`` commits: the receiver can use the session there."""
        read = after_commit(session=session)(
            lambda sender: heard.append(session.scalar(text("SELECT 7")))
        )
        signal.connect(read)
        for _ in range(2):
            with session.begin():
                signal.send("north")
        assert ["north", 7, "north", 7] == heard

    def test_what_it_sends_itself(self, receiver, signal, session, heard):
        """Inside a receiver the session is in no transaction, or in a new one: its rules hold."""
        other = aldis.Signal()
        other.connect(receiver)

        @signal.connect
        @after_commit(session=session)
        def relay(sender):
            other.send("at once")
            number(session, 7)
            other.send("after its own commit")
            heard.append("done")

        session.begin()
        signal.send("first")
        session.commit()
        assert ["first", "at once", "done", "after its own commit"] == heard


class TestItsWork:
    """What a receiver does in the session is a transaction of its own."""

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_committed(self, signal, session, engine, begun):
        """Neither a read nor a write leaves a transaction behind."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            number(session, sender)

        if begun:
            session.begin()
        signal.send(7)
        session.commit()
        assert ([7], False) == (committed(engine)[0], session.in_transaction())

    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_rolled_back_when_it_raises(self, signal, session, engine, begun):
        """The session is as good as before."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            number(session, 8)
            number(session, 8)

        if begun:
            session.begin()
        signal.send(7)
        session.commit()
        assert not session.in_transaction()
        number(session, 9)
        session.commit()
        assert [9] == committed(engine)[0]

    def test_a_connection_that_breaks_under_it(self, signal, session, engine, caplog):
        """Even when nothing can be rolled back, the caller's commit returns; the log has both."""

        @signal.connect
        @after_commit(session=session)
        def break_it(sender):
            session.connection().connection.dbapi_connection.close()
            raise ValueError("lamp out")

        number(session, 7)
        signal.send()
        session.commit()
        assert [
            "after_commit receiver",
            "what an after_commit receiver left in its session cannot be rolled back",
        ] == [each.getMessage().partition(" Test")[0] for each in caplog.records[:2]]
        assert [7] == committed(engine)[0]

    def test_what_it_has_not_flushed(self, signal, session, engine, caplog):
        """It is flushed with its commit, and fails without a harm to the caller."""

        @signal.connect
        @after_commit(session=session)
        def write(sender):
            session.add(Happened(number=sender))

        number(session, 8)
        signal.send(8)
        signal.send(9)
        session.commit()
        assert ([8, 9], 1) == (committed(engine)[0], len(caplog.records))

    def test_the_attributes_of_what_was_sent(self, signal, session, heard):
        """A mapped object that has expired with the commit is read again."""

        @signal.connect
        @after_commit(session=session)
        def read(sender, thing):
            heard.append(thing.number)

        with session.begin():
            thing = Happened(number=7)
            session.add(thing)
            signal.send(thing=thing)
        assert [7] == heard


class TestErrors:
    def test_they_are_logged(self, receiver, signal, session, heard, caplog):
        """With the receiver's name and place; the caller goes on, and so do later receivers."""

        @after_commit(session=session)
        def fail(sender):
            raise ValueError("lamp out")

        signal.disconnect(receiver)
        for each in (fail, receiver):
            signal.connect(each)
        session.begin()
        signal.send("later")
        session.commit()
        signal.send("at once")
        function = fail.__wrapped__
        message = f"after_commit receiver {function.__qualname__} ({line_of(function)}) raised"
        assert 2 * [(message, logging.ERROR)] == [
            (each.getMessage(), each.levelno) for each in caplog.records
        ]
        assert ValueError is caplog.records[0].exc_info[0]
        assert ["later", "at once"] == heard

    def test_what_is_no_exception_propagates(self, signal, session):
        """``KeyboardInterrupt`` is for the program; the session can be used on."""

        @signal.connect
        @after_commit(session=session)
        def interrupt(sender):
            number(session, 7)
            raise KeyboardInterrupt

        session.begin()
        signal.send()
        with pytest.raises(KeyboardInterrupt):
            session.commit()
        assert [] == session.scalars(select(Happened)).all()

    def test_observers_see_them(self, receiver, signal, session):
        """To those who observe the send, the call after the commit is a second turn in it."""
        sent_inside = aldis.Namespace().signal("inside")

        @signal.connect
        @after_commit(session=session)
        def fail(sender):
            sent_inside.send()
            raise ValueError("lamp out")

        with trace() as seen:
            session.begin()
            signal.send()
            session.commit()
            aldis.Signal().send()
        sent, after = seen.roots
        name = fail.__wrapped__.__qualname__
        assert [None, None, None, "ValueError: lamp out"] == [each.error for each in sent.calls]
        assert name == sent.calls[1].receiver == sent.calls[3].receiver
        assert ["inside"] == [each.signal for each in sent.calls[3].emissions]
        assert [] == after.calls

    def test_who_runs_at_once_is_observed_alike(self, receiver, signal):
        """A turn for the delivery, and one inside it for the receiver."""

        class Count(Observer):
            turns = 0

            def call_finished(self, call):
                self.turns += 1

        count = Count()
        attach(count)
        try:
            signal.send()
        finally:
            detach(count)
        assert 2 == count.turns


class TestWhoseSession:
    def test_nobody_knows(self, signal):
        """The send fails, and the error says what can be done."""

        @signal.connect
        @after_commit
        def wait(sender): ...

        message = (
            f"{wait.__qualname__} ({line_of(wait.__wrapped__)}) waits for a commit: whose session "
            "is it? There is no current app with an outbox; give the app one (Aldis(app, "
            "outbox=Outbox(db.session))), or say it: with outbox.using(session): ...; or give the "
            "receiver its session: @after_commit(session=db.session)"
        )
        with pytest.raises(NoSessionError, match=exactly(message)):
            signal.send()

    def test_using(self, signal, session, heard):
        """Without a session of its own the receiver waits for the caller's."""
        receiver = after_commit(heard.append)
        signal.connect(receiver)
        with using(None, session):
            session.begin()
            signal.send("north")
            session.commit()
        assert ["north"] == heard

    def test_an_outbox_without_a_session(self, signal):
        """An outbox may do without a session: a receiver that waits for its commit does not."""
        receiver = after_commit(lambda sender: None)
        signal.connect(receiver)

        class Source:
            def session(self): ...

        text = "waits for a commit, and the outbox in use has no session; give the receiver one: @"
        with using(Source(), None), pytest.raises(NoSessionError, match=re.escape(text)):
            signal.send()

    @pytest.mark.parametrize("own", [True, False])
    def test_a_connection(self, signal, engine, heard, own):
        """A connection of Core does not tell of its commit: refused, with a remedy."""
        with engine.connect() as connection:
            decorate = after_commit(session=lambda: connection) if own else after_commit
            receiver = decorate(heard.append)
            signal.connect(receiver)
            with (
                using(None, connection),
                pytest.raises(
                    NoSessionError, match="waits for a commit, and a connection does not"
                ) as caught,
            ):
                signal.send()
        assert str(caught.value).endswith(
            "does not tell of it: only a session does. Give it one: @after_commit(session=...), "
            "or with outbox.using(session): ..."
        )

    @pytest.mark.parametrize(
        "kind", [scoped_session, lambda make: make.registry, lambda make: make()]
    )
    def test_what_gives_a_session(self, signal, engine, heard, kind):
        """A scoped session, a callable or a session."""
        scoped = scoped_session(sessionmaker(engine))
        given = scoped if kind is scoped_session else kind(scoped)
        receiver = after_commit(session=given)(heard.append)
        signal.connect(receiver)
        scoped().begin()
        signal.send("north")
        assert [] == heard
        scoped.commit()
        assert ["north"] == heard
        scoped.remove()

    def test_a_callable_that_gives_none(self, signal):
        """What it gave stands in the message."""
        receiver = after_commit(session=lambda: None)(lambda sender: None)
        signal.connect(receiver)
        with pytest.raises(
            NoSessionError, match="that is no session or connection of SQLAlchemy: None; or"
        ):
            signal.send()

    def test_the_other_session_does_not_matter(self, signal, receiver, session, engine, heard):
        """A commit of another session is not its commit."""
        with Session(engine) as other:
            session.begin()
            other.begin()
            signal.send("north")
            other.commit()
            assert [] == heard
        session.commit()
        assert ["north"] == heard


class TestAsync:
    async def test_an_async_receiver(self, signal, async_session, heard):
        """The commit awaits it, and it can use the async session."""

        @signal.connect
        @after_commit(session=async_session)
        async def receiver(sender):
            await asyncio.sleep(0)
            heard.append((sender, await async_session.scalar(text("SELECT 7"))))

        async with async_session.begin():
            assert [(receiver, None)] == await signal.asend("north")
            assert [] == heard
        assert [("north", 7)] == heard
        assert not async_session.in_transaction()
        await async_session.execute(text("SELECT 1"))
        await signal.asend("gone")
        await async_session.rollback()
        assert [("north", 7)] == heard

    async def test_in_no_transaction(self, signal, async_session, heard):
        """It is awaited at once, and its work is committed."""

        @signal.connect
        @after_commit(session=async_session)
        async def receiver(sender):
            heard.append(await async_session.scalar(text("SELECT 7")))

        await signal.asend("north")
        assert ([7], False) == (heard, async_session.in_transaction())

    async def test_a_sync_receiver(self, signal, async_session, heard):
        """It hears after the commit, whoever sent; a plain send is enough."""
        scoped = async_scoped_session(lambda: async_session, scopefunc=asyncio.current_task)
        receiver = after_commit(session=scoped)(heard.append)
        signal.connect(receiver)
        await async_session.execute(text("SELECT 1"))
        signal.send(1)
        await signal.asend(2)
        assert [] == heard
        await async_session.commit()
        assert [1, 2] == heard

    async def test_a_sync_receiver_at_once(self, signal, async_session, engine):
        """What it adds to the async session waits for the caller's commit: nobody awaits here."""
        receiver = after_commit(session=async_session)(
            lambda sender: async_session.add(Happened(number=7))
        )
        signal.connect(receiver)
        signal.send()
        assert ([], True) == (committed(engine)[0], async_session.in_transaction())
        await async_session.commit()
        assert [7] == committed(engine)[0]

    async def test_a_plain_send(self, signal, async_session):
        """An async receiver needs ``asend``, as any other."""
        receiver = after_commit(session=async_session)(asyncio.sleep)
        signal.connect(receiver)
        with pytest.raises(AsyncReceiverError, match="is async: await asend or send_async"):
            signal.send(0)

    async def test_a_sync_session(self, signal, session):
        """Nobody could await the receiver at its commit: refused when it is sent."""

        @signal.connect
        @after_commit(session=session)
        async def receiver(sender): ...

        function = receiver.__wrapped__
        message = (
            f"{function.__qualname__} ({line_of(function)}) is async, and the session whose commit "
            "it waits for is not: nobody could await it there. Make it sync, or use an AsyncSession"
        )
        with pytest.raises(AsyncReceiverError, match=exactly(message)):
            await signal.asend()

    async def test_its_error(self, signal, async_session, heard, caplog):
        """It is logged; later receivers run, and the caller's objects can be read."""

        @signal.connect
        @after_commit(session=async_session)
        async def fail(sender):
            raise ValueError("lamp out")

        later = after_commit(session=async_session)(heard.append)
        signal.connect(later)
        thing = Happened(number=7)
        async_session.add(thing)
        await signal.asend("north")
        await async_session.commit()
        assert (["north"], 7, 1) == (heard, thing.number, len(caplog.records))

    async def test_a_cancelled_commit(self, signal, async_engine, heard):
        """It interrupts the receiver that waits; the others run, and the task is cancelled."""
        waiting = asyncio.Event()

        async def request():
            async with AsyncSession(async_engine) as session:

                @after_commit(session=session)
                async def wait(sender):
                    waiting.set()
                    await asyncio.sleep(60)

                later = after_commit(session=session)(heard.append)
                for each in (wait, later):
                    signal.connect(each)
                await session.execute(text("SELECT 1"))
                await signal.asend("north")
                await session.commit()

        task = asyncio.create_task(request())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ["north"] == heard

    async def test_many_tasks(self, signal, async_engine, heard):
        """Sessions of tasks at once do not see each other's."""
        make = async_scoped_session(async_sessionmaker(async_engine), asyncio.current_task)
        receiver = after_commit(session=make)(heard.append)
        signal.connect(receiver)

        async def request(number):
            await make.execute(text("SELECT 1"))
            await signal.asend(number)
            await asyncio.sleep(0)
            await (make.commit() if number % 2 else make.rollback())
            await make.remove()

        await asyncio.gather(*map(request, range(20)))
        assert list(range(1, 20, 2)) == sorted(heard)


class TestFlask:
    def test_requests(self, signal, tmp_path, heard):
        """With Flask-SQLAlchemy: after the view's commit, and not when the view fails before it."""
        app = Flask(__name__)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
        db = SQLAlchemy(app)

        class Order(db.Model):
            id = db.Column(db.Integer, primary_key=True)

        receiver = after_commit(session=db.session)(
            lambda sender, order: heard.append((order.id, current_app.name))
        )
        signal.connect(receiver)

        @app.post("/orders/<int:number>")
        def pay(number):
            order = Order(id=number)
            db.session.add(order)
            signal.send(order=order)
            if number == 13:
                raise ValueError(number)
            db.session.commit()
            return f"{order.id} {len(heard)}"

        with app.app_context():
            db.create_all()
        client = app.test_client()
        assert [200, 500, 200] == [
            client.post(f"/orders/{number}").status_code for number in (7, 13, 8)
        ]
        assert [(7, app.name), (8, app.name)] == heard
        with app.app_context():
            db.engine.dispose()


class TestMemory:
    def test_nothing_is_kept(self, signal):
        """Over many requests, in every way they end, nothing that was sent stays alive."""
        engine = create_engine("sqlite://", poolclass=StaticPool)
        scoped = scoped_session(sessionmaker(engine))
        receiver = after_commit(session=scoped)(lambda sender, thing: None)
        signal.connect(receiver)

        class Thing:
            pass

        def request(end):
            thing = Thing()
            scoped.execute(text("SELECT 1"))
            signal.send(thing=thing)
            end()
            return ref(thing)

        one_session = scoped()
        ends = [scoped.commit, scoped.rollback, scoped.close]
        alive = [request(ends[number % 3]) for number in range(3000)]
        assert one_session is scoped()
        assert [] == [each for each in alive if each() is not None]
        alive = [request(scoped.remove) for _ in range(1000)]
        gc.collect()
        assert [] == [each for each in alive if each() is not None]

    def test_the_arguments_live_until_then(self, signal, session, heard):
        """They are kept as they are, and held."""

        class Thing:
            pass

        receiver = after_commit(session=session)(lambda sender, thing: heard.append(thing))
        signal.connect(receiver)
        session.begin()
        thing = Thing()
        here = ref(thing)
        signal.send(thing=thing)
        del thing
        gc.collect()
        session.commit()
        assert [here()] == heard


def test_the_how_to(capsys):
    """The examples of its page print what the page says."""
    page = Path(__file__).parents[1] / "docs" / "how-to" / "after-commit.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    exec(compile("\n".join(blocks), "the_page", "exec"), {"__name__": "the_page"})  # noqa: S102
    assert [
        "harbour: order 7 is paid, the cache is cleared",
        "market: order 7 is paid, the cache is cleared",
        "7",
        "lighthouse: 7",
    ] == capsys.readouterr().out.splitlines()
