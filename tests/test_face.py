"""The names that ``import aldis`` offers, and the modules that it imports."""

import ast
import inspect

import pytest

import aldis
from tests.core.support import load_blinker, run_python, source_root

EXPORTED = [
    "ANY",
    "COMPILED",
    "NamedSignal",
    "Namespace",
    "Outcome",
    "Signal",
    "Subscription",
    "__version__",
    "current_signal",
    "declare",
    "default_namespace",
    "install_as_blinker",
    "namespaces",
    "set_strict",
    "signal",
]


def added_modules(statement="import aldis"):
    """Return the modules that a statement adds to a bare interpreter."""
    return run_python(
        f"""
        import sys
        before = set(sys.modules)
        sys.path.append({source_root()!r})
        {statement}
        print(*sorted(set(sys.modules) - before))
        """,
        "-S",
        "-I",
    ).split()


class TestWhatItExports:
    def test_the_names(self):
        """The public names are exactly these."""
        assert sorted(EXPORTED) == sorted(aldis.__all__)

    @pytest.mark.parametrize("name", EXPORTED)
    def test_each_name_exists(self, name):
        """Each public name can be imported."""
        assert hasattr(aldis, name)

    def test_it_only_re_exports(self):
        """The package's ``__init__`` defines nothing."""
        body = ast.parse(inspect.getsource(aldis)).body
        kinds = {type(each) for each in body}
        assert {ast.Expr, ast.ImportFrom, ast.Assign} >= kinds
        assert ["__all__"] == [
            target.id for each in body if isinstance(each, ast.Assign) for target in each.targets
        ]

    def test_a_version(self):
        """The version is a text of numbers."""
        assert all(part.isdigit() for part in aldis.__version__.split(".")[:2])

    def test_what_blinker_exports_is_there(self):
        """Each name of ``from blinker import`` also works with ``from aldis import``."""
        assert set(load_blinker().__all__) <= set(aldis.__all__)


class TestWhatItCosts:
    def test_no_third_party_module(self):
        """``import aldis`` works with an empty site-packages."""
        own = {"aldis"}
        standard = run_python("import sys; print(*sys.stdlib_module_names)").split()
        top = {name.partition(".")[0] for name in added_modules()}
        assert set() == top - own - set(standard)

    def test_never_asyncio(self):
        """``import aldis`` does not import asyncio."""
        assert [] == [name for name in added_modules() if name.partition(".")[0] == "asyncio"]

    def test_no_adapter_is_imported(self):
        """``import aldis`` imports no module for a framework, a store or a tool."""
        parts = {name.split(".")[1] for name in added_modules() if name.startswith("aldis.")}
        assert parts <= {"_compat", "blinker", "core", "errors", "version"}
