"""The face of the package: what ``import aldis`` gives, and what it costs."""

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
        """A name that is added or lost is a decision, made here."""
        assert sorted(EXPORTED) == sorted(aldis.__all__)

    @pytest.mark.parametrize("name", EXPORTED)
    def test_each_name_is_there(self, name):
        """What is promised can be had."""
        assert hasattr(aldis, name)

    def test_it_only_re_exports(self):
        """The face defines nothing itself."""
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
        """Who changes ``from blinker import`` to ``from aldis import`` finds everything."""
        assert set(load_blinker().__all__) <= set(aldis.__all__)


class TestWhatItCosts:
    def test_no_third_party_module(self):
        """``import aldis`` works with an empty site-packages, and imports only what Python has."""
        own = {"aldis"}
        standard = run_python("import sys; print(*sys.stdlib_module_names)").split()
        top = {name.partition(".")[0] for name in added_modules()}
        assert set() == top - own - set(standard)

    def test_never_asyncio(self):
        """Only whoever uses asyncio pays for its import."""
        assert [] == [name for name in added_modules() if name.partition(".")[0] == "asyncio"]

    def test_no_adapter_comes_along(self):
        """Frameworks, stores and tools are imported by whoever asks for them."""
        parts = {name.split(".")[1] for name in added_modules() if name.startswith("aldis.")}
        assert parts <= {"_compat", "blinker", "core", "errors", "version"}
