"""The error for a missing package names the extra."""

import pytest

from tests.core.support import run_python

CASES = [
    ("aldis.flask", "flask", "flask"),
    ("aldis.quart", "quart", "quart"),
    ("aldis.oauth", "authlib", "oauth"),
    ("aldis.oauth", "requests", "oauth"),
    ("aldis.oauth.sqla", "sqlalchemy", "oauth"),
    ("aldis.oauth.linking", "sqlalchemy", "oauth"),
    ("aldis.oauth.linking", "flask_login", "oauth"),
    ("aldis.plugins", "pluggy", "plugins"),
    ("aldis.ckan", "pluggy", "ckan"),
    ("aldis.ckan", "flask_login", "ckan"),
    ("aldis.cli:aldis", "click", "cli"),
    ("aldis.cli:signals", "click", "cli"),
    ("aldis.durable", "sqlalchemy", "durable"),
    ("aldis.durable", "msgspec", "durable"),
    ("aldis.testing:drain", "sqlalchemy", "durable"),
    ("aldis.testing.draining", "sqlalchemy", "durable"),
]


@pytest.mark.parametrize(("place", "package", "extra"), CASES)
def test_it_names_the_extra(place, package, extra):
    """The error of an import shows the shell command that installs the extra."""
    module, _, attribute = place.partition(":")
    said = run_python(
        f"""
        import sys
        from importlib import import_module

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == {package!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Absent())
        try:
            found = import_module({module!r})
            getattr(found, {attribute!r} or "__name__")
        except ImportError as error:
            print(type(error).__name__, error.name.partition(".")[0], error)
        """
    )
    assert said.startswith(f"MissingExtraError {package} "), said
    assert said.rstrip().endswith(f"which is not installed: pip install 'aldis[{extra}]'")
