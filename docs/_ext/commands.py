"""The directive ``aldis-commands``: every command's help, as the command itself prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from aldis.cli import aldis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

#: As wide as the lines of the documentation's code.
WIDTH = 88


def helps(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Yield a command's full name and its help, and those of all that are in it."""
    context = command.make_context(
        name,
        [],
        parent=parent,
        resilient_parsing=True,  # nothing is asked for, and nothing run
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from helps(inner, each, context)


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        sections: list[nodes.Node] = []
        for way, text in helps(aldis, "aldis"):
            section = nodes.section(ids=[nodes.make_id(way)], names=[way])
            section += nodes.title("", "", nodes.literal(text=way))
            block = nodes.literal_block(text, text)
            block["language"] = "text"
            section += block
            self.state.document.note_explicit_target(section)
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    """Take part in the build."""
    app.add_directive("aldis-commands", Commands)
    return {"parallel_read_safe": True}
