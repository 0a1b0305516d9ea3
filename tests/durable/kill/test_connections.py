"""Connections that break at random instants, also during COMMIT, and a server that is stopped."""

import time

import pytest

from aldis.durable.types import State
from tests.durable.kill.gale import binaries, gale_before, own_server
from tests.durable.kill.nursery import Nursery
from tests.durable.kill.scene import Scene
from tests.durable.kill.storm import Storm, looking_at, prepare
from tests.sizes import sized

MISHAPS = sized(4, 60)


@pytest.mark.stress
@pytest.mark.service
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
def test_cut_at_random(nursery, engine, url, tmp_path):
    """Connections are cut, refused and stalled again and again, and every promise is kept."""
    with gale_before(url) as (gale, behind):
        storm = Storm(nursery, behind, engine, tmp_path)
        storm.begin_all(workers=2)
        with gale.at_commits():
            storm.rage(MISHAPS, gale.cut, gale.cut, gale.refuse, gale.stall)
        storm.calm_down()
    found = storm.found()
    print(gale, found, sep="\n")  # noqa: T201 - what was counted is half of the answer
    assert [] == found.wrong
    assert found.sends > 0


@pytest.mark.stress
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL's server is not installed here")
def test_server_stopped(tmp_path):
    """A server that loses its memory, and starts again, has lost nothing that was committed."""
    with own_server() as server, looking_at(server.url) as engine:
        prepare(engine)
        with Nursery(tmp_path / "log") as nursery:
            storm = Storm(nursery, server.url, engine, tmp_path)
            storm.begin_all(workers=2)
            for _ in range(sized(1, 5)):
                time.sleep(2)
                server.stop()
                time.sleep(0.5)
                server.start()
            storm.calm_down()
            found = storm.found()
    print(found)  # noqa: T201 - as above
    assert [] == found.wrong
    assert found.sends > 0


@pytest.mark.stress
@pytest.mark.service
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
def test_end_without_a_database(nursery, engine, url, tmp_path):
    """SIGTERM while the database is away: what runs has its time all the same, and runs again."""
    with gale_before(url) as (gale, behind):
        scene = Scene(nursery, behind, engine, tmp_path)
        worker = scene.worker()
        scene.send(("one", "sleep 1.0"))
        scene.until(lambda: scene.has("begun", "one", worker))
        with gale.away():
            time.sleep(0.2)
            scene.end(worker)
        assert scene.has("ended", "one", worker)
        other = scene.worker()
        scene.until(lambda: scene.states() == {State.DONE: 1})
        scene.end(other)
