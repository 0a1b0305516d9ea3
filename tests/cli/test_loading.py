"""``--app``: every way to name an app, and the errors."""

import os
import sys

import pytest
from click.testing import CliRunner

from aldis.cli import aldis
from tests.cli.support import ALDIS, CLOSED, FLASK, RUN, Project

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the paths are written for POSIX")

APP = """
    import aldis

    lamps = aldis.Namespace()
    lamps.signal("{signal}", "Sent when a lamp is lit.")

    def app(environ, start_response): ...
    """


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Give a folder that is the working directory. Unload its modules at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("ALDIS_APP", "FLASK_APP"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(tmp_path)):
            del sys.modules[name]


def invoke(*arguments, **environ):
    """Run ``aldis signals`` in this process, and return its exit code and both outputs."""
    result = CliRunner().invoke(aldis, ["signals", *arguments], env=environ)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def refusal(*app, **environ):
    """Return the error of an app that cannot be loaded, as one line."""
    code, printed, said = invoke("list", *(("--app", *app) if app else ()), **environ)
    assert (2, "") == (code, printed)
    assert "Traceback" not in said
    return " ".join(said.split())


def knows(signal, *arguments, **environ):
    """Return whether the command loads the app that has ``signal``."""
    code, printed, _ = invoke(*arguments, "list", signal, **environ)
    return (code, signal in printed) == (0, True)


class TestNames:
    @pytest.mark.parametrize(
        "spec",
        [
            "lit_names",
            "lit_names:app",
            "lit_names.py",
            "lit_names.py:app",
            "./lit_names.py",
            "./lit_names.py:holder.app",
            "lit_names:make",
            "lit_names:make()",
            "lit_names:make_for('dusk', often=2)",
            "package.sub.inner:app",
            "package/sub/inner.py",
            "package",
            "./package",
        ],
    )
    def test_ways_to_name_an_app(self, here, spec):
        """The app is a module or a file with an attribute, a usual name, a factory or its call."""
        text = APP.format(signal="lit-names")
        more = """
    class holder:
        app = app

    def make():
        return app

    def make_for(when, often):
        assert (when, often) == ("dusk", 2)
        return app
    """
        here.write("lit_names.py", text + more)
        here.write("package/__init__.py", "from package.sub.inner import app")
        here.write("package/sub/__init__.py", "")
        here.write("package/sub/inner.py", text.rstrip() + "\n    from ..helper import nothing")
        here.write("package/helper.py", "nothing = None")
        assert knows("lit-names", "--app", spec)

    @pytest.mark.parametrize("name", ["app", "application", "create_app", "make_app"])
    def test_the_usual_names_may_be_left_out(self, here, name):
        """The command finds an app or a factory with a usual name."""
        make = f"def {name}():\n    return print\n" if "_" in name else f"{name} = print\n"
        here.write("usual.py", APP.format(signal=f"lit-{name}").replace("def app", "def _") + "\n")
        with (here.folder / "usual.py").open("a") as file:
            file.write(make)
        assert knows(f"lit-{name}", "--app", "usual")

    @pytest.mark.parametrize("name", ["build", "Builder.build"])
    def test_a_function_without_required_arguments_is_a_factory(self, here, name):
        """A server could not call the function as an app, so it must be a factory."""
        here.write(
            "builds.py",
            """
            import aldis

            lamps = aldis.Namespace()

            def build(when="dusk", *, often=2):
                lamps.signal(f"lit-at-{when}")
                return print

            class Builder:
                @classmethod
                def build(cls):
                    return build()
            """,
        )
        assert knows("lit-at-dusk", "--app", f"builds:{name}")

    def test_a_function_of_three_arguments_is_an_app(self, here):
        """A server calls the function, and the command does not."""
        here.write("asgi_app.py", "async def serve(scope, receive, send):\n    raise SystemExit")
        assert 0 == invoke("list", "--app", "asgi_app:serve")[0]

    @pytest.mark.parametrize("before", [("--app", "lit_first"), ()])
    def test_the_option_may_come_before_or_after_the_command(self, here, before):
        """If the option is given twice, the last one counts."""
        here.write("lit_first.py", APP.format(signal="lit-first"))
        here.write("lit_last.py", APP.format(signal="lit-last"))
        result = CliRunner().invoke(
            aldis, [*before, "signals", *before, "list", "-A", "lit_last", "lit-l"]
        )
        assert "lit-last" in result.stdout
        if before:
            assert "lit-first" in CliRunner().invoke(aldis, [*before, "signals", "list"]).stdout

    def test_the_environment_may_name_the_app(self, here):
        """The option comes before ``ALDIS_APP``, and ``ALDIS_APP`` before ``FLASK_APP``."""
        for name in ("one", "two", "three"):
            here.write(f"env_{name}.py", APP.format(signal=f"env-{name}"))
        assert knows("env-one", FLASK_APP="env_one")
        assert knows("env-two", FLASK_APP="env_one", ALDIS_APP="env_two")
        assert knows("env-three", "--app", "env_three", ALDIS_APP="env_two")

    @pytest.mark.parametrize("file", ["app.py", "wsgi.py", "asgi.py"])
    def test_a_file_with_a_usual_name_is_found(self, here, file, monkeypatch):
        """If no app is named, the command loads the file that Flask would load."""
        monkeypatch.delitem(sys.modules, file.removesuffix(".py"), raising=False)
        here.write(file, APP.format(signal=f"in-{file}"))
        assert knows(f"in-{file}")

    def test_the_output_of_the_app_goes_to_the_standard_error(self, here):
        """A ``print`` at import does not damage the JSON."""
        here.write("talks.py", "print('hello')\napp = print")
        code, printed, said = invoke("list", "--json", "--app", "talks")
        assert (0, "{", "hello\n") == (code, printed[0], said)

    @pytest.mark.parametrize(
        ("closed", "printed", "said"),
        [(None, "{", "version 2\n"), (CLOSED, "v", "")],
    )
    def test_the_output_of_child_processes_is_redirected(self, here, closed, printed, said):
        """Child processes write to the descriptor. With a closed standard error, it stays as is."""
        here.write("talks.py", "import os\nos.system('echo version 2')\napp = print")
        ended = here.run(*ALDIS, "signals", "list", "--json", "--app", "talks", err=closed)
        assert (printed, said) == (ended.stdout[:1], ended.stderr)


class TestMistakes:
    def test_no_app_at_all(self, here):
        """The error explains how to name an app and lists the files that are missing."""
        text = refusal()
        assert "no app is named, and this folder has none of app.py, wsgi.py, asgi.py" in text
        assert "; name the app, as in --app shop:app, " in text

    def test_a_misspelt_module(self, here):
        """The error names the closest file or package."""
        here.write("shopkeeper.py", "")
        text = refusal("shopkeper:app")
        assert "module 'shopkeper' was not found in " in text
        assert text.endswith("or on sys.path; did you mean 'shopkeeper'?")

    def test_a_misspelt_package(self, here):
        """The error suggests a folder with modules, too."""
        here.write("storehouse/__init__.py", "")
        assert "did you mean 'storehouse'?" in refusal("storehuose.wsgi:app")

    def test_a_missing_module_of_a_package(self, here):
        """The error names the full module if only its package exists."""
        here.write("warehouse/__init__.py", "")
        assert "module 'warehouse.nothing' was not found" in refusal("warehouse.nothing")

    def test_a_missing_name_after_the_colon(self, here):
        """A colon without a name is an error."""
        here.write("colon.py", "app = print")
        assert refusal("colon:").endswith("; name the app after the colon, or leave the colon out")

    def test_a_missing_module_before_the_colon(self, here):
        """A colon without a module is an error."""
        assert refusal(":app").startswith("Error: the module before the colon is missing: name it")

    def test_a_missing_file(self, here):
        """The error for a missing file names the working directory."""
        text = f"Error: the file 'no/such.py' does not exist (looked for from {here.folder})"
        assert text == refusal("no/such.py:app")

    @pytest.mark.parametrize("folder", ["./", ".", ".."])
    def test_a_folder_that_is_not_a_package(self, here, folder):
        """A folder without ``__init__.py`` is an error."""
        text = f"'{folder}' is a folder but not a package: it has no __init__.py"
        assert text in refusal(folder)

    def test_no_app_in_the_module(self, here):
        """The error lists the usual names and a global that looks like an app."""
        here.write("unusual.py", "import flask\nsite = flask.Flask('x')")
        text = refusal("unusual")
        assert "has none of app, application, create_app, make_app" in text
        assert text.endswith("name the app, as in --app unusual:site")

    def test_a_misspelt_attribute(self, here):
        """The error has the closest name."""
        here.write("spelt.py", "class site:\n    app = print")
        assert "module 'spelt' has no 'sight'; did you mean 'site'?" in refusal("spelt:sight.app")
        assert "'site.ap' has no 'ap'; did you mean 'app'?" in refusal("spelt:site.ap")

    def test_an_object_that_is_not_an_app(self, here):
        """The error shows the object and its type."""
        here.write("number.py", "app = 3")
        assert "Error: 'number' is not an app but an object of type int: 3" == refusal("number")

    @pytest.mark.parametrize("spec", ["factory", "factory:create_app()", "factory:create_app(1,2)"])
    def test_a_factory_that_is_called_wrongly(self, here, spec):
        """The error shows how to pass arguments to the factory."""
        here.write("factory.py", "def create_app(name): ...")
        text = refusal(spec)
        assert "the factory factory:create_app cannot be called as create_app(" in text
        assert text.endswith("""as in --app 'factory:create_app("testing")'""")

    def test_a_factory_with_another_name_that_needs_an_argument(self, here):
        """A function that a server cannot call is a factory and not an app."""
        here.write("built.py", "def build(name): ...")
        text = refusal("built:build")
        assert "the factory built:build cannot be called as build()" in text

    def test_a_factory_that_returns_no_app(self, here):
        """A factory that returns something else is an error."""
        here.write("forgetful.py", "def create_app(): ...\ndef other(): return 3")
        text = "Error: the factory forgetful:create_app returned None instead of an app: "
        assert f"{text}has it a return?" == refusal("forgetful")
        assert refusal("forgetful:other").endswith(
            "returned not an app but an object of type int: 3"
        )

    def test_a_factory_without_a_signature(self, here):
        """The command calls a class in C as a factory."""
        here.write("builtin.py", "create_app = dict")
        assert refusal("builtin").endswith("returned not an app but an object of type dict: {}")

    @pytest.mark.parametrize("call", ["(x)", "(1", "(x y)", ".f()(1)"])
    def test_arguments_that_are_not_literals(self, here, call):
        """The arguments of a factory are read as literals and not evaluated."""
        here.write("literal.py", "class create_app:\n    f = print")
        text = refusal(f"literal:create_app{call}")
        assert "cannot be read: the arguments of a factory must be lit" in text or (
            "was not found in" in text  # without a closing parenthesis, it is read as a module
        )

    @pytest.mark.parametrize(
        ("source", "what", "where"),
        [
            ("x = 1\nx.y()", "AttributeError: 'int' object has no attribute 'y'", "2: x.y()"),
            ("import no_such", "ModuleNotFoundError: No module named 'no_such'", "1: import no_s"),
            ("def f(:\n    pass", "SyntaxError: invalid syntax", "1: def f(:"),
            ("import json\njson.loads('')", "JSONDecodeError: Expecting value", "2: json.loads"),
            ("raise SystemExit(3)", "it ended the process: SystemExit(3)", "1: raise SystemExit"),
            ("raise KeyError", "KeyError ", "1: raise KeyError"),
            ("raise GeneratorExit('no')", "GeneratorExit: no", "1: raise GeneratorExit"),
        ],
    )
    def test_an_app_that_raises_when_it_is_imported(self, here, source, what, where):
        """The error shows the exception and the user's line, without a traceback."""
        here.write("raises.py", source)
        text = refusal("raises:app")
        assert f"Error: the app 'raises' could not be imported. {what}" in text
        assert f" raises.py:{where}" in text
        assert text.endswith("The option --traceback shows the whole traceback.")

    def test_an_app_that_is_installed(self, here, monkeypatch):
        """For an installed app, the error shows the innermost line of the library."""
        site = here.folder / "site-packages"
        monkeypatch.setattr("sysconfig.get_path", lambda _: str(site))
        here.write("site-packages/installed.py", "1 / 0")
        monkeypatch.syspath_prepend(site)
        assert "ZeroDivisionError: division by zero site-packages/installed.py:1: 1 / 0" in (
            refusal("installed")
        )

    def test_a_factory_that_raises(self, here):
        """An exception in a factory is shown with the user's line."""
        here.write("made.py", "def create_app():\n    1 / 0")
        text = refusal("made")
        assert "the app 'made:create_app()' could not be imported. ZeroDivisionError" in text
        assert "made.py:2: 1 / 0" in text

    def test_the_option_traceback_shows_the_traceback(self, here):
        """--traceback shows the frames from the user's first line on."""
        here.write("deep.py", "import json\njson.loads('')")
        code, printed, said = invoke("list", "--traceback", "--app", "deep")
        assert (2, "") == (code, printed)
        assert said.startswith("Traceback (most recent call last):\n")
        first, *_, error = [line for line in said.splitlines() if line.startswith("  File ")]
        assert str(here.folder / "deep.py") in first
        assert "decoder.py" in error
        assert "--traceback" not in said


class TestUnderFlask:
    def test_plain_flask_lists_the_signals(self, shop):
        """If Flask has imported blinker before the app, aldis takes over its signals later."""
        ended = shop.run(*FLASK, "--app", "shop", "signals", "list", "order_paid")
        assert (0, "") == (ended.returncode, ended.stderr)
        assert "thank" in ended.stdout

    def test_aldis_run_before_flask(self, shop):
        """Under ``aldis run``, both Flask's --app and aldis's --app name the app."""
        for before, after in ((["--app", "shop"], []), ([], ["--app", "shop"])):
            ended = shop.run(*RUN, *FLASK, *before, "signals", "list", *after)
            assert (0, "") == (ended.returncode, ended.stderr)
            assert "order_paid" in ended.stdout

    def test_the_debug_flag_of_flask_is_used(self, shop):
        """``flask --debug signals`` loads the app as ``flask --debug run`` does."""
        shop.write("debugged.py", "from shop import *\nfrom aldis.flask import Aldis\nAldis(app)")
        command = ["--app", "debugged", "--debug", "signals", "trace", "--json", "/"]
        ended = shop.run(*RUN, *FLASK, *command)
        assert 0 == ended.returncode, ended.stderr

    @pytest.mark.parametrize("source", ["import no_such", "x = 1\n1 / 0"])
    def test_an_app_that_cannot_be_imported(self, project, source):
        """``flask signals`` shows the user's line and no traceback."""
        project.write("raises.py", source)
        ended = project.run(*RUN, *FLASK, "--app", "raises", "signals", "list")
        assert 2 == ended.returncode
        assert "the app 'raises' could not be imported." in ended.stderr
        assert f"raises.py:{len(source.splitlines())}: {source.splitlines()[-1]}" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_no_app(self, project):
        """Without an app, Flask's own message is shown."""
        ended = project.run(*RUN, *FLASK, "signals", "list")
        assert 2 == ended.returncode
        assert "Could not locate a Flask application" in ended.stderr


def test_a_receiver_that_cannot_be_taken_over_is_named(project):
    """If aldis cannot take a receiver of blinker over, the error names it and the remedy."""
    project.write(
        "site/sitecustomize.py",
        """
        import blinker
        def early(sender): ...
        sender = []
        blinker.signal("lit").connect(early, sender)
        """,
    )
    project.write("app.py", "app = print")
    ended = project.run(*ALDIS, "signals", "list", PYTHONPATH="site")
    assert 2 == ended.returncode
    assert "sitecustomize.py:2: early " in ended.stderr
    assert "\n  aldis run -- python -m aldis signals list\n" in ended.stderr
