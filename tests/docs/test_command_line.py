"""The page on the command line matches the commands."""

import importlib.util
import re
import shlex

import pytest

from tests.docs.pages import DOCS, blocks

pytest.importorskip("click")
pytest.importorskip("sphinx")


def test_every_command_is_on_the_page():
    """Each command is on the page, with the output of its ``--help``."""
    from click.testing import CliRunner

    from aldis.cli import aldis

    spec = importlib.util.spec_from_file_location("commands", DOCS / "_ext" / "commands.py")
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)
    shown = dict(commands.helps(aldis, "aldis"))

    def check(command, way):
        asked = [*way[1:], "--help"]
        width = {"terminal_width": commands.WIDTH, "max_content_width": commands.WIDTH}
        printed = CliRunner().invoke(aldis, asked, prog_name="aldis", **width)
        assert printed.output.rstrip() == shown.pop(" ".join(way)).rstrip()
        for name, inner in getattr(command, "commands", {}).items():
            check(inner, [*way, name])

    check(aldis, ["aldis"])
    assert {} == shown


COMMAND = re.compile(r"^(?:\$ )?aldis ([^#\n]*)", re.MULTILINE)
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_every_command_of_a_page_exists(page):
    """Each command on a page exists, with the options that the page uses."""
    from aldis.cli import aldis

    for language, text, _ in blocks(page.relative_to(DOCS)):
        for line in COMMAND.findall(text) if language in ("sh", "console") else ():
            words, _, _ = line.partition(" -- ")
            command, known = aldis, set()
            for word in shlex.split(words):
                known |= {each for parameter in command.params for each in parameter.opts}
                if word.startswith("-") and word != "--":
                    assert word.partition("=")[0] in known | {"--help", "-h", "--version"}, line
                elif hasattr(command, "commands"):
                    assert word in command.commands, line
                    command = command.commands[word]
