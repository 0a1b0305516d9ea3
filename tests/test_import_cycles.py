"""No two modules of a package need each other.

These tests read the source. They count imports for type checkers and imports inside functions too.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import aldis

ROOT = Path(aldis.__file__).parent

PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def modules_of(package):
    """Return the path of each module of a package by its full name."""
    return {
        f"aldis.{path.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.')}": path
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }


def imports_of(source):
    """Return the names of the modules that a source imports, wherever it imports them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def cycle_in(sources):
    """Return a cycle of the modules in ``sources``, or ``None``."""
    graph = {name: imports_of(source) & sources.keys() for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_the_packages_are_found():
    """The tests below have packages to look at."""
    assert {"core", "durable", "cli"} <= set(PACKAGES)
    assert "aldis.core.signal" in modules_of("core")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_no_import_cycle(package):
    """Its modules can be sorted so that each one imports only earlier ones."""
    sources = {name: path.read_text("utf-8") for name, path in modules_of(package).items()}
    assert cycle_in(sources) is None


@pytest.mark.parametrize(
    "source",
    [
        "from aldis.core.b import name",
        "from aldis.core import b",
        "import aldis.core.b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from aldis.core import b",
        "def late():\n    from aldis.core.b import name",
    ],
)
def test_every_kind_of_import_counts(source):
    """A cycle through any kind of import is found."""
    cycle = cycle_in({"aldis.core.a": source, "aldis.core.b": "import aldis.core.a"})
    assert {"aldis.core.a", "aldis.core.b"} == set(cycle)
