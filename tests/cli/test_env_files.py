"""Every command that loads the app reads ``.env`` and ``.flaskenv``."""

import json

import pytest

from tests.cli.durable_shop import working, write_shop
from tests.cli.support import ALDIS, FLASK, PYTHON, RUN, SHOP

#: An app that prints a variable of its environment.
PRINTS_VALUE = """
    import os, sys
    from flask import Flask

    app = Flask("shop")
    print("VALUE =", os.environ.get("VALUE"), file=sys.stderr)
    app.cli.command("tell")(lambda: None)
    """

#: The commands that load the app, on a shop without deliveries.
LOADING = {
    "list": ("signals", "list"),
    "explain": ("signals", "explain", "request_started"),
    "signals check": ("signals", "check"),
    "trace": ("signals", "trace", "/"),
    "check": ("check",),
    "worker": ("worker",),
    "stats": ("deliveries", "stats"),
    "replay": ("deliveries", "replay", "--all"),
    "upgrade": ("db", "upgrade"),
    "db check": ("db", "check"),
    "current": ("db", "current"),
}


def value_of(ended):
    """Return the value that the app printed."""
    [line] = [each for each in ended.stderr.splitlines() if each.startswith("VALUE = ")]
    return line.removeprefix("VALUE = ")


@pytest.mark.parametrize("command", LOADING.values(), ids=LOADING)
def test_every_command_reads_the_files(project, command):
    """``.flaskenv`` names the app, and the app sees the variables of ``.env``."""
    project.write("tells.py", PRINTS_VALUE)
    project.write(".flaskenv", "FLASK_APP=tells\nVALUE=flaskenv")
    project.write(".env", "VALUE=env")
    assert "env" == value_of(project.run(*ALDIS, *command))


CASES = {
    "the environment": ({"VALUE": "real"}, (), "real"),
    ".env": ({}, (), "env"),
    "--env-file": ({}, ("--env-file", "prod.env"), "prod"),
    "-e and the environment": ({"VALUE": "real"}, ("-e", "prod.env"), "real"),
    "$FLASK_ENV_FILE": ({"FLASK_ENV_FILE": "prod.env"}, (), "prod"),
    "skipped": ({"FLASK_SKIP_DOTENV": "1", "FLASK_APP": "tells"}, (), "None"),
    "not skipped": ({"FLASK_SKIP_DOTENV": "false"}, (), "env"),
    "skipped, with a file": (
        {"FLASK_SKIP_DOTENV": "1", "FLASK_APP": "tells"},
        ("-e", "prod.env"),
        "prod",
    ),
}


@pytest.mark.parametrize(("environ", "options", "value"), CASES.values(), ids=CASES)
def test_the_order_of_precedence_is_that_of_flask(project, environ, options, value):
    """The environment comes first, then ``--env-file``, ``.env`` and ``.flaskenv``."""
    project.write("tells.py", PRINTS_VALUE)
    project.write(".env", "VALUE=env\nFLASK_APP=tells")
    project.write(".flaskenv", "VALUE=flaskenv\nFLASK_APP=nonsense")
    project.write("prod.env", "VALUE=prod")
    for command in (
        (*ALDIS, *options, "signals", "list"),
        (*ALDIS, "signals", "list", *options),
        (*FLASK, *options, "tell"),
    ):
        assert value == value_of(project.run(*command, **environ)), command


def test_the_files_are_searched_upwards(project):
    """The working directory may be below the folder with the file."""
    project.write(".env", "VALUE=above")
    project.write("below/app.py", PRINTS_VALUE)
    project.folder /= "below"
    assert "above" == value_of(project.run(*ALDIS, "signals", "list"))


def test_run_gives_the_variables_to_the_command(project):
    """The command gets the variables. ``flask`` reads the files itself, after its own options."""
    project.write("app.py", PRINTS_VALUE)
    project.write(".env", "VALUE=env")
    project.write("prod.env", "VALUE=prod")
    assert "env" == value_of(project.run(*RUN, *PYTHON, "app.py"))
    with_file = (*ALDIS, "run", "-e", "prod.env", "--")
    assert "prod" == value_of(project.run(*with_file, *PYTHON, "app.py"))
    assert "prod" == value_of(project.run(*with_file, *FLASK, "tell"))
    assert "prod" == value_of(project.run(*RUN, *FLASK, "-e", "prod.env", "tell"))


def test_strict_mode_in_a_file(project):
    """``ALDIS_STRICT`` in a file has an effect, although aldis is imported before."""
    project.write("app.py", "import aldis, sys; print(aldis.core.is_strict(), file=sys.stderr)")
    project.write(".env", "ALDIS_STRICT=1")
    ended = project.run(*ALDIS, "signals", "list")
    assert ended.stderr.startswith("True\n")


def test_the_worker_reads_its_database_from_the_file(project):
    """A worker runs the deliveries of the database that ``.env`` names."""
    write_shop(project)
    (project.folder / "shop.db").rename(project.folder / "other.db")
    project.write(".env", "ALDIS_APP=shop:app\nSHOP_URL=sqlite:///other.db")
    with working(project, "--name", "quay") as worker:
        assert "other.db" in worker.read_until("worker quay")
        assert 0 == worker.end()[0]


@pytest.mark.parametrize("options", [(), ("-e", "prod.env")])
def test_without_python_dotenv(project, options):
    """A note names the package. It is an error if the command line names a file."""
    project.write("app.py", PRINTS_VALUE)
    project.write(".env", "VALUE=env")
    project.write("prod.env", "VALUE=prod")
    ended = project.run_without("dotenv", "signals", "list", *options)
    assert (2 if options else 0) == ended.returncode
    assert "python-dotenv is not installed: pip install python-dotenv" in ended.stderr


@pytest.mark.parametrize(
    ("file", "message"),
    [("missing.env", "does not exist"), (".", "is a directory"), ("latin.env", "cannot be read")],
)
def test_a_file_that_cannot_be_read(project, file, message):
    """The error names the file, without a traceback."""
    project.write("app.py", SHOP)
    (project.folder / "latin.env").write_bytes(b"VALUE=caf\xe9")
    ended = project.run(*ALDIS, "signals", "list", "--env-file", file)
    assert 2 == ended.returncode
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_module_that_starts_its_server(project):
    """``app.run()`` at import starts no server, as under ``flask``."""
    project.write("app.py", f"{SHOP}\n    app.run(port=0)\n")
    ended = project.run(*ALDIS, "signals", "list", "--json")
    assert 0 == ended.returncode, ended.stderr
    assert "Ignoring a call to 'app.run()'" in ended.stderr
    assert "aldis-signals-list/1" == json.loads(ended.stdout)["schema"]
