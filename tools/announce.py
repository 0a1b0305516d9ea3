"""Print what a run of the tests is about to do: ``python tools/announce.py fast`` or ``all``."""

import os
import shutil
import socket
import sys
from pathlib import Path

import aldis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.services import MARIADB, POSTGRESQL, Service

ENGINE = "C" if aldis.COMPILED else "Python"

FAST = f"""\
The fast tests, on the {ENGINE} engine. They take up to 3 minutes on two idle cores.
Left out: slow tests, stress tests and tests that need a database server (`make test-all` runs all),
and the tests of other projects (`make downstream` runs them)."""

ALL = """\
All tests, on both engines. They take about half an hour on two cores.
Left out: the tests of other projects (`make downstream` runs them). Some tests need:"""

ADVICE = (
    "For the faster C engine, install a C compiler (Debian: gcc, python3-dev), then `make clean`."
)


def answers(service: Service) -> bool:
    """Tell whether a server accepts connections at the service's address."""
    try:
        socket.create_connection((service.host, service.port), timeout=2).close()
    except OSError:
        return False
    return True


def requirements() -> list[tuple[str, bool]]:
    """Return what some tests need, and whether it is there."""
    programs = os.pathsep.join(
        [os.environ["PATH"], *map(str, Path("/").glob("usr/lib/postgresql/*/bin"))]
    )
    return [
        *(
            (
                f"{each.name} on {each.host}:{each.port} ({each.variable} names another URL)",
                answers(each),
            )
            for each in (POSTGRESQL, MARIADB)
        ),
        (
            "the programs of a PostgreSQL server (initdb, pg_ctl)",
            bool(shutil.which("initdb", path=programs)),
        ),
        ("Chromium", bool(shutil.which("chromium"))),
        ("PgBouncer", bool(shutil.which("pgbouncer"))),
        ("Node.js with npm", bool(shutil.which("node") and shutil.which("npm"))),
        ("the C engine", aldis.COMPILED),
    ]


def main() -> None:
    """Print the text for the run that the command line names."""
    if sys.argv[1:] == ["all"]:
        print(ALL)
        for name, there in requirements():
            print(f"  {'found  ' if there else 'MISSING'}  {name}")
        print("A test whose service is missing is skipped, or fails if CI is set.")
    else:
        print(FAST)
    if not aldis.COMPILED and os.environ.get("ALDIS_NO_EXTENSIONS") != "1":
        print(ADVICE)
    print(flush=True)


if __name__ == "__main__":
    main()
