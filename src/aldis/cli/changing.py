"""How a command changes deliveries: it asks, shows how far it is, can be stopped, and reports."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import click

from aldis.cli.output import Page, print_json

__all__ = ["Change", "How", "carry_out", "how_of", "how_options"]

F = TypeVar("F", bound=Callable[..., Any])

#: What a command ends with that was interrupted; what it has done stays done.
INTERRUPTED: Final = 130


class Change(NamedTuple):
    """What a command does to deliveries.

    Attributes:
        verb: In the imperative.
        done: In the past.
        one: What one of them is called.
        several: What several are called.
    """

    verb: str
    done: str
    one: str = "delivery"
    several: str = "deliveries"

    def of(self, number: int) -> str:
        """Write a number of them."""
        return f"{number:,} {self.one if number == 1 else self.several}"


class How(NamedTuple):
    """What the command line says of how to do it."""

    dry_run: bool
    yes: bool
    as_json: bool


def how_options(function: F) -> F:
    """Add the options ``--yes`` and ``--dry-run``."""
    function = click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)
    return click.option("--dry-run", is_flag=True, help="Only count.")(function)


def how_of(options: dict[str, Any]) -> How:
    """Take what :class:`How` says out of the options."""
    return How(*(options.pop(name) for name in How._fields))


def carry_out(
    change: Change,
    total: int,
    begin: Callable[[], Iterator[int]],
    how: How,
    notes: Sequence[str] = (),
    *,
    always_ask: bool = False,
) -> int:
    """Ask, do it batch after batch, and say what was done, and the notes; return the exit code."""
    done = 0
    stopped = False
    must_ask = not how.yes and not how.dry_run and (total > 1 or (total > 0 and always_ask))
    refused = must_ask and not _may(change, total)
    if total and not how.dry_run and not refused:
        with _told_to_stop() as signals, _progress(change, total) as advance:
            for number in begin():
                done += number
                advance(number)
                if signals:
                    stopped = done < total
                    break
    if how.as_json:
        facts = {"chosen": total, change.done: done, "interrupted": stopped}
        print_json(f"aldis-deliveries-{change.verb}/1", facts)
        return INTERRUPTED if stopped else 0
    page = Page()
    if refused:
        page.line("Nothing was changed.")
    elif how.dry_run:
        page.line(f"{change.of(total)} would be {change.done}.")
    elif stopped:
        page.line(
            ("Interrupted: ", "bold yellow"),
            f"{done:,} of {change.of(total)} are {change.done}, the others are as they were.",
        )
    else:
        page.line(f"{change.of(done)} {change.done}.")
    for note in notes:
        page.line(note)
    page.print()
    return INTERRUPTED if stopped else 0


def _may(change: Change, total: int) -> bool:
    """Ask whether to do it to so many.

    Raises:
        UsageError: There is nobody to ask.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(
            f"to {change.verb} {change.of(total)} without being asked, say --yes; nothing was "
            "changed"
        )
    return click.confirm(f"{change.verb.capitalize()} {change.of(total)}?", err=True)


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM in a list; a second Ctrl-C interrupts as ever."""
    told: list[int] = []

    def note(number: int, _: Any) -> None:
        told.append(number)
        if len(told) > 1:
            raise KeyboardInterrupt

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _progress(change: Change, total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar, where there is a terminal and rich; what it yields moves it on."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - optional
        from rich.progress import Progress  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(change.verb, total=total)
        yield lambda number: progress.advance(bar, number)
