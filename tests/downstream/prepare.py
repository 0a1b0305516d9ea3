"""The environment and the source of a suite, created once in ``.downstream`` and reused."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

from .process import DownstreamError, execute
from .suites import Suite

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".downstream"
LOGS = CACHE / "logs"
CONSTRAINTS = HERE / "constraints.txt"
HOOK = "aldis_downstream_hook"
#: How long one run of pip may take, in seconds.
PIP_TIMEOUT = 900.0


def home(suite: Suite) -> Path:
    """Return the directory of a suite."""
    return CACHE / suite.project


def python(suite: Suite) -> Path:
    """Return the interpreter of a suite's environment."""
    return home(suite) / "venv" / "bin" / "python"


def is_prepared(suite: Suite) -> bool:
    """Return whether the suite's environment exists and matches the current requirements."""
    stamp = home(suite) / "prepared"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _fingerprint(suite)


def prepare(suite: Suite, *, fresh: bool = False) -> None:
    """Fetch the suite's source distribution and install it with what its tests need.

    Args:
        suite: The suite to prepare.
        fresh: Install again even if the environment exists.

    Raises:
        DownstreamError: pip failed, or the hash of the distribution is wrong.
    """
    if fresh or not is_prepared(suite):
        shutil.rmtree(home(suite), ignore_errors=True)
        home(suite).mkdir(parents=True)
        log = new_log(f"{suite.project}-install")
        _run([sys.executable, "-m", "venv", home(suite) / "venv"], suite, log)
        _fetch(suite, log)
        _install(suite, log)
        (home(suite) / "prepared").write_text(_fingerprint(suite), encoding="utf-8")
    _put_hook(suite)


def unpack(suite: Suite, directory: Path) -> Path:
    """Unpack the suite's source and its extra files into an emptied `directory`; return its path.

    The parent gets an empty pytest configuration: pytest searches the parents for one, and must not
    find the configuration of aldis.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with tarfile.open(_sdist(suite)) as archive:
        # Python 3.11.2, which Debian 12 has, does not know the argument.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(directory, **safe)  # noqa: S202 - an sdist of a project that we run
    (source,) = directory.iterdir()
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    if suite.files:
        shutil.copytree(HERE / "files" / suite.files, source, dirs_exist_ok=True)
    return source.rename(directory / "source")


def copy_package(directory: Path) -> None:
    """Copy the aldis that this interpreter imports into a separate directory.

    An edit of the source during the run does not change the copy.

    Raises:
        DownstreamError: aldis is neither installed nor in the repository.
    """
    spec = find_spec("aldis")
    origin = Path(spec.origin) if spec and spec.origin else ROOT / "src" / "aldis" / "__init__.py"
    if not origin.is_file():
        raise DownstreamError(f"there is no aldis at {origin.parent}")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(origin.parent, directory / "aldis", ignore=unwanted)


def new_log(name: str) -> Path:
    """Return the path of an empty log file."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    log.write_bytes(b"")
    return log


def constraints(suite: Suite) -> str:
    """Return the shared constraints for the suite, without the packages that it pins itself."""
    if not suite.constrained:
        return ""
    pinned = [requirement for requirement in suite.requirements if "==" in requirement]
    own = {_canonical(requirement) for requirement in (suite.project, *pinned)}
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    return "".join(f"{pin}\n" for pin in pins if _canonical(pin) not in own)


def _canonical(requirement: str) -> str:
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def _fingerprint(suite: Suite) -> str:
    parts = (
        *(sys.version, sys.base_prefix),
        *(suite.sha256, suite.extras, suite.requirements, constraints(suite)),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _sdist(suite: Suite) -> Path:
    found = list((home(suite) / "sdist").glob("*.tar.gz"))
    if len(found) != 1:
        raise DownstreamError(f"expected one .tar.gz in {home(suite) / 'sdist'}, not {len(found)}")
    return found[0]


def _fetch(suite: Suite, log: Path) -> None:
    """Download the source distribution and compare its hash with the table."""
    only = ("--no-deps", "--no-binary", suite.project)
    into = ("--dest", home(suite) / "sdist")
    _pip("download", *only, *into, f"{suite.project}=={suite.version}", suite=suite, log=log)
    digest = hashlib.sha256(_sdist(suite).read_bytes()).hexdigest()
    if digest != suite.sha256:
        raise DownstreamError(f"{_sdist(suite).name} hashes to {digest}, not {suite.sha256}")


def _install(suite: Suite, log: Path) -> None:
    extras = f"[{','.join(suite.extras)}]" if suite.extras else ""
    _pip("install", f"{_sdist(suite)}{extras}", *suite.requirements, suite=suite, log=log)


def _pip(*arguments: str | Path, suite: Suite, log: Path) -> None:
    _run([python(suite), "-m", "pip", *arguments], suite, log)


def _run(command: list[str | Path], suite: Suite, log: Path) -> None:
    """Run a step of the installation; the variable applies the pins to builds, too."""
    pins = home(suite) / "constraints.txt"
    pins.write_text(constraints(suite), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {
        "PIP_CONSTRAINT": str(pins),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    ended = execute(
        command, directory=home(suite), environment=environment, log=log, timeout=PIP_TIMEOUT
    )
    if ended.status:
        raise DownstreamError(f"could not be installed, see {log}")


def _put_hook(suite: Suite) -> None:
    """Copy the current hook into the environment, with the line that runs it at start-up."""
    (packages,) = (home(suite) / "venv" / "lib").glob("python*/site-packages")
    shutil.copyfile(HERE / "hook.py", packages / f"{HOOK}.py")
    (packages / f"{HOOK}.pth").write_text(f"import {HOOK}\n", encoding="utf-8")
