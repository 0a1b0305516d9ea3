"""``after_commit`` with async receivers and async sessions."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker

from aldis.errors import AsyncReceiverError
from aldis.receivers import after_commit
from tests.core.support import exactly, line_of
from tests.transactions.tables import Happened, committed


class TestAsync:
    async def test_an_async_receiver(self, signal, async_session, received):
        """The commit awaits an async receiver, which can use the async session."""

        @signal.connect
        @after_commit(session=async_session)
        async def receiver(sender):
            await asyncio.sleep(0)
            received.append((sender, await async_session.scalar(text("SELECT 7"))))

        async with async_session.begin():
            assert [(receiver, None)] == await signal.asend("north")
            assert [] == received
        assert [("north", 7)] == received
        assert not async_session.in_transaction()
        await async_session.execute(text("SELECT 1"))
        await signal.asend("gone")
        await async_session.rollback()
        assert [("north", 7)] == received

    async def test_outside_a_transaction(self, signal, async_session, received):
        """Outside a transaction, the receiver is awaited at once, and its work is committed."""

        @signal.connect
        @after_commit(session=async_session)
        async def receiver(sender):
            received.append(await async_session.scalar(text("SELECT 7")))

        await signal.asend("north")
        assert ([7], False) == (received, async_session.in_transaction())

    async def test_a_sync_receiver(self, signal, async_session, received):
        """A sync receiver runs after the commit of an async session, also with a plain ``send``."""
        scoped = async_scoped_session(lambda: async_session, scopefunc=asyncio.current_task)
        receiver = after_commit(session=scoped)(received.append)
        signal.connect(receiver)
        await async_session.execute(text("SELECT 1"))
        signal.send(1)
        await signal.asend(2)
        assert [] == received
        await async_session.commit()
        assert [1, 2] == received

    async def test_a_sync_receiver_at_once(self, signal, async_session, engine):
        """Rows that a sync receiver adds to the async session wait for the caller's next commit."""
        receiver = after_commit(session=async_session)(
            lambda sender: async_session.add(Happened(number=7))
        )
        signal.connect(receiver)
        signal.send()
        assert ([], True) == (committed(engine)[0], async_session.in_transaction())
        await async_session.commit()
        assert [7] == committed(engine)[0]

    async def test_a_plain_send(self, signal, async_session):
        """An async receiver needs ``asend``."""
        receiver = after_commit(session=async_session)(asyncio.sleep)
        signal.connect(receiver)
        with pytest.raises(AsyncReceiverError, match="is async: await asend or send_async"):
            signal.send(0)

    async def test_a_sync_session(self, signal, session):
        """An async receiver with a sync session raises at the send."""

        @signal.connect
        @after_commit(session=session)
        async def receiver(sender): ...

        function = receiver.__wrapped__
        message = (
            f"{function.__qualname__} ({line_of(function)}) is async, but the session whose commit "
            "it waits for is sync and cannot await it; make the receiver sync, or use an "
            "AsyncSession"
        )
        with pytest.raises(AsyncReceiverError, match=exactly(message)):
            await signal.asend()

    async def test_its_error(self, signal, async_session, received, caplog):
        """An error is logged, later receivers run, and the caller's objects can be read."""

        @signal.connect
        @after_commit(session=async_session)
        async def fail(sender):
            raise ValueError("lamp out")

        later = after_commit(session=async_session)(received.append)
        signal.connect(later)
        thing = Happened(number=7)
        async_session.add(thing)
        await signal.asend("north")
        await async_session.commit()
        assert (["north"], 7, 1) == (received, thing.number, len(caplog.records))

    async def test_a_cancelled_commit(self, signal, async_engine, received):
        """A cancellation interrupts the waiting receiver. The others run; the task is cancelled."""
        waiting = asyncio.Event()

        async def request():
            async with AsyncSession(async_engine) as session:

                @after_commit(session=session)
                async def wait(sender):
                    waiting.set()
                    await asyncio.sleep(60)

                later = after_commit(session=session)(received.append)
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
        assert ["north"] == received

    async def test_many_tasks(self, signal, async_engine, received):
        """Sessions of concurrent tasks do not share entries."""
        make = async_scoped_session(async_sessionmaker(async_engine), asyncio.current_task)
        receiver = after_commit(session=make)(received.append)
        signal.connect(receiver)

        async def request(number):
            await make.execute(text("SELECT 1"))
            await signal.asend(number)
            await asyncio.sleep(0)
            await (make.commit() if number % 2 else make.rollback())
            await make.remove()

        await asyncio.gather(*map(request, range(20)))
        assert list(range(1, 20, 2)) == sorted(received)
