"""Install the wheel without extras and with each extra alone, and import every module.

A module whose extra is installed must be imported without a warning. A module that needs another
extra must raise an error that names this extra. `make extras` runs this on each Python and prints a
table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = ROOT / "tools"
SUPPORTED: Final = ("3.11", "3.12", "3.13")
AT_ONCE: Final = 2  # environments
INSTALLING: Final = 240.0  # seconds for one call of pip or venv
RUNNING: Final = 60.0  # seconds for one program in an environment
MOST_MODULES: Final = 25  # modules of aldis that `import aldis` may import

#: An object that the commands accept as an app, on any Python.
AN_APP: Final = "operator:itemgetter(0)"

#: The extras with which a module can be imported. Its error names the first of them. A module that
#: is not listed follows the longest listed name that its own begins with. ``()`` means no extra.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "aldis": (),
    "aldis.flask": (
        "flask",
        "quart",
        "oauth",
        "oauth-quart",
        "ckan",
    ),  # the others install Flask, too
    "aldis.flask_login": ("oauth", "oauth-quart", "ckan"),
    "aldis.quart": ("quart", "oauth-quart"),
    "aldis.oauth": ("oauth", "oauth-quart"),
    **dict.fromkeys(
        (
            "aldis.oauth._async_http",
            "aldis.oauth._async_oauth2",
            "aldis.oauth.async_linking",
            "aldis.oauth.quart",
            "aldis.testing.oauth_quart",
        ),
        ("oauth-quart",),
    ),
    "aldis.plugins": ("plugins", "ckan"),
    "aldis.web": (
        "web",
        "flask",
        "quart",
        "oauth",
        "oauth-quart",
        "ckan",
    ),  # the others install Jinja2, too
    "aldis.web.flask": ("flask", "quart", "oauth", "oauth-quart", "ckan"),
    "aldis.web.quart": ("quart", "oauth-quart"),
    "aldis.ckan": ("ckan",),
    "aldis.cli:aldis": (
        "cli",
        "flask",
        "quart",
        "oauth",
        "oauth-quart",
        "ckan",
    ),  # Flask installs click
    "aldis.durable": ("durable",),
    "aldis.testing.draining": ("durable",),
    "aldis.testing.pretending": ("durable",),
    "aldis.testing:drain": ("durable",),
    "aldis.testing:MemoryStore": ("durable",),
}

#: Modules that users never import directly: `aldis.cli` reports a missing extra for the commands,
#: an outbox needs the extra of `aldis.web.data`,
#: `aldis db upgrade` reports it for the migrations, and pytest imports the others.
PASSED_OVER: Final = (
    "aldis.cli.",
    "aldis.durable.store.sql.migrations.",
    "aldis.testing.plugin",
    "aldis.testing.store",
    "aldis.web.data",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """The packages of one environment besides the wheel.

    Attributes:
        extras: The extras, as pip takes them.
        without: Packages to uninstall afterwards, because they are optional.
    """

    extras: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name of the environment in the table."""
        return ",".join(self.extras) + "".join(f" -{each}" for each in self.without) or "no extra"


ENVIRONMENTS: Final = (
    Environment(),
    *(
        Environment((extra,))
        for extra in (
            "flask",
            "quart",
            "oauth",
            "oauth-quart",
            "plugins",
            "reload",
            "ckan",
            "cli",
            "durable",
            "web",
        )
    ),
    Environment(("cli", "durable"), ("alembic", "Mako")),
)


@dataclass(slots=True)
class Report:
    """The result for one environment on one Python."""

    environment: Environment
    python: str
    imported: int = 0
    named: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


class Python:
    """One interpreter with its wheel, and the pip that installs into all its environments."""

    def __init__(self, interpreter: str, work: Path) -> None:
        self.interpreter = interpreter
        self.version = run([interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        self.work = work / self.version
        self.pip = [str(self.work / "pip" / "bin" / "python"), "-m", "pip"]

    def build(self, sdist: Path) -> Path:
        """Return the wheel, built from ``sdist``."""
        run([self.interpreter, "-m", "venv", str(self.work / "pip")], INSTALLING)
        pinned = ["--quiet", "-c", str(ROOT / "constraints.txt")]
        run([*self.pip, "install", *pinned, "setuptools"], INSTALLING)
        dist = self.work / "dist"
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(dist)]
        run([*self.pip, "wheel", *options, str(sdist)], INSTALLING)
        (wheel,) = dist.glob("*.whl")
        return wheel

    def install(self, wheel: Path, environment: Environment) -> Path:
        """Install the wheel into a new environment and return the environment's ``bin`` folder."""
        folder = self.work / environment.title.replace(" ", "").replace(",", "-")
        run([self.interpreter, "-m", "venv", "--without-pip", str(folder)])
        pip = [*self.pip, "--python", str(folder / "bin" / "python")]
        wanted = f"{wheel}[{','.join(environment.extras)}]" if environment.extras else str(wheel)
        pinned = ["--quiet", "-c", str(ROOT / "constraints.txt")]
        run([*pip, "install", *pinned, wanted], INSTALLING)
        run([*pip, "check"], INSTALLING)
        if environment.without:
            run([*pip, "uninstall", "--quiet", "--yes", *environment.without], INSTALLING)
        return folder / "bin"


def run(
    command: Sequence[str], limit: float = RUNNING, *, cwd: Path = Path("/"), code: int = 0
) -> str:
    """Run a program and return its output; raise if its exit code is not ``code``."""
    ours = ("ALDIS_", "PYTHON")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ended = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=cwd,
        env=environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=limit,
    )
    said = f"{ended.stdout}{ended.stderr}".strip()
    if ended.returncode != code:
        words = " ".join(command)
        raise RuntimeError(f"{words!r} exited with {ended.returncode}, not {code}: {said[-2000:]}")
    return ended.stdout.strip() if code == 0 else said


# -- the checks of an environment ---------------------------------------------------------


def look(bin_folder: Path, report: Report) -> None:
    """Check an environment and complete its report."""
    python = str(bin_folder / "python")
    found = json.loads(run([python, str(TOOLS / "extras_probe.py")], INSTALLING))
    problems = list(_wrong_cost(found))
    for name, error in found["errors"].items():
        if name.startswith(PASSED_OVER):
            continue
        problem = _wrong(name, error, report.environment)
        if problem:
            problems.append(problem)
        elif error:
            report.named += 1
        else:
            report.imported += 1
    for check in (_command_line, _tables, _sending):
        try:
            check(bin_folder, report.environment)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
    report.problems = tuple(problems)


def _wrong_cost(found: dict[str, Any]) -> Iterator[str]:
    tops = {name.partition(".")[0] for name in found["cost"]}
    strangers = tops - {"aldis", *found["stdlib"]}
    if strangers:
        yield f"import aldis imports {', '.join(sorted(strangers))}"
    own = [name for name in found["cost"] if name.partition(".")[0] == "aldis"]
    if len(own) > MOST_MODULES:
        yield f"import aldis imports {len(own)} modules of aldis, more than {MOST_MODULES}"


def _wrong(name: str, error: str, environment: Environment) -> str | None:
    """Return what is wrong with the import of a module, or ``None``."""
    # The error of a package comes before those of its modules.
    listed = sorted((each for each in NEEDS if _begins(name, each)), key=len)
    needs = NEEDS[listed[-1]]
    if not needs or any(extra in environment.extras for extra in needs):
        return f"{name}: {error}" if error else None
    named = [f"pip install 'aldis[{NEEDS[each][0]}]'" for each in listed if NEEDS[each]]
    if error.startswith("MissingExtraError: ") and any(text in error for text in named):
        return None
    return f"{name} must name the extra {needs[0]}: {error or 'its import succeeds'}"


def _begins(name: str, beginning: str) -> bool:
    return name == beginning or name.startswith(f"{beginning}.")


def _command_line(bin_folder: Path, environment: Environment) -> None:
    """Check that the command line works with click, and names the extra without it."""
    aldis = str(bin_folder / "aldis")
    if set(environment.extras) & set(NEEDS["aldis.cli:aldis"]):
        run([aldis, "--help"])
        _expect(run([aldis, "signals", "list", "--app", AN_APP, "--json"]), '"namespaces"')
    else:
        _expect(run([aldis, "worker"], code=2), "pip install 'aldis[cli]'")


def _tables(bin_folder: Path, environment: Environment) -> None:
    """Check that `db upgrade` and `worker` work, or name the extra that they need."""
    url = ["--url", "sqlite:///" + str(bin_folder.parent / "upgraded.db")]
    if not set(environment.extras) & set(NEEDS["aldis.cli:aldis"]):
        return
    upgrade = [str(bin_folder / "aldis"), "db", "upgrade", *url]
    missing = "durable" not in environment.extras or "alembic" in environment.without
    _expect(run(upgrade, code=2 if missing else 0), "aldis[durable]" if missing else "")
    if "durable" not in environment.extras:
        shop = bin_folder.parent / "shop.py"
        shop.write_text("from aldis.durable import Outbox\n", encoding="utf-8")
        worker = [str(bin_folder / "aldis"), "worker", "--outbox", "shop:outbox"]
        _expect(run(worker, cwd=shop.parent, code=2), "aldis[durable]")


def _sending(bin_folder: Path, environment: Environment) -> None:
    """Check that a delivery of a sync session arrives with the extra durable alone."""
    if "durable" in environment.extras and not environment.without:
        program = str(TOOLS / "extras_durable.py")
        said = run([str(bin_folder / "python"), "-W", "error", program], cwd=bin_folder.parent)
        _expect(said, "delivered without greenlet")


def _expect(said: str, words: str) -> None:
    if words not in said:
        raise RuntimeError(f"the output must contain {words!r}: {said!r}")


# -- the matrix ------------------------------------------------------------------------------------


def find_pythons() -> list[str]:
    """Return an interpreter of each supported version, from PATH or from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = []
    for version in SUPPORTED:
        there = [shutil.which(f"python{version}")]
        there += map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))
        for interpreter in filter(None, there):
            told = [interpreter, "-c", "import sys, venv, ensurepip; print(sys.version)"]
            try:
                works = run(told).startswith(version)
            except (OSError, RuntimeError):
                works = False
            if works:
                found.append(interpreter)
                break
        else:
            print(f"Python {version}: not found", flush=True)
    return found


def build_sdist(python: str, work: Path) -> Path:
    """Build the sdist of the tree as it would be committed, without files of earlier builds."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tree = work / "tree"
    for name in filter(None, run(listing, cwd=ROOT).split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    builder = work / "builder"
    run([python, "-m", "venv", str(builder)], INSTALLING)
    interpreter = str(builder / "bin" / "python")
    pinned = ["-c", str(ROOT / "constraints.txt"), "setuptools"]
    run([interpreter, "-m", "pip", "install", "--quiet", *pinned], INSTALLING)
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    run([interpreter, "-c", build], INSTALLING, cwd=tree)
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    return sdist


def examine(python: Python, wheel: Path, environment: Environment) -> Report:
    """Install one environment, check it, and print its row of the table."""
    started = time.monotonic()
    report = Report(environment, python.version)
    try:
        folder = python.install(wheel, environment)
        look(folder, report)
        shutil.rmtree(folder.parent)
    except (OSError, ValueError, RuntimeError, subprocess.TimeoutExpired) as error:
        report.problems += (str(error),)
    report.seconds = time.monotonic() - started
    state = "FAILED" if report.problems else "ok"
    row = f"{report.python:<8}{environment.title:<30}{report.imported:>9}{report.named:>8}"
    print(f"{row}{report.seconds:>8.1f} s  {state}", flush=True)
    for problem in report.problems:
        print(f"        {problem}", flush=True)
    return report


def main() -> int:
    """Check every environment on every Python; return 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "pythons", nargs="*", help="interpreters; default: each supported version that is found"
    )
    parser.add_argument("--only", metavar="EXTRA", help="check only this environment")
    options = parser.parse_args()
    chosen = [each for each in ENVIRONMENTS if options.only in (None, each.title)]
    interpreters = options.pythons or find_pythons()
    if not chosen or not interpreters:
        print("There is no such environment, or no such Python.")
        return 1
    with tempfile.TemporaryDirectory(prefix="aldis-extras-") as folder:
        work = Path(folder)
        sdist = build_sdist(interpreters[0], work)
        pythons = [Python(each, work) for each in interpreters]
        wheels = [python.build(sdist) for python in pythons]
        print("Python  installed with                 imported  named      time")
        pairs = [
            (python, wheel, environment)
            for environment in chosen
            for python, wheel in zip(pythons, wheels, strict=True)
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            reports = list(pool.map(lambda pair: examine(*pair), pairs))
    failed = sum(bool(report.problems) for report in reports)
    print(f"{len(reports)} environments, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
