"""The tutorial, followed to the letter."""

import re
import sys
import tomllib

import pytest

from tests.docs.pages import DOCS, ROOT, Reader, blocks, free_address, visit
from tests.processes import LIMIT

for each in ("click", "flask", "flask_sqlalchemy", "sqlalchemy"):
    pytest.importorskip(each)

pytestmark = pytest.mark.slow

TUTORIAL = DOCS / "tutorial"


def chapters():
    """Return the pages of the tutorial, in the order of the table of contents."""
    listed = (TUTORIAL / "index.md").read_text(encoding="utf-8").partition("```{toctree}")[2]
    return re.findall(r"^[a-z-]+$", listed, re.MULTILINE)


@pytest.mark.parametrize("chapter", [each for each in chapters() if each != "tests"])
def test_each_step_prints_the_shown_output(chapter, tmp_path):
    """The files and commands of a page, in a new folder, print the shown output."""
    Reader(tmp_path).follow(f"tutorial/{chapter}.md")


def test_the_last_step_builds_on_the_one_before(tmp_path):
    """The tests of the last page pass for the shop of the previous page."""
    reader = Reader(tmp_path)
    shop = [text for _, text, name in blocks("tutorial/durable.md") if name == "shop.py"]
    reader.write("shop.py", shop[-1])
    reader.follow("tutorial/tests.md")


def test_every_page_is_a_chapter():
    """No page of the tutorial is left out."""
    assert {path.stem for path in TUTORIAL.glob("*.md")} == {"index", *chapters()}


def test_the_shop_can_be_served(tmp_path):
    """The command on the first page starts a server."""
    reader = Reader(tmp_path)
    (_, shop, _), *_ = blocks("tutorial/first-receiver.md")
    (command,) = (text for kind, text, _ in blocks("tutorial/first-receiver.md") if kind == "sh")
    assert "flask --app shop run\n" == command
    reader.write("shop.py", shop)
    address, options = free_address()
    served = reader.start(sys.executable, "-m", *command.split(), *options)
    try:
        assert b"welcome\n" == visit(address)
    finally:
        served.terminate()
        served.communicate(timeout=LIMIT)


def test_the_extras_exist():
    """The extras that the tutorial installs exist."""
    (command,) = re.findall(r"pip install '.*\[(.*)\]'", (TUTORIAL / "index.md").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(command.split(",")) <= set(project["optional-dependencies"])
