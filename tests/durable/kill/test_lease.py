"""Workers that are frozen, told to end, lost again and again, or one of two."""

import signal
import time
from collections import Counter

import pytest

from aldis.durable.types import DEAD_AFTER, State
from tests.durable.kill.scene import Scene

pytestmark = pytest.mark.stress

LEASE = 2.0


@pytest.fixture
def scene(nursery, engine, url, tmp_path):
    """Give a scene on each kind of database."""
    return Scene(nursery, url, engine, tmp_path)


class TestFrozen:
    @pytest.mark.parametrize("kind", ["session", "session-flushed", "plain"])
    def test_cannot_complete(self, scene, engine, kind):
        """Whoever was frozen past its lease completes nothing that another one has done."""
        if kind == "session-flushed" and engine.dialect.name == "sqlite":
            pytest.skip("who has written holds SQLite's only lock: nobody can take over")
        first = scene.worker(lease=LEASE)
        scene.send(("one", f"{kind} gate"))
        scene.until(lambda: scene.has("begun", "one", first))
        scene.nursery.send(first, signal.SIGSTOP)
        time.sleep(LEASE)
        second = scene.worker(lease=LEASE)
        scene.until(lambda: scene.has("begun", "one", second))
        scene.open_gate()
        scene.until(lambda: scene.states() == {State.DONE: 1})
        (done,) = scene.rows()

        scene.nursery.send(first, signal.SIGCONT)
        scene.until(lambda: scene.has("ended", "one", first))
        scene.until(lambda: "a lease of this worker has run out" in scene.logged(first))
        scene.end(second)
        scene.send(("two", "nothing"))
        scene.until(lambda: scene.has("ended", "two", first))  # with a new lease
        scene.until(lambda: scene.states() == {State.DONE: 2})
        scene.end(first)

        assert done == scene.rows()[0]
        assert (1, 1) == (done.attempts, done.lost)
        assert ([] if kind == "plain" else ["one"]) == scene.effects()
        if kind != "plain":
            assert "the worker no longer has delivery" in scene.logged(first)
            assert "failed at attempt" not in scene.logged(first)


class TestPoison:
    def test_only_the_poison_is_dead(self, scene):
        """What takes its worker along is a dead letter in the end, and nothing else is."""
        innocent = [(f"innocent-{number}", "nothing") for number in range(30)]
        scene.send(*innocent[:15], ("poison", "exit"), *innocent[15:])
        deaths = []
        while State.DEAD not in scene.states():
            assert len(deaths) <= DEAD_AFTER
            pid = scene.worker(lease=0.5)
            scene.until(
                lambda pid=pid: not scene.nursery.is_alive(pid) or State.DEAD in scene.states()
            )
            if scene.nursery.is_alive(pid):
                break
            deaths.append(scene.nursery.wait(pid))
            time.sleep(0.6)
        scene.until(lambda: scene.states() == {State.DONE: 30, State.DEAD: 1})
        scene.end(pid)

        assert [3] * DEAD_AFTER == deaths
        (dead,) = [row for row in scene.rows() if row.state == State.DEAD]
        assert "poison" in dead.payload
        assert f"{DEAD_AFTER} workers were lost while they had the delivery" == dead.reason
        assert {f"innocent-{number}" for number in range(30)} <= {
            token for token, _ in scene.runs("ended")
        }


class TestEnd:
    def test_what_runs_finishes(self, scene):
        """SIGTERM lets the receiver return that runs; what was claimed ahead is no attempt."""
        worker = scene.worker(concurrency=1)
        scene.send(*((f"before-{number}", "nothing") for number in range(20)))
        scene.until(lambda: scene.states() == {State.DONE: 20})
        scene.send(("long", "sleep 1.0"), *((f"next-{number}", "nothing") for number in range(20)))
        scene.until(lambda: scene.has("begun", "long", worker))
        scene.end(worker)

        rest = [row for row in scene.rows() if row.state != State.DONE]
        assert scene.has("ended", "long", worker)
        assert len(rest) > 1
        assert {(State.PENDING, 0, 0, None)} == {
            (row.state, row.attempts, row.lost, row.worker) for row in rest
        }
        last = scene.worker()
        scene.until(lambda: scene.states() == {State.DONE: 41})
        scene.end(last)
        assert [1] == sorted({row.attempts for row in scene.rows()})
        assert {1} == set(Counter(token for token, _ in scene.runs("ended")).values())

    def test_what_does_not_return(self, scene):
        """What has not returned when the grace is over is given back, and was no attempt."""
        worker = scene.worker(grace=0.5)
        scene.send(("long", "sleep 30"))
        scene.until(lambda: scene.has("begun", "long", worker))
        scene.end(worker)
        (row,) = scene.rows()
        assert (State.PENDING, 0, 0, None) == (
            row.state,
            row.attempts,
            row.lost,
            row.worker,
        )


def test_two_share(scene):
    """Two workers on one database both get something, and nothing runs twice."""
    workers = {scene.worker(), scene.worker()}
    scene.send(*((f"{number}", "sleep 0.01") for number in range(200)))
    scene.until(lambda: scene.states() == {State.DONE: 200})
    for worker in workers:
        scene.end(worker)
    runs = scene.runs("ended")
    assert [200, 200] == [len(runs), len({token for token, _ in runs})]
    assert workers == {pid for _, pid in runs}
