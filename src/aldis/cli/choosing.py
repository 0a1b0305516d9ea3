"""Which deliveries a command is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from aldis.cli.moments import MOMENT
from aldis.cli.options import json_option
from aldis.cli.outboxes import database_options
from aldis.cli.stores import Desk, receivers_of_the_app

if TYPE_CHECKING:
    from aldis.durable.types import DeliveryFilter, State

__all__ = [
    "LARGEST",
    "ChoiceError",
    "check_receiver",
    "choice_of",
    "choice_options",
    "deliveries_command",
    "never_seen",
]

F = TypeVar("F", bound=Callable[..., Any])

#: The largest number that a delivery can have.
LARGEST: Final = 2**63 - 1

#: What is asked for in :class:`Choice <aldis.durable.types.Choice>`, and the option's name.
FILTERS: Final = ("receiver", "signal", "since", "until", "error")

OPTIONS: Final = (
    click.option("--receiver", metavar="NAME", help="Those of this durable receiver."),
    click.option("--signal", metavar="NAME", help="Those of the signal of this name."),
    click.option("--since", type=MOMENT, help="Those recorded then or later: a time, or 12h."),
    click.option("--until", type=MOMENT, help="Those recorded before then."),
    click.option("--error", metavar="TEXT", help="Those whose error contains this."),
)


class ChoiceError(click.ClickException):
    """What was chosen is not there, or cannot be had done to it; the message says why."""

    exit_code = 2


def deliveries_command(name: str, short_help: str) -> Callable[[F], click.Command]:
    """Return a decorator for a command about deliveries: it names a database, and has JSON."""

    def decorate(function: F) -> click.Command:
        command: click.Command = click.command(name, short_help=short_help)(function)
        shared: Any = database_options(json_option(lambda: None))
        command.params += reversed(shared.__click_params__)  # its own come first in the help
        return command

    return decorate


def choice_options(function: F) -> F:
    """Add the options by which deliveries are chosen: what :func:`choice_of` takes."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def choice_of(
    desk: Desk,
    states: Sequence[State] | None,
    filters: dict[str, Any],
    ids: Sequence[int] | None = None,
) -> DeliveryFilter:
    """Return what the command line chooses.

    Args:
        desk: Where they are.
        states: The states that they may be in; by default any.
        filters: The values of the options; others may be among them.
        ids: Their numbers; by default any.

    Raises:
        ChoiceError: Nobody knows the receiver.
    """
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - it needs SQLAlchemy

    if filters["receiver"] is not None:
        check_receiver(desk, filters["receiver"])
    return DeliveryFilter(ids=ids, states=states, **{name: filters[name] for name in FILTERS})


def check_receiver(desk: Desk, name: str, otherwise: str = "") -> None:
    """Make sure that the app or the database knows a durable receiver of this name.

    Args:
        desk: Where its deliveries may be.
        name: Its name.
        otherwise: What to do if the name is right all the same.

    Raises:
        ChoiceError: Neither does; the message names the closest, or some that there are.
    """
    from aldis.durable.receiver import unknown_receiver  # noqa: PLC0415 - it needs SQLAlchemy

    known = receivers_of_the_app() | {load.receiver for load in desk.loads()}
    if name not in known:
        raise ChoiceError(unknown_receiver(name, known) + otherwise)


def never_seen(desk: Desk, filters: dict[str, Any]) -> list[str]:
    """Return what to say where nothing was found since no delivery at all has such a name.

    Args:
        desk: Where they are.
        filters: The values of the options; others may be among them.
    """
    from aldis.durable.receiver import all_receivers  # noqa: PLC0415 - the same
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - it needs SQLAlchemy

    lines = []
    for what in ("receiver", "signal"):
        name = filters[what]
        if name is None or desk.count(DeliveryFilter(**{what: name})):
            continue
        hint = ""
        if what == "signal":  # a receiver's name has been looked up before
            known = {signal for each in all_receivers() for signal in each.signals}
            closest = get_close_matches(name, known - {name}, n=1)
            hint = f"; did you mean {closest[0]!r}?" if closest else ""
        lines.append(f"No delivery at all has the {what} {name!r}{hint or '.'}")
    return lines
