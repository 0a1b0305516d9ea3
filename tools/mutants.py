"""Break the engines on purpose, one fault at a time: the tests must notice each of them.

A mutant is one change to one file. The script makes the change in a copy of the package and runs
the fast tests of the engines on the copy. If they pass, a test is missing. `make mutants` runs it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "src" / "aldis"
TESTS: Final = (
    "tests/core",
    "tests/test_receivers.py",
    "--ignore=tests/core/stress",
    "--ignore=tests/core/engines/test_leaks.py",
    "--ignore=tests/core/engines/test_choice.py",
)
TIME_LIMIT: Final = 240.0  # seconds for one mutant; a mutant that hangs counts as noticed
FAILED: Final = 1  # pytest's exit code if some tests failed


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        name: The behaviour of the broken engine.
        file: The path of the file in the package.
        old: The text to replace; the file contains it exactly once.
        new: The replacement.
    """

    name: str
    file: str
    old: str
    new: str


MUTANTS: Final = (
    Mutant(
        "receivers run in reverse order of connection",
        "core/registry.py",
        "links = tuple(sorted((*everyone.links, *own), key=_serial))",
        "links = tuple(sorted((*everyone.links, *own), key=_serial, reverse=True))",
    ),
    Mutant(
        "receivers of any sender come before those of one sender",
        "core/registry.py",
        "links = tuple(sorted((*everyone.links, *own), key=_serial))",
        "links = (*everyone.links, *own)",
    ),
    Mutant(
        "the sender filter is ignored",
        "core/dispatch.py",
        """        links = routes.find(sender) if routes.senders else routes.everyone
        if links is None or _observed:
            return self._send_slowly""",
        """        links = routes.everyone
        if links is None or _observed:
            return self._send_slowly""",
    ),
    Mutant(
        "strings are compared by identity",
        "core/sender.py",
        "    if kind is str:\n        return sender\n",
        "    if kind is str:\n        return id(sender)\n",
    ),
    Mutant(
        "True is the number 1",
        "core/sender.py",
        "    if issubclass(kind, int) and kind is not bool:\n",
        "    if issubclass(kind, int):\n",
    ),
    Mutant(
        "a number is another object's id",
        "core/sender.py",
        "    if kind is int:\n        return (sender,)\n",
        "    if kind is int:\n        return sender\n",
    ),
    Mutant(
        "equal objects are one sender",
        "core/sender.py",
        "        return (int.__int__(sender),)\n    return id(sender)\n",
        "        return (int.__int__(sender),)\n    return repr(sender)\n",
    ),
    Mutant(
        "weak connections are strong",
        "core/registry.py",
        "keep = None if weakly else receiver",
        "keep = receiver",
    ),
    Mutant(
        "strong connections are weak",
        "core/registry.py",
        "keep = None if weakly else receiver",
        "keep = None",
    ),
    Mutant(
        "a receiver connected twice over is called twice",
        "core/slowpath.py",
        "        if step.receiver.key in seen:\n            continue\n",
        "",
    ),
    Mutant(
        "return values are lost",
        "core/dispatch.py",
        "results.append((receiver, receiver(*args, **kwargs)))",
        "results.append((receiver, receiver(*args, **kwargs) and None))",
    ),
    Mutant(
        "a receiver's exception is swallowed",
        "core/dispatch.py",
        "links.index(link), error, sender, kwargs)\n            raise\n",
        "links.index(link), error, sender, kwargs)\n",
    ),
    Mutant(
        "connected_to disconnects the receiver altogether",
        "core/signal.py",
        "            if link is not None:\n"
        "                self._cancel(registry, link, owner)\n\n    def",
        "            self.disconnect(receiver)\n\n    def",
    ),
    Mutant(
        "connected_to leaves its connection behind",
        "core/signal.py",
        "            if link is not None:\n"
        "                self._cancel(registry, link, owner)\n\n    def",
        "            pass\n\n    def",
    ),
    Mutant(
        "the end of one owner ends the connection of another owner",
        "core/registry.py",
        "        others = tuple([each for each in self.owners if each[0] is not owner])\n",
        "        others = ()\n",
    ),
    Mutant(
        "a scoped disconnect takes every connection",
        "core/registry.py",
        "            if sender is ANY:\n                links = self._links_of(record)",
        "            if True:\n                links = self._links_of(record)",
    ),
    Mutant(
        "a receiver disconnected during a send is still called",
        "core/registry.py",
        "        link.keep = None\n        link.ref = DISCONNECTED\n",
        "        link.keep = None\n",
    ),
    Mutant(
        "a receiver connected during a send is called in it",
        "core/dispatch.py",
        "            for link in links:\n                receiver = link.ref()\n",
        "            for link in (links[k] for k in range(99) if k < len(links := "
        "self._registry.links_for(sender))):\n                receiver = link.ref()\n",
    ),
    Mutant(
        "dead receivers are not removed",
        "core/registry.py",
        "        while self.dead:\n            keep_alive: list[object] = []\n",
        "        while False:\n            keep_alive: list[object] = []\n",
    ),
    Mutant(
        "an inner muted unmutes",
        "core/muting.py",
        "            self._muting -= {block}\n",
        "            self._muting = frozenset()\n",
    ),
    Mutant(
        "a proxy is a sender of its own",
        "core/sender.py",
        "    return hasattr(type(sender), PROXY_ATTRIBUTE)",
        "    return False",
    ),
    Mutant(
        "an async receiver is refused only when it is reached",
        "core/slowpath.py",
        "            _refuse_async(signal, steps)\n",
        "            pass\n",
    ),
    Mutant(
        "send_robust stops at the first error",
        "core/dispatch.py",
        "                outcomes.append(_outcome_type(receiver, None, failure))\n",
        "                outcomes.append(_outcome_type(receiver, None, failure))\n"
        "                break\n",
    ),
    Mutant(
        "a meta-receiver that raises does not undo the connection",
        "core/signal.py",
        "            if before is None:\n                self._registry.disown(link, CONNECT)\n",
        "            if before is None:\n                pass\n",
    ),
    Mutant(
        "a receiver that does not fit its contract is accepted",
        "core/signal.py",
        "                raise ContractError(problem)",
        "                pass",
    ),
    Mutant(
        "a wrapper may hide a delivery mode",
        "core/receiver.py",
        "            _refuse_hidden(receiver, binder, inner)\n",
        "            pass\n",
    ),
    Mutant(
        "results name the delivery mode instead of the receiver",
        "core/receiver.py",
        "        return receiver, MethodType(self.target, first)\n",
        "        return MethodType(self.target, first), MethodType(self.target, first)\n",
    ),
    Mutant(
        "once is claimed after the call",
        "receivers.py",
        "            self._left.pop()  # one step",
        "            self._left[-1]  # one step",
    ),
    Mutant(
        "a stale plan of a sender is used",
        "core/dispatch.py",
        "return entry[1] if entry[0] is self.everyone else None",
        "return entry[1]",
    ),
    Mutant(
        "dead senders are not removed before a look-up",
        "core/dispatch.py",
        "        if self.dead or (type(sender)",
        "        if (type(sender)",
    ),
    Mutant(
        "C engine: the keyword names are shifted by the wrapper",
        "core/_dispatch.c",
        "PyTuple_GET_ITEM(names, i + (i >= position))",
        "PyTuple_GET_ITEM(names, i)",
    ),
    Mutant(
        "C engine: a stale plan of a sender is used",
        "core/_dispatch.c",
        "links = PyTuple_GET_ITEM(entry, 0) == everyone ? PyTuple_GET_ITEM(entry, 1) : NULL;",
        "links = PyTuple_GET_ITEM(entry, 1);",
    ),
    Mutant(
        "C engine: dead senders are not removed before a look-up",
        "core/_dispatch.c",
        "PyObject_Size(self->dead) != 0 || is_real(self, sender) <= 0",
        "is_real(self, sender) <= 0",
    ),
    Mutant(
        "C engine: each receiver is leaked",
        "core/_dispatch.c",
        "        PyObject *receiver = link_referent(link), *value = NULL;\n",
        "        PyObject *receiver = link_referent(link), *value = NULL;\n"
        "        Py_XINCREF(receiver);\n",
    ),
)


def make(mutant: Mutant | None, home: Path) -> None:
    """Copy the package to ``home`` and apply the mutant, if any, to the copy.

    Raises:
        LookupError: The file does not contain the text to replace exactly once.
    """
    shutil.copytree(PACKAGE, home / "aldis", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    if mutant is None:
        return
    path = home / "aldis" / mutant.file
    source = path.read_text()
    if source.count(mutant.old) != 1:
        message = f"{mutant.name}: the text to replace stands {source.count(mutant.old)} times in "
        raise LookupError(message + mutant.file)
    path.write_text(source.replace(mutant.old, mutant.new))
    if path.suffix == ".c":
        compile_engine(path)


def compile_engine(source: Path) -> None:
    """Compile the C engine next to its source."""
    target = source.with_name(f"_dispatch{sysconfig.get_config_var('EXT_SUFFIX')}")
    include = sysconfig.get_path("include")
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)],
        check=True,
    )


def run_tests(home: Path, *, compiled: bool) -> int:
    """Run the engines' fast tests on the package in ``home``; return pytest's exit code."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(home),
        "ALDIS_NO_EXTENSIONS": "" if compiled else "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            timeout=TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return FAILED
    return done.returncode


def try_mutant(mutant: Mutant | None) -> int:
    """Return the exit code of the tests on ``mutant``, or on the unchanged package."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        compiled = mutant is not None and mutant.file.endswith(".c")
        make(mutant, home)
        return run_tests(home, compiled=compiled)


def main() -> int:
    """Try the chosen mutants; return 0 if the tests noticed each of them."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument(
        "words", nargs="*", help="try only mutants whose name contains one of these"
    )
    words = parser.parse_args().words
    chosen = [each for each in MUTANTS if not words or any(word in each.name for word in words)]
    if not chosen:
        print(f"no mutant has one of these words in its name: {' '.join(words)}")
        return 2
    if try_mutant(None) != 0:
        print("the tests fail on the unchanged engines: repair that first")
        return 1
    survivors = []
    for number, mutant in enumerate(chosen, 1):
        start = time.monotonic()
        code = try_mutant(mutant)
        # A crash of the interpreter counts as noticed.
        caught = code == FAILED or code < 0
        if not caught:
            survivors.append(mutant)
        verdict = "caught  " if caught else f"SURVIVED ({code})"
        seconds = time.monotonic() - start
        print(f"{number:>2}/{len(chosen)} {verdict} {seconds:5.1f} s  {mutant.name}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
