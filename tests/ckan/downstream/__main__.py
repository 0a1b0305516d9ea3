"""The command: ``python -m tests.ckan.downstream``.

Installs CKAN from its distribution into a separate environment, creates separate databases,
runs the tests below on blinker and on aldis, prints each result, and drops the databases.
It needs PostgreSQL and Redis (``PGHOST``, ``PGPORT``, ``PGUSER``, ``REDIS_URL``).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.ckan.downstream.site import site
from tests.ckan.downstream.solr import nothing_found
from tests.downstream import hook
from tests.downstream.prepare import CACHE, HERE, HOOK, copy_package, new_log
from tests.downstream.process import DownstreamError, execute
from tests.downstream.results import STATUSES, Engine, Result, read_junit
from tests.downstream.run import check_record, read_record

REQUIREMENT: Final = "ckan[requirements,dev]==2.12.0"
HOME: Final = CACHE / "ckan-served"
ENGINES: Final[tuple[Engine, ...]] = ("blinker", "aldis")
#: The tests of signals, and of the interface by which plugins subscribe.
SIGNALS: Final = ("ckan.tests.lib.test_signals", "ckanext.example_isignal.tests.test_plugin")
#: The tests of loading plugins, and of CKAN's plugins that subscribe and send.
WIDE: Final = (
    *SIGNALS,
    "ckan.tests.plugins.test_blanket",
    "ckan.tests.plugins.test_core",
    "ckan.tests.plugins.test_interfaces",
    "ckan.tests.plugins.test_toolkit",
    "ckanext.activity.tests.logic.test_action",
    "ckanext.datastore.tests.test_delete",
)
#: The test of ``aldis.ckan``, on aldis only.
CHECK: Final = "aldis_with_ckan"
#: A port without a server.
NO_SOLR: Final = "http://127.0.0.1:1/solr/ckan"
STOPPED: Final = 143
JUNIT: Final = "junit.xml"
_RAN: Final = (0, 1)
#: The caller's variables that CKAN may see.
_PASSED_ON: Final = ("PATH", "ALDIS_NO_EXTENSIONS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests; return 0 if each test that passes on blinker passes on aldis, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.ckan.downstream", description=__doc__)
    parser.add_argument("--wide", action="store_true", help="run more of CKAN; four to ten minutes")
    parser.add_argument("--no-solr", action="store_true", help="let nothing stand in for Solr")
    parser.add_argument("--venv", type=Path, help="an environment that has CKAN already")
    options = parser.parse_args(arguments)
    # After SIGTERM, too, the databases are dropped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    modules = WIDE if options.wide else SIGNALS
    try:
        venv = options.venv or _install()
        _put_hook(venv)
        with nothing_found() as solr:
            address = NO_SOLR if options.no_solr else solr
            blinker = _run("blinker", modules, venv, address)
            aldis = _run("aldis", (*modules, CHECK), venv, address)
    except DownstreamError as error:
        _say(str(error))
        return 1
    return _report(blinker, aldis)


def _install() -> Path:
    venv = HOME / "venv"
    stamp = HOME / "prepared"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == REQUIREMENT:
        return venv
    _say(f"installing {REQUIREMENT}")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    log = new_log("ckan-served-install")
    make: list[str | Path] = [sys.executable, "-m", "venv", venv]
    fill: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "-q", REQUIREMENT]
    for command in (make, fill):
        ended = execute(command, directory=HOME, environment=os.environ, log=log, timeout=900)
        if ended.status:
            raise DownstreamError(f"CKAN could not be installed, see {log}")
    stamp.write_text(REQUIREMENT, encoding="utf-8")
    return venv


def _packages(venv: Path) -> Path:
    (packages,) = (venv / "lib").glob("python*/site-packages")
    return packages


def _put_hook(venv: Path) -> None:
    """Put the hook into the environment, so that it runs before the first import of blinker."""
    packages = _packages(venv)
    shutil.copyfile(HERE / "hook.py", packages / f"{HOOK}.py")
    (packages / f"{HOOK}.pth").write_text(f"import {HOOK}\n", encoding="utf-8")


def _run(engine: Engine, modules: Sequence[str], venv: Path, solr: str) -> Result:
    """Run the tests of ``modules`` in a new site, and check that they ran on ``engine``."""
    _say(f"running on {engine}")
    log = new_log(f"ckan-served-{engine}")
    began = time.monotonic()
    with TemporaryDirectory(prefix="aldis-ckan-") as temporary:
        directory = Path(temporary)
        copy_package(directory / "package")
        _install_check(directory / "package")
        name = f"aldis_ckan_{os.getpid()}"
        with site(name, venv / "bin" / "ckan", solr, directory, _environment(directory)) as ini:
            ended = execute(
                [*_pytest(venv, directory, ini), "--pyargs", *modules],
                directory=directory,
                environment=_environment(directory) | _engine(engine, directory),
                log=log,
                timeout=1200,
            )
        if ended.status not in _RAN or not (directory / JUNIT).is_file():
            raise DownstreamError(f"pytest ended with {ended.status} on {engine}, see {log}")
        lines = read_record(directory / "record")
        compiled = check_record(lines, ended.pid, engine)
        seconds = time.monotonic() - began
        return Result(read_junit(directory / JUNIT), seconds, log, len(lines), compiled)


def _pytest(venv: Path, directory: Path, ini: Path) -> list[str | Path]:
    command: list[str | Path] = [
        venv / "bin" / "python",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    junit, root = f"--junitxml={directory / JUNIT}", f"--rootdir={_packages(venv)}"
    return [*command, f"--ckan-ini={ini}", junit, root]


def _environment(directory: Path) -> dict[str, str]:
    """Return an environment without the caller's settings."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    home = {"HOME": str(directory), "TMPDIR": str(directory)}
    same = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
    return passed_on | home | same | {"PYTHONDONTWRITEBYTECODE": "1"}


def _engine(engine: Engine, directory: Path) -> dict[str, str]:
    return {
        hook.ENGINE: engine,
        hook.PACKAGE: str(directory / "package"),
        hook.RECORD: str(directory / "record"),
    }


def _install_check(packages: Path) -> None:
    """Install ``with_ckan.py`` as a distribution with a CKAN plugin."""
    shutil.copyfile(Path(__file__).with_name("with_ckan.py"), packages / f"{CHECK}.py")
    info = packages / f"{CHECK}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {CHECK}\nVersion: 1\n")
    entry = f"[ckan.plugins]\naldis_check = {CHECK}:AldisCheckPlugin\n"
    (info / "entry_points.txt").write_text(entry)


def _report(blinker: Result, aldis: Result) -> int:
    worse = 0
    for name in sorted(blinker.tests.keys() | aldis.tests.keys()):
        before, now = blinker.tests.get(name, "not run"), aldis.tests.get(name, "not run")
        worse += now == "failed" != before or (before == "passed" != now)
        _say(f"{before:8} on blinker, {now:8} on aldis: {name}")
    for engine, result in zip(ENGINES, (blinker, aldis), strict=True):
        counts = ", ".join(f"{result.count(status)} {status}" for status in STATUSES)
        variant = {True: ", C engine", False: ", Python engine", None: ""}[result.compiled]
        _say(f"{engine}{variant}: {counts}, {result.seconds:.0f} s")
    return int(worse > 0 or not aldis.tests)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the output of a command


if __name__ == "__main__":
    sys.exit(main())
