"""The commands of the how-to page on the tables run."""

import re
import shlex
from pathlib import Path

from tests.cli.support import ALDIS, Project

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "create-the-tables.md"

SHOP = """
    from aldis.durable import Outbox
    from aldis.flask import Aldis
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("shop", instance_path="{folder}")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    db = SQLAlchemy(app)
    Aldis(app, outbox=Outbox(db.session))
    """


def blocks(language):
    """Return the page's examples in a language."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_commands_run(tmp_path):
    """The page's commands run one after the other for a Flask app."""
    project = Project(tmp_path)
    project.write("shop.py", SHOP.replace("{folder}", str(tmp_path)))
    lines = [line for block in blocks("console") for line in block.splitlines()]
    commands = [line.removeprefix("$ aldis ") for line in lines if line.startswith("$ aldis ")]
    assert 5 == len(commands)
    for line in commands:
        ended = project.run(*ALDIS, *shlex.split(line))
        assert 0 == ended.returncode, (line, ended.stderr)
    assert (tmp_path / "shop.db-wal").exists() or (tmp_path / "shop.db").exists()
