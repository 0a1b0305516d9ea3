"""Connections break at random instants, also during COMMIT, and a server is stopped."""

import time

import pytest

from aldis.durable.types import State
from tests.durable.kill.faults import binaries, faulty_connections, own_server
from tests.durable.kill.fork_server import ForkServer
from tests.durable.kill.scenario import Scenario
from tests.durable.kill.stress import StressRun, engine_without_pool, prepare
from tests.sizes import sized

FAULTS = sized(4, 60)


@pytest.mark.stress
@pytest.mark.service
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
def test_cut_at_random(fork_server, engine, url, tmp_path):
    """Cutting, refusing and stalling connections at random breaks no promise."""
    with faulty_connections(url) as (faults, behind):
        stress = StressRun(fork_server, behind, engine, tmp_path)
        stress.start_all(workers=2)
        with faults.at_commits():
            stress.inject(FAULTS, faults.cut, faults.cut, faults.refuse, faults.stall)
        stress.finish()
    report = stress.check()
    print(faults, report, sep="\n")  # noqa: T201 - pytest shows the counts if the test fails
    assert [] == report.wrong
    assert report.sends > 0


@pytest.mark.stress
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL's server is not installed here")
def test_server_stopped(tmp_path):
    """An immediate shutdown of PostgreSQL loses nothing that was committed."""
    with own_server() as server, engine_without_pool(server.url) as engine:
        prepare(engine)
        with ForkServer(tmp_path / "log") as fork_server:
            stress = StressRun(fork_server, server.url, engine, tmp_path)
            stress.start_all(workers=2)
            for _ in range(sized(1, 5)):
                time.sleep(2)
                server.stop()
                time.sleep(0.5)
                server.start()
            stress.finish()
            report = stress.check()
    print(report)  # noqa: T201 - pytest shows the counts if the test fails
    assert [] == report.wrong
    assert report.sends > 0


@pytest.mark.stress
@pytest.mark.service
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)
def test_end_without_a_database(fork_server, engine, url, tmp_path):
    """After SIGTERM without a database, a running receiver may finish; it then runs again."""
    with faulty_connections(url) as (faults, behind):
        scenario = Scenario(fork_server, behind, engine, tmp_path)
        worker = scenario.worker()
        scenario.send(("one", "sleep 1.0"))
        scenario.until(lambda: scenario.has("started", "one", worker))
        with faults.away():
            time.sleep(0.2)
            scenario.end(worker)
        assert scenario.has("ended", "one", worker)
        other = scenario.worker()
        scenario.until(lambda: scenario.states() == {State.DONE: 1})
        scenario.end(other)
