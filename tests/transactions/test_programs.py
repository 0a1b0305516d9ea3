"""Random programs: receivers and writers see exactly the committed rows."""

import asyncio

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.sizes import sized
from tests.transactions.programs import PLAIN, WITH_LEVEL, Player
from tests.transactions.tables import Happened, Scribe, Written, committed

STEPS = st.sampled_from(PLAIN) | st.tuples(st.sampled_from(WITH_LEVEL), st.integers(0, 3))
PROGRAMS = st.lists(STEPS, min_size=8, max_size=40)

GIVEN = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

INNER_LEFT_OPEN = ["send", "begin", "send", "begin", "send", ("commit", 0)]
WRITTEN_IN_WHAT_FAILED = ["send", "begin", "begin", "send", ("commit", 2), ("rollback", 1), "send"]


@pytest.fixture
def played(engine):
    """Return a function that plays a program in an empty database and returns the results."""

    def play(run):
        with engine.begin() as connection:
            connection.execute(delete(Happened))
            connection.execute(delete(Written))
        scribe = Scribe(engine)
        player = run(scribe)
        assert [] == scribe.late
        happened, written = committed(engine)
        return [each for each in player.sent if each in happened], player.heard, written

    return play


@pytest.mark.slow
@settings(GIVEN, max_examples=sized(40, 1000))
@example(program=INNER_LEFT_OPEN)
@example(program=[*WRITTEN_IN_WHAT_FAILED, ("commit", 0)])
@example(program=["begin", *INNER_LEFT_OPEN, ("rollback", 1), "send", ("commit", 0)])
@given(program=PROGRAMS)
def test_committed_rows_were_reported(program, engine, played):
    """Each committed row was reported once and in order, and no other row was."""

    def run(scribe):
        with Session(engine) as session:
            player = Player(session, scribe)
            player.play(program)
            return player

    expected, heard, written = played(run)
    assert (expected, expected) == (heard, written)


@pytest.mark.slow
@settings(GIVEN, max_examples=sized(10, 200))
@given(program=PROGRAMS)
def test_async(program, played, async_engine):
    """An async session has the same results."""

    async def run(scribe):
        async with AsyncSession(async_engine) as session:
            player = await session.run_sync(lambda inner: Player(inner, scribe))
            await session.run_sync(lambda _: player.play(program))
            return player

    expected, heard, written = played(lambda scribe: asyncio.run(run(scribe)))
    assert (expected, expected) == (heard, written)
