"""Output: styled by rich on a terminal, plain text in a pipe, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from os.path import relpath
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, Final, NamedTuple, TextIO, TypeAlias

import click

from aldis.core.text import encodable, printable, shortened

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
    "short_repr",
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


#: How many characters of a value are shown in a message.
WIDEST_VALUE: Final = 60


class OutputError(click.ClickException):
    """The standard output cannot be written."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(f"the standard output cannot be written: {reason}")


class Line(NamedTuple):
    """A line of a report.

    Attributes:
        parts: Its texts, each with a style.
        indent: How many spaces it is indented.
        width: The width at which it is wrapped in a pipe, too, or ``None``.
    """

    parts: list[tuple[str, str]]
    indent: int = 0
    width: int | None = None


class Table(NamedTuple):
    """A table of a report. The names of its columns stand in the head."""

    head: Sequence[str]
    rows: Sequence[Sequence[tuple[str, str]]]

    def lines(self, width: int | None) -> list[Line]:
        """Return the lines of the table, in columns if these fit ``width``, else a line a row."""
        columns = [[text for text, _ in column] for column in zip(*self.rows, strict=True)]
        widths = [
            max(len(text) for text in (name, *column) if len(text) <= max(WIDEST, len(name)))
            for name, column in zip(self.head, columns, strict=True)
        ]
        if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
            return [Line(list(self._labelled(row)), 0, width) for row in self.rows]
        right = [all(map(_is_number, column)) for column in columns]
        head = [(name, "dim") for name in self.head]
        return [Line(list(_padded(row, widths, right))) for row in (head, *self.rows)]

    def _labelled(self, row: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Yield the cells of a row with the names of their columns; leave out empty cells."""
        (first, style), *cells = row
        yield first, style
        separator = "  "
        for name, (text, style) in zip(self.head[1:], cells, strict=True):
            if text:
                yield f"{separator}{name}{' ' if name else ''}", "dim"
                yield text, style
                separator = ", "


class Report:
    """Lines and tables for people, collected first and then printed at once."""

    def __init__(self) -> None:
        self._items: list[Line | Table] = []

    def line(self, *parts: Styled, indent: int = 0) -> None:
        """Add a line; without parts, an empty line.

        Args:
            *parts: Text, or text with a style that rich knows.
            indent: How many spaces the line is indented, its continuation included.
        """
        self._items.append(Line([_printable(part) for part in parts], indent))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Styled]]) -> None:
        """Add a table with at least one row; columns of numbers are aligned on the right."""
        cells = [[_printable(cell) for cell in row] for row in rows]
        self._items.append(Table([printable(name) for name in head], cells))

    def print(self) -> None:
        """Write everything to the standard output.

        Lines are wrapped only on a terminal. If a table is wider than the terminal, or than
        ``COLUMNS`` in a pipe, each row becomes a line with the names of the columns in it.
        """
        with writing():
            if not sys.stdout.isatty():
                self._print_plain(self._lines(_columns_variable()), None)
                return
            width = get_terminal_size().columns
            lines = self._lines(width)
            if not self._print_rich(lines):
                self._print_plain(lines, width)

    def _lines(self, width: int | None) -> list[Line]:
        encoding = getattr(sys.stdout, "encoding", None)
        return [
            line._replace(parts=[(encodable(text, encoding), style) for text, style in line.parts])
            for item in self._items
            for line in (item.lines(width) if isinstance(item, Table) else [item])
        ]

    @staticmethod
    def _print_plain(lines: list[Line], width: int | None) -> None:
        for parts, indent, own_width in lines:
            text = "".join(text for text, _ in parts)
            wrapped = [text]
            if limit := width or own_width:
                wrapped = wrap(text, max(20, limit - indent - HANG), break_on_hyphens=False) or [""]
            for number, line in enumerate(wrapped):
                margin = indent + HANG if number else indent
                print(f"{' ' * margin}{line}".rstrip())

    @staticmethod
    def _print_rich(lines: list[Line]) -> bool:
        try:
            from rich.console import Console  # noqa: PLC0415 - rich is optional
            from rich.padding import Padding  # noqa: PLC0415 - rich is optional
            from rich.text import Text  # noqa: PLC0415 - rich is optional
        except ModuleNotFoundError:
            return False
        console = Console(highlight=False, no_color=True if os.environ.get("NO_COLOR") else None)
        for parts, indent, _ in lines:
            text = Text.assemble(*parts)
            if not text:
                console.print()
            for number, line in enumerate(text.wrap(console, console.width - indent - HANG)):
                line.rstrip()
                margin = indent + HANG if number else indent
                console.print(Padding(line, (0, 0, 0, margin), expand=False))
        return True


def _columns_variable() -> int | None:
    """Return the width that the variable ``COLUMNS`` asks for, or ``None`` without one."""
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isdecimal() and int(text) else None


def _padded(
    row: Sequence[tuple[str, str]], widths: Sequence[int], right: Sequence[bool]
) -> Iterator[tuple[str, str]]:
    for (text, style), width, on_the_right in zip(row, widths, right, strict=True):
        yield (text.rjust(width) if on_the_right else text.ljust(width)), style
        yield "  ", ""


def _is_number(text: str) -> bool:
    return text.replace(",", "").isdigit()


def _printable(part: Styled) -> tuple[str, str]:
    """Return the text of ``part`` without control characters, and its style."""
    text, style = (part, "") if isinstance(part, str) else part
    return printable(text), style


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
        if hasattr(sys.stdout, "reconfigure"):  # the encoding may lack a character
            sys.stdout.reconfigure(errors="backslashreplace")
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


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Return ``1 signal`` or ``2 signals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or noun + 's'}"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest unit: ``45s``, ``12m``, ``3h``, ``5d``."""
    for unit, size in UNITS.items():
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def short_repr(value: object) -> str:
    """Return the beginning of the ``repr`` of ``value``, without an address in memory."""
    text = re.sub(r"(?: object)? at 0x[0-9a-fA-F]+", "", repr(value))
    return printable(shortened(text, WIDEST_VALUE))


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
