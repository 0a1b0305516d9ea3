"""Type checkers know the type of nearly every public name of aldis."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

#: The part of the public symbols whose types pyright must know.
REQUIRED = 0.98


@pytest.mark.slow
def test_the_types_of_public_names_are_known():
    """`pyright --verifytypes` knows the types of at least 98 % of the public names."""
    pytest.importorskip("pyright", reason="`make types` installs the type checkers")
    command = ["pyright", "--verifytypes", "aldis", "--ignoreexternal", "--outputjson"]
    # pyright finds packages on PYTHONPATH, but not those of an editable installation. It finds all
    # others with the first Python on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")},
        text=True,
        timeout=110,
    )

    report = json.loads(ended.stdout)["typeCompleteness"]
    unknown = [
        f"{symbol['name']}: {each['message']}"
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
        for each in symbol["diagnostics"]
    ]
    assert report["symbols"], ended.stdout
    assert report["completenessScore"] >= REQUIRED, "\n".join(unknown)
