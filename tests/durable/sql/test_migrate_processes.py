"""Several processes create the tables, or one process is interrupted."""

import signal
import subprocess
import sys
import threading

import pytest
from sqlalchemy import inspect

from aldis.durable.store.sql import migrate

pytestmark = pytest.mark.slow

ALL = list(migrate.REVISIONS)

UPGRADE = """
    import sys
    from sqlalchemy import create_engine, event
    from aldis.durable.store.sql.migrate import upgrade

    engine = create_engine(sys.argv[1])

    @event.listens_for(engine, "before_cursor_execute")
    def tell(connection, cursor, statement, *_):
        if statement.startswith("CREATE INDEX ix_aldis_deliveries_worker") and len(sys.argv) > 2:
            print("half", flush=True)
            sys.stdin.readline()

    sys.stdin.readline()
    print(upgrade(engine), flush=True)
"""


def start(url, *arguments):
    """Start a process that upgrades after a line of input; ``arguments`` make it stop half-way."""
    code = "\n".join(line.removeprefix("    ") for line in UPGRADE.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", code, url, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestProcesses:
    def test_several_at_once(self, url, engine):
        """One of four processes creates the tables; the others wait for it."""
        processes = [start(url) for _ in range(4)]
        for each in processes:
            each.stdin.write("go\n")
            each.stdin.flush()
        ended = [each.communicate(timeout=60) for each in processes]

        assert [""] * 4 == [errors for _, errors in ended]
        assert [f"{ALL}\n", "[]\n", "[]\n", "[]\n"] == sorted(out for out, _ in ended)
        migrate.check(engine)

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
    def test_interrupted(self, url, engine, how):
        """After Ctrl-C or a kill half-way, the next process completes the tables."""
        half = start(url, "half")
        half.stdin.write("go\n")
        half.stdin.flush()
        assert "half\n" == half.stdout.readline()
        half.send_signal(how)
        half.communicate(timeout=60)

        assert ALL == migrate.upgrade(engine)
        migrate.check(engine)
        names = [index["name"] for index in inspect(engine).get_indexes("aldis_deliveries")]
        assert {
            f"ix_aldis_deliveries_{end}"
            for end in ("ready", "chain", "emission", "worker", "ended")
        } == set(names)

    def test_a_process_waits_for_another(self, url, engine):
        """A process waits while another one changes the tables."""
        first = start(url, "half")
        first.stdin.write("go\n")
        first.stdin.flush()
        assert "half\n" == first.stdout.readline()
        done = []
        second = threading.Thread(target=lambda: done.append(migrate.upgrade(engine)))
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert (f"{ALL}\n", "") == first.communicate("go\n", timeout=60)
        second.join(60)
        assert [[]] == done
