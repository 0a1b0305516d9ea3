"""What can be imported from aldis.testing."""

import subprocess
import sys

import pytest

import aldis.testing


def test_all_that_is_offered_is_there():
    """Each name of the module leads to something."""
    for name in aldis.testing.__all__:
        assert getattr(aldis.testing, name) is not None


def test_other_names_are_not_there():
    """A name that does not exist is an error as in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'drained'"):
        _ = aldis.testing.drained


def test_a_test_that_needs_no_database_imports_none():
    """SQLAlchemy is imported only for what needs it."""
    code = "import sys, aldis.testing; print('sqlalchemy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == ran.stdout


@pytest.mark.parametrize("wanted", ["aldis.testing.draining", "aldis.testing.drain"])
def test_without_sqlalchemy_it_names_the_extra(wanted):
    """What needs a database says what to install."""
    module, _, name = wanted.rpartition(".")
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from aldis.errors import MissingExtraError\n"
        f"try:\n    from {module} import {name}\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("pip install 'aldis[durable]'\n")
