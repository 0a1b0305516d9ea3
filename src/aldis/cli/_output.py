"""Output: styled by rich on a terminal, plain text in a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from os.path import relpath
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, Final, TextIO, TypeAlias

import click

from aldis.core.text import printable

__all__ = [
    "INDENT",
    "OutputError",
    "Report",
    "Styled",
    "app_prints_to_stderr",
    "count",
    "duration_text",
    "local_name",
    "printable",
    "redirect_to_devnull",
    "relative_location",
    "relative_paths",
    "write_json",
    "writing",
]

#: A piece of a line: plain text, or text and its style.
Styled: TypeAlias = str | tuple[str, str]

INDENT: Final = 2

#: Seconds in each unit of time, the longest first.
UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}

STDOUT: Final = 1
STDERR: Final = 2

#: How much further the continuation of a wrapped line is indented.
HANG: Final = 2

#: A table's column is not wider than this: one long cell must not pad all the others.
WIDEST: Final = 190


class OutputError(click.ClickException):
    """The standard output cannot be written."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(f"the standard output cannot be written: {reason}")


class Report:
    """Lines for people, collected first and then printed at once."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, list[tuple[str, str]]]] = []

    def line(self, *parts: Styled, indent: int = 0) -> None:
        """Add a line; without parts, an empty line.

        Args:
            *parts: Text, or text with a style that rich knows.
            indent: How many spaces the line is indented, its continuation included.
        """
        styled = [(part, "") if isinstance(part, str) else part for part in parts]
        styled = [(printable(text), style) for text, style in styled]
        self._lines.append((indent, styled))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Styled]]) -> None:
        """Add a table; columns of numbers are aligned on the right."""
        rows = [[_printable(cell) for cell in row] for row in rows]  # before the widths
        columns = [[_text(row[number]) for row in rows] for number in range(len(head))]
        right = [all(_is_number(each) for each in column) for column in columns]
        widths = [
            max(len(text) for text in (name, *column) if len(text) <= max(WIDEST, len(name)))
            for name, column in zip(head, columns, strict=True)
        ]
        for row in ([(name, "dim") for name in head], *rows):
            self.line(*_padded(row, widths, right))

    def print(self) -> None:
        """Write the lines to the standard output; wrap them only on a terminal."""
        with writing():
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
            from rich.console import Console  # noqa: PLC0415 - rich is optional
            from rich.padding import Padding  # noqa: PLC0415 - rich is optional
            from rich.text import Text  # noqa: PLC0415 - rich is optional
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


def _padded(
    row: Sequence[Styled], widths: Sequence[int], right: Sequence[bool]
) -> Iterator[Styled]:
    for cell, width, on_the_right in zip(row, widths, right, strict=True):
        text = _text(cell)
        style = "" if isinstance(cell, str) else cell[1]
        yield (text.rjust(width) if on_the_right else text.ljust(width)), style
        yield "  "


def _is_number(text: str) -> bool:
    return text.replace(",", "").isdigit()


def _printable(cell: Styled) -> Styled:
    return printable(cell) if isinstance(cell, str) else (printable(cell[0]), cell[1])


def _text(cell: Styled) -> str:
    return cell if isinstance(cell, str) else cell[0]


def write_json(schema: str, facts: dict[str, Any]) -> None:
    """Write ``facts`` as a JSON object that begins with the name of its schema."""
    with writing():
        print(json.dumps({"schema": schema, **facts}, indent=2, allow_nan=False))


# -- the streams -----------------------------------------------------------------------------------


@contextmanager
def writing() -> Iterator[None]:
    """Write everything that a ``with`` block prints.

    A reader such as ``head`` may stop early. The command then ends quietly with its own exit code.

    Raises:
        OutputError: The standard output is closed, or its device is full.
    """
    if sys.stdout is None:
        raise OutputError("it is closed")
    try:
        if hasattr(sys.stdout, "reconfigure"):  # an encoding without "├" shows a "?"
            sys.stdout.reconfigure(errors="replace")
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        redirect_to_devnull(sys.stdout)
    except OSError as error:
        redirect_to_devnull(sys.stdout)
        raise OutputError(error.strerror or str(error)) from error


def redirect_to_devnull(stream: TextIO | None) -> None:
    """Discard the buffered text of ``stream``.

    The interpreter flushes the stream at exit. If that failed, the exit code would change.
    """
    if stream is not None:
        with suppress(OSError):  # it is not a file
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def app_prints_to_stderr() -> Iterator[None]:
    """Send what the app prints in a ``with`` block to the standard error.

    The block redirects the descriptor, too: the app may start processes.
    """
    with redirect_stdout(sys.stderr), _stdout_to_stderr():
        yield


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    try:
        saved = os.dup(STDOUT)
    except OSError:  # the standard output is closed
        yield
        return
    try:
        with suppress(OSError):  # the standard error is closed
            os.dup2(STDERR, STDOUT)
        yield
    finally:
        os.dup2(saved, STDOUT)
        os.close(saved)


# -- pieces of text --------------------------------------------------------------------------------


def count(number: int, noun: str) -> str:
    """Return ``1 signal`` or ``2 signals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest unit: ``45s``, ``12m``, ``3h``, ``5d``."""
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def relative_location(location: str | None) -> str:
    """Return ``file:line`` relative to the working directory where that is shorter."""
    if location is None:
        return "no source"
    try:
        return min(location, relpath(location), key=len)
    except ValueError:  # it is on another drive
        return location


def relative_paths(sentence: str) -> str:
    """Return a sentence with the files below the working directory named relative to it."""
    return sentence.replace(os.getcwd() + os.sep, "")  # noqa: PTH109 - a string is wanted


def local_name(receiver: str) -> str:
    """Return a receiver's name without the functions that enclose it."""
    return receiver.rpartition("<locals>.")[2]
