"""The settings of a release name the commands, versions and sections that exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.processes import LIMIT

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def text_of(path):
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def supported():
    """Return the versions of Python in the classifiers."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    found = [re.search(r"Python :: (3\.\d+)$", each) for each in project["classifiers"]]
    return {each[1] for each in found if each}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_of_the_makefile(path):
    """Each ``make`` in a workflow has a target, and each other program of ours exists."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    runs = re.findall(r"run: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert {line.split()[1] for line in runs if line.startswith("make ")} <= targets
    scripts = {match for line in runs for match in re.findall(r"(?:tools|\.ci)/[\w.]+", line)}
    assert [] == [each for each in scripts if not (ROOT / each).is_file()]


def test_the_nightly_workflow_has_every_section():
    """The workflow runs the sections of ``make nightly``, in its order."""
    (sections,) = re.findall(r"^ALL=\((.*)\)$", text_of(".ci/nightly"), re.MULTILINE)
    workflow = text_of(".github/workflows/nightly.yml")
    assert sections.split() == re.findall(r"^ {10}- (\S+)$", workflow, re.MULTILINE)


def test_each_supported_python_is_checked_and_has_wheels():
    """The workflow and the wheels cover each version in the classifiers."""
    (checked,) = re.findall(r"python: \[(.*)\]", text_of(".github/workflows/checks.yml"))
    built = tomllib.loads(text_of("pyproject.toml"))["tool"]["cibuildwheel"]["build"]
    assert supported() <= set(re.findall(r"3\.\d+", checked))
    assert {f"cp{each.replace('.', '')}-*" for each in supported()} <= set(built)


def run(script, *arguments):
    """Run a script of the repository, and return its exit code and its output."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / script), *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_tag_with_another_version_is_refused():
    """A tag that differs from the version of the package ends with the right tag."""
    code, output = run("tools/check_tag.py", "v99.0.0")
    assert 1 == code
    assert re.search(r"the tag is v99\.0\.0, but .* has (\S+): tag v\1$", output.strip())


def test_a_missing_tag_is_refused():
    """Without a tag, the script shows how to call it."""
    assert (1, "usage: python tools/check_tag.py TAG, for example v0.2.0\n") == run(
        "tools/check_tag.py"
    )
