"""The module ``aldis.signals``. ``tests/seeds`` tests the promises of Flask's reference."""

import pytest

import aldis
import aldis.signals
from tests.fresh import run


def test_exports_the_two_names():
    """The module has the two names of Flask's reference, and no others."""
    assert aldis.signals.__all__ == ["Namespace", "signals_available"]


def test_the_error_of_a_broken_engine_is_raised():
    """The fallback is only for a missing engine. A broken engine raises its error."""
    printed = run(
        """
        import sys

        import aldis

        for name in [name for name in sys.modules if name.startswith("aldis.core")]:
            del sys.modules[name]
        sys.modules["inspect"] = None  # the engine needs it
        try:
            import aldis.signals
        except ModuleNotFoundError as missing:
            print(missing.name)
        """
    )
    assert printed == "inspect\n"


def test_needs_no_flask():
    """The module works without Flask."""
    printed = run(
        """
        import sys

        sys.modules["flask"] = None
        from aldis import signals

        print(signals.Namespace().signal("x").send("nobody"), signals.signals_available)
        """
    )
    assert printed == "[] True\n"


@pytest.mark.parametrize("name", ["signals", "flask"])
def test_is_not_loaded_by_import_aldis(name):
    """``import aldis`` does not import ``aldis.signals``."""
    assert run(f"import sys, aldis; print('aldis.{name}' in sys.modules)") == "False\n"
