"""The commands that aldis adds to Flask's command line."""

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from aldis.cli import flask_commands
from tests.cli.durable_shop import Worker, wait_for, write_shop
from tests.cli.support import FLASK, PYTHON

APP = ("--app", "shop")


@pytest.fixture
def shop(project):
    """Give a folder with a shop whose receipts are durable."""
    write_shop(project)
    path = project.folder / "shop.py"
    path.write_text(f"import sys\nprint('imported', file=sys.stderr)\n{path.read_text()}")
    return project


def run(project, *command, code=0):
    """Run ``flask`` on the shop, and return its output."""
    ended = project.run(*FLASK, *APP, *command)
    assert code == ended.returncode, ended.stderr
    return ended


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("check",), "Nothing is wrong"),
        (("db-check",), "Nothing is wrong with the tables aldis_*"),
        (("db-current",), "(the newest)"),
        (("db-upgrade",), "were up to date"),
        (("db-upgrade", "--sql"), "CREATE TABLE aldis_deliveries"),
        (("deliveries", "stats"), "There are no deliveries."),
        (("deliveries", "dead"), "No delivery is dead."),
        (("signals", "list", "billing"), "receipt"),
    ],
)
def test_each_command_works_on_the_app_of_flask(shop, command, text):
    """``flask --app`` names the app, and the command imports it once."""
    ended = run(shop, *command)
    assert text in ended.stdout
    assert 1 == ended.stderr.count("imported")


def test_the_worker_runs_deliveries(shop):
    """``flask worker`` works like ``aldis worker``."""
    shop.run(*PYTHON, "send.py", "7")
    process = shop.start(*FLASK, *APP, "worker", "--name", "quay")
    worker = Worker(process)
    worker.read_until("worker quay")
    wait_for(lambda: (shop.folder / "done-7").exists())
    code, text = worker.end()
    assert 0 == code
    assert 1 == text.count("imported")
    assert "1 done, 0 failed" in text


@pytest.mark.parametrize(
    "command", ["worker", "deliveries", "check", "db-check", "db-current", "db-upgrade"]
)
def test_flask_help_lists_each_command(project, command):
    """``flask --help`` lists each command. The help of a command needs no app."""
    assert re.search(rf"^  {command}  +\w", project.run(*FLASK, "--help").stdout, re.MULTILINE)
    ended = project.run(*FLASK, command, "--help")
    assert 0 == ended.returncode
    assert f"Usage: python -m flask {command}" in ended.stdout
    assert command in entry_points(group="flask.commands").names


def test_flask_db_stays_free_for_flask_migrate():
    """No entry point of aldis is called ``db``."""
    mine = [each.name for each in entry_points(group="flask.commands") if "aldis" in each.value]
    assert "db" not in mine
    assert 7 == len(mine)


@pytest.mark.parametrize("command", ["worker", "deliveries", "check", "db-upgrade"])
def test_a_command_of_the_app_comes_first(shop, command):
    """An app that has a command with the name keeps it, with its options and its help."""
    path = shop.folder / "shop.py"
    own = (
        f"\nimport click\n@app.cli.command({command!r})\n@click.option('--queue')\n"
        "def own(queue):\n    '''Mine.'''\n    from flask import current_app\n"
        "    print('mine', queue, current_app.name)\n"
    )
    path.write_text(path.read_text() + own)
    assert "mine high shop\n" == run(shop, command, "--queue", "high").stdout
    assert "Mine." in run(shop, command, "--help").stdout


def test_an_app_that_cannot_be_imported(project):
    """The error is that of ``aldis worker``. The help text appears without the app."""
    project.write("shop.py", "import aldis.as_blinker\nraise LookupError('no lamp')")
    ended = run(project, "worker", code=2)
    assert "the app 'shop' could not be imported.\n\n  LookupError: no lamp\n" in ended.stderr
    assert "--concurrency" in run(project, "worker", "--help").stdout


def test_the_app_may_be_named_after_the_command(shop):
    """``flask worker --app`` works, as ``flask signals --app`` does."""
    ended = shop.run(*FLASK, "db-current", "--app", "shop")
    assert "(the newest)" in ended.stdout, ended.stderr


def test_check_reports_warnings_of_strict_mode(shop):
    """``flask check`` imports the app in strict mode."""
    path = shop.folder / "shop.py"
    path.write_text(path.read_text() + "\norder_paid.connect(lambda sender, **extra: None)\n")
    assert "died" in run(shop, "check", code=1).stdout


def test_env_file_belongs_before_the_command(shop):
    """After the command, ``--env-file`` is an error that shows its right place."""
    shop.write("prod.env", "A=1")
    ended = run(shop, "worker", "--env-file", "prod.env", code=2)
    assert "write flask --env-file prod.env worker" in " ".join(ended.stderr.split())


def test_without_sqlalchemy(project):
    """``flask --help`` works without the packages of the extra ``durable``."""
    project.write("app.py", "from flask import Flask\napp = Flask('shop')")
    ended = project.run_without("sqlalchemy", "signals", "list")
    assert 0 == ended.returncode
    project.write(
        "flask_without.py",
        (project.folder / "without.py").read_text().replace("aldis.cli", "flask.cli"),
    )
    ended = project.run(*PYTHON, "flask_without.py", "--help", anew=True)
    assert 0 == ended.returncode, ended.stderr
    assert "db-upgrade" in ended.stdout
    ended = project.run(
        *PYTHON, "flask_without.py", "db-upgrade", "--url", "sqlite:///x.db", anew=True
    )
    assert 2 == ended.returncode
    assert "pip install 'aldis[durable]'" in ended.stderr


class TestLazyImports:
    def test_the_help_of_flask_imports_no_command(self):
        """``flask --help`` lists the commands, and imports none of them and no library for them."""
        script = (
            "import sys\n"
            "from flask.cli import main\n"
            "sys.argv = ['flask', '--help']\n"
            "try:\n    main()\n"
            "except SystemExit:\n    pass\n"
            "print(*sorted(name for name in sys.modules if name.startswith('aldis.cli')))\n"
            "print('sqlalchemy' in sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        *help_lines, modules, sqlalchemy = done.stdout.splitlines()
        assert "aldis.cli aldis.cli.flask_commands" == modules
        assert "False" == sqlalchemy
        assert any("db-upgrade" in line for line in help_lines)

    @pytest.mark.parametrize("name", flask_commands.__all__)
    def test_the_help_is_that_of_the_command(self, name):
        """The line in ``flask --help`` is that of the command of aldis."""
        command = getattr(flask_commands, name)
        assert command.short_help == command.find().get_short_help_str(100)
        assert command.name == name.replace("_", "-")
