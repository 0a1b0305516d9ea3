"""aldis as blinker, in separate interpreters."""

import pytest

from tests.core.support import INSTALL, on_aldis, run_python, source_root


class TestInstalling:
    @pytest.mark.parametrize("how", INSTALL)
    def test_blinker_is_aldis_from_then_on(self, how):
        """Every module of blinker is aldis."""
        printed = on_aldis(
            """
            import blinker, blinker.base, blinker._utilities
            from blinker import ANY, NamedSignal, Namespace, Signal, default_namespace, signal
            from blinker.base import ANY_ID, _PNamespaceSignal
            from blinker._utilities import Symbol, make_id, make_ref

            print(Signal is aldis.Signal, Namespace is aldis.Namespace, ANY is aldis.ANY)
            print(blinker.base.Signal is Signal, signal is aldis.signal, ANY_ID)
            print(NamedSignal is aldis.NamedSignal, default_namespace is aldis.default_namespace)
            print(blinker.__version__, *blinker.__all__)
            """,
            how=how,
        )
        assert [
            "True True True",
            "True True 0",
            "True True",
            "1.9.0 ANY NamedSignal Namespace Signal default_namespace signal",
        ] == printed.splitlines()

    def test_a_second_time_does_nothing(self):
        """Both ways can be used, in any order and repeatedly."""
        printed = on_aldis(
            """
            import blinker, sys
            before = sys.modules["blinker"]
            aldis.install_as_blinker()
            import aldis.as_blinker
            print(sys.modules["blinker"] is before)
            """
        )
        assert "True" == printed

    def test_everything_of_blinkers_public_names_is_there(self):
        """Each public name of blinker's three modules exists."""
        names = run_python(
            """
            import blinker, blinker.base, blinker._utilities
            for module in (blinker, blinker.base, blinker._utilities):
                own = [name for name, value in vars(module).items()
                       if (getattr(value, "__module__", None) or "").startswith("blinker")
                       and type(value).__name__ != "TypeVar"]
                print(module.__name__, *own)
            """
        )
        missing = on_aldis(
            f"""
            import importlib
            for line in {names!r}.splitlines():
                module, *names = line.split()
                found = importlib.import_module(module)
                print(*[name for name in names if not hasattr(found, name)], end="")
            """
        )
        assert "" == missing

    @pytest.mark.parametrize("name", ["blinker", "blinker.base", "blinker._utilities"])
    def test_find_spec(self, name):
        """Tools that look whether blinker is there get a spec, not a ValueError."""
        printed = on_aldis(
            f"""
            import importlib.util
            spec = importlib.util.find_spec({name!r})
            print(spec.name, spec.origin, importlib.import_module({name!r}).__package__)
            """
        )
        assert f"{name} aldis blinker" == printed

    def test_a_module_that_is_loaded_from_its_spec_is_the_same(self):
        """Tools that load a module from its spec get the module of aldis, unchanged."""
        printed = on_aldis(
            """
            import importlib.util, blinker
            spec = importlib.util.find_spec("blinker")
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
            print(loaded is blinker, blinker.Signal is aldis.Signal)
            """
        )
        assert "True True" == printed

    def test_another_submodule_is_missing(self):
        """A submodule that blinker 1.9 does not have is a ModuleNotFoundError."""
        printed = on_aldis(
            """
            try:
                import blinker._saferef
            except ModuleNotFoundError as error:
                print(error.name)
            """
        )
        assert "blinker._saferef" == printed

    def test_without_blinker_installed(self):
        """The stand-in needs no blinker."""
        printed = run_python(
            f"import sys; sys.path.append({source_root()!r})\n"
            "import aldis.as_blinker, blinker; print(blinker.Signal.__module__)",
            "-S",
            "-I",
        )
        assert "aldis.core.signal" == printed
