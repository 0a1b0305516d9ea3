"""The error for a missing package names the extra."""

from textwrap import dedent

import pytest

from tests.core.support import run_python

pytestmark = pytest.mark.slow

CASES = [
    ("aldis.flask", "flask", "flask"),
    ("aldis.flask_login", "flask_login", "oauth"),
    ("aldis.quart", "quart", "quart"),
    ("aldis.oauth", "authlib", "oauth"),
    ("aldis.oauth", "requests", "oauth"),
    ("aldis.oauth.sqla", "sqlalchemy", "oauth"),
    ("aldis.oauth.linking", "sqlalchemy", "oauth"),
    ("aldis.oauth.linking", "flask_login", "oauth"),
    ("aldis.plugins", "pluggy", "plugins"),
    ("aldis.web", "jinja2", "web"),
    ("aldis.ckan", "pluggy", "ckan"),
    ("aldis.ckan", "flask_login", "ckan"),
    ("aldis.cli:aldis", "click", "cli"),
    ("aldis.cli:signals", "click", "cli"),
    ("aldis.durable", "sqlalchemy", "durable"),
    ("aldis.durable", "msgspec", "durable"),
    ("aldis.testing:drain", "sqlalchemy", "durable"),
    ("aldis.testing.draining", "sqlalchemy", "durable"),
]


#: Hides an installed package. With a folder, Python finds that instead: an empty package.
HIDE = """
import sys
from importlib import import_module
from importlib.machinery import PathFinder

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != {package!r}:
            return None
        spec = PathFinder.find_spec(name, [{folder!r}] if path is None else path)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return spec

sys.meta_path.insert(0, Hidden())
"""


def run_without(package, folder, program):
    """Run a program without a package; ``folder`` may contain a folder with its name."""
    return run_python(HIDE.format(package=package, folder=str(folder)) + dedent(program))


def error_of(place, package, folder):
    """Import a module, or one of its attributes, without a package, and return the error."""
    module, _, attribute = place.partition(":")
    return run_without(
        package,
        folder,
        f"""
        try:
            found = import_module({module!r})
            getattr(found, {attribute!r} or "__name__")
        except ImportError as error:
            print(type(error).__name__, error.name.partition(".")[0], error)
        """,
    )


@pytest.mark.parametrize(("place", "package", "extra"), CASES)
def test_it_names_the_extra(place, package, extra, tmp_path):
    """The error of an import shows the shell command that installs the extra."""
    said = error_of(place, package, tmp_path)
    assert said.startswith(f"MissingExtraError {package} "), said
    assert said.endswith(f"which is not installed: pip install 'aldis[{extra}]'")


@pytest.mark.parametrize(("place", "package", "extra"), CASES)
def test_a_folder_with_the_name_of_a_missing_package(place, package, extra, tmp_path):
    """Python imports a folder as an empty package. The error names it and the extra."""
    folder = tmp_path / package
    folder.mkdir()
    said = error_of(place, package, tmp_path)
    assert said.startswith(f"MissingExtraError {package} "), said
    assert f"which is not installed (the folder {folder} is not " in said
    assert said.endswith(f"): pip install 'aldis[{extra}]'")


@pytest.mark.parametrize("inside", ["", "lib/signals"])
@pytest.mark.parametrize("package", [False, True])
def test_a_folder_that_is_not_ckan(inside, package, tmp_path):
    """Without CKAN, ``aldis.ckan`` works beside any folder with the name ``ckan``."""
    folder = tmp_path / "ckan" / inside
    folder.mkdir(parents=True)
    if package:
        (tmp_path / "ckan" / "__init__.py").touch()
    printed = run_without(
        "ckan",
        tmp_path,
        """
        import ckan
        import aldis.ckan
        print(type(aldis.ckan.ckan) is aldis.Namespace, "request_started" in aldis.ckan.ckan)
        """,
    )
    assert printed == "True True"


#: For each package that aldis uses only if it is there: a use of it.
USES = {
    "anyio": """
        from aldis.asgi import _shield
        with _shield():
            pass
    """,
    "flask": """
        from aldis.testing.draining import _current_app
        assert _current_app() is None
    """,
    "opentelemetry": """
        import opentelemetry.trace
        from aldis.durable.receiver import _traceparent
        assert _traceparent() is None
    """,
    "rich": """
        import io
        from aldis import Signal
        from aldis.observe import trace
        class Terminal(io.StringIO):
            def isatty(self): return True
        with trace() as seen:
            Signal().send()
        seen.print(file=Terminal())
    """,
    "dotenv": """
        import os
        import aldis.cli
        os.chdir({folder!r})
        open(".env", "w").close()
        sys.argv = ["aldis", "signals", "list", "--app", "json"]
        sys.stderr = sys.stdout
        try:
            aldis.cli.main()
        except SystemExit:
            pass
    """,
}


@pytest.mark.parametrize("package", USES)
def test_a_folder_with_the_name_of_a_package_that_is_not_needed(package, tmp_path):
    """A part that uses a package only if it is there works beside a folder with its name."""
    (tmp_path / package / "trace").mkdir(parents=True)
    use = dedent(USES[package]).replace("{folder!r}", repr(str(tmp_path)))
    printed = run_without(package, tmp_path, f"import {package}\n{use}")
    assert printed == "" or "python-dotenv is not installed" in printed
