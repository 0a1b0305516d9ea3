"""Workers that are frozen, stopped, lost again and again, or share a database."""

import signal
import time
from collections import Counter

import pytest

from aldis.durable.types import DEAD_AFTER, State
from tests.durable.kill.scenario import Scenario

pytestmark = pytest.mark.stress

LEASE = 2.0


@pytest.fixture
def scenario(fork_server, engine, url, tmp_path):
    """Provide a scenario on each kind of database."""
    return Scenario(fork_server, url, engine, tmp_path)


class TestFrozen:
    @pytest.mark.parametrize("kind", ["session", "session-flushed", "plain"])
    def test_cannot_complete(self, scenario, engine, kind):
        """A worker that was frozen past its lease cannot complete a delivery of another worker."""
        if kind == "session-flushed" and engine.dialect.name == "sqlite":
            pytest.skip("the frozen transaction holds SQLite's only write lock")
        first = scenario.worker(lease=LEASE)
        scenario.send(("one", f"{kind} gate"))
        scenario.until(lambda: scenario.has("started", "one", first))
        scenario.fork_server.send(first, signal.SIGSTOP)
        time.sleep(LEASE)
        second = scenario.worker(lease=LEASE)
        scenario.until(lambda: scenario.has("started", "one", second))
        scenario.open_gate()
        scenario.until(lambda: scenario.states() == {State.DONE: 1})
        (done,) = scenario.rows()

        scenario.fork_server.send(first, signal.SIGCONT)
        scenario.until(lambda: scenario.has("ended", "one", first))
        scenario.until(lambda: "a lease of this worker has run out" in scenario.logged(first))
        scenario.end(second)
        scenario.send(("two", "nothing"))
        scenario.until(lambda: scenario.has("ended", "two", first))  # with a new lease
        scenario.until(lambda: scenario.states() == {State.DONE: 2})
        scenario.end(first)

        assert done == scenario.rows()[0]
        assert (1, 1) == (done.attempts, done.lost)
        assert ([] if kind == "plain" else ["one"]) == scenario.effects()
        if kind != "plain":
            assert "the worker no longer has delivery" in scenario.logged(first)
            assert "failed at attempt" not in scenario.logged(first)


class TestPoison:
    def test_only_the_poison_is_dead(self, scenario):
        """A delivery that kills its worker becomes a dead letter, and no other delivery does."""
        innocent = [(f"innocent-{number}", "nothing") for number in range(30)]
        scenario.send(*innocent[:15], ("poison", "exit"), *innocent[15:])
        deaths = []
        while State.DEAD not in scenario.states():
            assert len(deaths) <= DEAD_AFTER
            pid = scenario.worker(lease=0.5)
            scenario.until(
                lambda pid=pid: (
                    not scenario.fork_server.is_alive(pid) or State.DEAD in scenario.states()
                )
            )
            if scenario.fork_server.is_alive(pid):
                break
            deaths.append(scenario.fork_server.wait(pid))
            time.sleep(0.6)
        scenario.until(lambda: scenario.states() == {State.DONE: 30, State.DEAD: 1})
        scenario.end(pid)

        assert [3] * DEAD_AFTER == deaths
        (dead,) = [row for row in scenario.rows() if row.state == State.DEAD]
        assert "poison" in dead.payload
        assert f"{DEAD_AFTER} workers were lost while they had the delivery" == dead.reason
        assert {f"innocent-{number}" for number in range(30)} <= {
            token for token, _ in scenario.runs("ended")
        }


class TestEnd:
    def test_a_running_receiver_finishes(self, scenario):
        """After SIGTERM, the running receiver finishes, and other deliveries are released."""
        worker = scenario.worker(concurrency=1)
        scenario.send(*((f"before-{number}", "nothing") for number in range(20)))
        scenario.until(lambda: scenario.states() == {State.DONE: 20})
        scenario.send(
            ("long", "sleep 1.0"), *((f"next-{number}", "nothing") for number in range(20))
        )
        scenario.until(lambda: scenario.has("started", "long", worker))
        scenario.end(worker)

        rest = [row for row in scenario.rows() if row.state != State.DONE]
        assert scenario.has("ended", "long", worker)
        assert len(rest) > 1
        assert {(State.PENDING, 0, 0, None)} == {
            (row.state, row.attempts, row.lost, row.worker) for row in rest
        }
        last = scenario.worker()
        scenario.until(lambda: scenario.states() == {State.DONE: 41})
        scenario.end(last)
        assert [1] == sorted({row.attempts for row in scenario.rows()})
        assert {1} == set(Counter(token for token, _ in scenario.runs("ended")).values())

    def test_a_receiver_that_does_not_return(self, scenario):
        """A receiver that runs longer than the grace period is released without an attempt."""
        worker = scenario.worker(grace=0.5)
        scenario.send(("long", "sleep 30"))
        scenario.until(lambda: scenario.has("started", "long", worker))
        scenario.end(worker)
        (row,) = scenario.rows()
        assert (State.PENDING, 0, 0, None) == (
            row.state,
            row.attempts,
            row.lost,
            row.worker,
        )


def test_two_share(scenario):
    """Two workers share the deliveries, and each delivery runs once."""
    workers = {scenario.worker(), scenario.worker()}
    scenario.send(*((f"{number}", "sleep 0.01") for number in range(200)))
    scenario.until(lambda: scenario.states() == {State.DONE: 200})
    for worker in workers:
        scenario.end(worker)
    runs = scenario.runs("ended")
    assert [200, 200] == [len(runs), len({token for token, _ in runs})]
    assert workers == {pid for _, pid in runs}
