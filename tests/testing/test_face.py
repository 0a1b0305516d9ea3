"""The names that you can import from aldis.testing."""

import subprocess
import sys

import pytest

import aldis.testing


def test_each_name_exists():
    """Each name in ``__all__`` can be imported."""
    for name in aldis.testing.__all__:
        assert getattr(aldis.testing, name) is not None


def test_other_names_raise():
    """Another name raises the usual error."""
    with pytest.raises(AttributeError, match="has no attribute 'drained'"):
        _ = aldis.testing.drained


def test_a_test_that_needs_no_database_imports_none():
    """Only names that need SQLAlchemy import it."""
    code = "import sys, aldis.testing; print('sqlalchemy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == ran.stdout


@pytest.mark.parametrize("wanted", ["aldis.testing.draining", "aldis.testing.drain"])
def test_without_sqlalchemy_it_names_the_extra(wanted):
    """Without SQLAlchemy, the error names the extra to install."""
    module, _, name = wanted.rpartition(".")
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from aldis.errors import MissingExtraError\n"
        f"try:\n    from {module} import {name}\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("pip install 'aldis[durable]'\n")
