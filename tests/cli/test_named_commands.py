"""Messages and help texts name only existing commands and options."""

import ast
import re
from pathlib import Path

import click
import pytest

import aldis as package
from aldis.cli import aldis
from tests.cli.support import ALDIS

SOURCE = Path(package.__file__).parent

#: A command in a text: in quotes, in backticks, or after a word that asks to type it.
TYPED = re.compile(r"(?:(?<=[`'\"])|\brun )aldis ([a-z][^`'\",;\n]*)")

#: A line of an example, which begins with a command.
EXAMPLE = re.compile(r"^ +aldis ((?:check|db|deliveries|run|signals|worker) .*)", re.MULTILINE)


def texts(path):
    """Yield the strings of a module with their lines. ``{}`` stands for each inserted value."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(part)
        for each in ast.walk(tree)
        if isinstance(each, ast.JoinedStr)
        for part in ast.walk(each)
        if part is not each
    }
    for each in ast.walk(tree):
        if isinstance(each, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in each.values]
            yield each.lineno, "".join(parts)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield from [] if id(each) in inside else [(each.lineno, each.value)]


def problem_with(command_line):
    """Return the problem of the words after ``aldis``, or None."""
    command = aldis
    words = command_line.split()
    while words and isinstance(command, click.Group) and re.fullmatch(r"[a-z]+", words[0]):
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    options = {opt for param in command.params for opt in param.opts} | {"--help", "--"}
    for word in words:
        if word == "--":
            break
        if word.startswith("--") and word.partition("=")[0] not in options:
            return f"{command.name} has no option {word}"
    return None


def test_each_command_in_the_source_exists():
    """Messages, help texts and docstrings name commands that the user can type."""
    found = 0
    for path in sorted(SOURCE.rglob("*.py")):
        for line, text in texts(path):
            for match in (*TYPED.finditer(text), *EXAMPLE.finditer(text)):
                found += 1
                if "{}" in match[1].partition("--")[0]:
                    continue  # the name of the command is a value
                assert problem_with(match[1]) is None, f"{path}:{line}: aldis {match[1]}"
    assert found > 40


def commands(group=aldis, words=()):
    """Yield each command with its words."""
    for name, each in group.commands.items():
        if isinstance(each, click.Group):
            yield from commands(each, (*words, name))
        else:
            yield (*words, name), each


def test_each_option_in_the_source_of_the_command_line_exists():
    """An option in a message belongs to a command of the module that has the message."""
    everywhere = {opt for _, each in commands() for param in each.params for opt in param.opts}
    everywhere |= {"--help", "--version", "--"}
    for path in sorted((SOURCE / "cli").rglob("*.py")):
        for line, text in texts(path):
            ours = re.sub(r"\bflask .*", "", text)  # without the options of Flask
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", ours):
                assert option in everywhere, f"{path}:{line}: {option}"


WITHOUT_OUTBOX = [words for words, each in commands() if words[0] in ("db", "deliveries", "worker")]


@pytest.mark.parametrize("words", [*WITHOUT_OUTBOX], ids=" ".join)
def test_without_an_outbox_a_message_names_options_of_the_command(project, words):
    """A command on an app without an outbox names only options that the command takes."""
    project.write("app.py", "from flask import Flask\napp = Flask('shop')")
    more = {
        "show": ("1",),
        "pause": ("x",),
        "resume": ("x",),
        "prune": ("--older-than", "1d"),
        "replay": ("--all",),
        "discard": ("--all",),
    }
    ended = project.run(*ALDIS, *words, *more.get(words[-1], ()))
    assert 2 == ended.returncode
    assert "the app <Flask 'shop'> has no outbox" in ended.stderr
    command = dict(commands())[words]
    options = {opt for param in command.params for opt in param.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ended.stderr))
    assert named
    assert named <= options


def test_check_names_no_option_for_a_missing_outbox(project):
    """``aldis check`` has neither ``--outbox`` nor ``--url``, so it names neither."""
    project.write(
        "app.py",
        """
        import aldis
        from aldis.durable import durable
        from flask import Flask

        shop = aldis.Namespace()

        @shop.define
        def order_paid(sender: str, *, order_id: int) -> None: ...

        @order_paid.connect
        @durable("billing.receipt")
        def receipt(sender, *, order_id: int, **extra): ...

        app = Flask("shop")
        """,
    )
    ended = project.run(*ALDIS, "check")
    assert 1 == ended.returncode
    assert "has no outbox: give it one, Aldis(app, outbox=Outbox(db.session))\n" in ended.stdout


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_each_help_text_is_in_ascii(words):
    """A terminal of any encoding can show the help of each command, and it has an example."""
    command = dict(commands())[words]
    text = command.get_help(click.Context(command, info_name=" ".join(("aldis", *words))))
    assert text.isascii()
    assert f"  aldis {' '.join(words)}" in text
    assert max(map(len, text.splitlines())) <= 80
