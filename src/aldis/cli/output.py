"""Writing: rich on a terminal, plain text into a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from os.path import relpath
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, Final, TextIO, TypeAlias

import click

__all__ = [
    "OutputError",
    "Page",
    "Styled",
    "app_prints_aside",
    "give_up",
    "last_name",
    "print_json",
    "quiet_reader",
    "short_place",
    "shortened",
]

#: A piece of a line: plain text, or text and its style.
Styled: TypeAlias = str | tuple[str, str]

#: The descriptors that every process begins with.
OUTPUT: Final = 1
ERROR: Final = 2

HANG = 2  # by how much the rest of a wrapped line is indented further


class OutputError(click.ClickException):
    """What was found cannot be told: nothing was, as far as the exit code goes."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(f"the standard output cannot be written: {reason}")


class Page:
    """Lines for people, collected and then printed at once."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, list[tuple[str, str]]]] = []

    def line(self, *parts: Styled, indent: int = 0) -> None:
        """Add a line; without parts, an empty one.

        Args:
            *parts: Text, or text with a style that rich knows.
            indent: By how many spaces it is indented, the rest of it too where it is wrapped.
        """
        styled = [(part, "") if isinstance(part, str) else part for part in parts]
        self._lines.append((indent, styled))

    def print(self) -> None:
        """Write the lines to the standard output, wrapped only where it is a terminal."""
        with quiet_reader():
            if not sys.stdout.isatty():
                self._print_plain(None)
            elif not self._print_rich():
                self._print_plain(get_terminal_size().columns)

    def _print_plain(self, width: int | None) -> None:
        for indent, parts in self._lines:
            text = "".join(text for text, _ in parts)
            lines = [text]
            if width is not None:
                lines = wrap(text, max(20, width - indent - HANG), break_on_hyphens=False) or [""]
            for number, line in enumerate(lines):
                margin = indent + HANG if number else indent
                print(f"{' ' * margin}{line}".rstrip())

    def _print_rich(self) -> bool:
        try:
            from rich.console import Console  # noqa: PLC0415 - optional
            from rich.padding import Padding  # noqa: PLC0415 - optional
            from rich.text import Text  # noqa: PLC0415 - optional
        except ModuleNotFoundError:
            return False
        console = Console(highlight=False, no_color=True if os.environ.get("NO_COLOR") else None)
        for indent, parts in self._lines:
            text = Text.assemble(*parts)
            if not text:
                console.print()
            for number, line in enumerate(text.wrap(console, console.width - indent - HANG)):
                line.rstrip()
                margin = indent + HANG if number else indent
                console.print(Padding(line, (0, 0, 0, margin), expand=False))
        return True


def print_json(schema: str, facts: dict[str, Any]) -> None:
    """Write ``facts`` as JSON, beginning with the name of its schema."""
    with quiet_reader():
        print(json.dumps({"schema": schema, **facts}, indent=2, allow_nan=False))


@contextmanager
def quiet_reader() -> Iterator[None]:
    """Write all of what a ``with`` block prints, unless nobody reads it: then be quiet.

    The command's own exit code stands when a reader such as ``head`` has seen enough.

    Raises:
        OutputError: There is no standard output, or no room where it goes.
    """
    if sys.stdout is None:
        raise OutputError("it is closed")
    try:
        if hasattr(sys.stdout, "reconfigure"):  # an encoding without "├" shows a "?"
            sys.stdout.reconfigure(errors="replace")
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        give_up(sys.stdout)
    except OSError as error:
        give_up(sys.stdout)
        raise OutputError(error.strerror or str(error)) from error


def give_up(stream: TextIO | None) -> None:
    """Let what is still buffered go nowhere when the interpreter flushes it at the end.

    It would change the exit code else.
    """
    if stream is not None:
        with suppress(OSError):  # it is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def app_prints_aside() -> Iterator[None]:
    """Send what the app prints in a ``with`` block to the standard error, away from ours.

    That of the processes that it starts, too, and what is written without ``sys.stdout``.
    """
    with redirect_stdout(sys.stderr), _descriptor_aside():
        yield


@contextmanager
def _descriptor_aside() -> Iterator[None]:
    try:
        ours = os.dup(OUTPUT)
    except OSError:  # it is closed: there is nothing to keep clean
        yield
        return
    try:
        with suppress(OSError):  # the other one is closed
            os.dup2(ERROR, OUTPUT)
        yield
    finally:
        os.dup2(ours, OUTPUT)
        os.close(ours)


def short_place(place: str | None) -> str:
    """Write ``file:line`` relative to the working directory where that is shorter."""
    if place is None:
        return "no source"
    try:
        return min(place, relpath(place), key=len)
    except ValueError:  # another drive
        return place


def shortened(text: str) -> str:
    """Write a sentence with files below the working directory named relative to it."""
    return text.replace(os.getcwd() + os.sep, "")  # noqa: PTH109 - a string is wanted


def last_name(receiver: str) -> str:
    """Return the name without the functions it was defined in: its location says where."""
    return receiver.rpartition("<locals>.")[2]
