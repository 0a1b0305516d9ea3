"""Deliveries: options that choose some, and how they are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from aldis.cli._database import (
    DATABASE_OPTIONS,
    durable_receiver_names,
)
from aldis.cli._options import TIMESTAMP, command_with, json_option
from aldis.cli._output import count, duration_text, printable
from aldis.cli._signals import folded_name
from aldis.errors import PayloadMismatchError, UnknownNameError

if TYPE_CHECKING:
    from aldis.cli._store import LiveWorker, StoreClient
    from aldis.durable.types import BreakerState, Delivery, DeliveryFilter, State

__all__ = [
    "FILTERS",
    "LARGEST_ID",
    "DeliveryError",
    "breaker_text",
    "check_receiver",
    "chosen_signal",
    "deliveries_command",
    "delivery_json",
    "due_text",
    "filter_of",
    "filter_options",
    "names_without_deliveries",
    "payload_json",
    "payload_lines",
    "payload_problem",
    "states_of",
    "worker_label",
]

F = TypeVar("F", bound=Callable[..., Any])

#: The largest id that the database can store.
LARGEST_ID: Final = 2**63 - 1

#: The options that choose deliveries, by their names in ``DeliveryFilter``.
FILTERS: Final = {
    "receiver": click.option("--receiver", metavar="NAME", help="Only of this durable receiver."),
    "signal": click.option("--signal", metavar="NAME", help="Only of this signal."),
    "since": click.option(
        "--since", type=TIMESTAMP, help="Only recorded at this time or later: a time, or 12h."
    ),
    "until": click.option("--until", type=TIMESTAMP, help="Only recorded before this time."),
    "error": click.option("--error", metavar="TEXT", help="Only with this text in the error."),
}

#: The depth up to which a payload is shown as data. Parsers of JSON have their own limits.
DEEPEST: Final = 100


class DeliveryError(click.ClickException):
    """The chosen delivery or receiver does not exist, or the command cannot be used on it."""

    exit_code = 2


# -- choose ----------------------------------------------------------------------------------------


def deliveries_command(name: str, short_help: str) -> Callable[[F], click.Command]:
    """Return a decorator for a command that uses deliveries: it names a database, and has JSON."""
    return command_with(name, short_help, *DATABASE_OPTIONS, json_option)


def filter_options(function: F) -> F:
    """Add the options in :data:`FILTERS`."""
    for option in reversed(FILTERS.values()):
        function = option(function)
    return function


def states_of(names: Iterable[str]) -> tuple[State, ...]:
    """Return the states with these names."""
    from aldis.durable.types import State  # noqa: PLC0415 - SQLAlchemy may be missing

    return tuple(State[name] for name in names)


def filter_of(**values: Any) -> DeliveryFilter:
    """Return the filter with these values."""
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - SQLAlchemy may be missing

    return DeliveryFilter(**values)


def check_receiver(store: StoreClient, name: str, advice: str = "") -> None:
    """Check that the app or the database knows a durable receiver.

    Args:
        store: The store with its deliveries.
        name: The receiver's name.
        advice: The end of the message: what to do if the name is right all the same.

    Raises:
        DeliveryError: Neither knows it. The message names the closest one, or some others.
    """
    from aldis.durable.receiver import unknown_receiver  # noqa: PLC0415 - SQLAlchemy may be missing

    stats = store.call(lambda store: store.stats())
    known = durable_receiver_names() | {each.receiver for each in stats}
    if name not in known:
        raise DeliveryError(unknown_receiver(name, known) + advice)


def chosen_signal(store: StoreClient, name: str | None) -> str | None:
    """Return the recorded name of the signal that a user calls ``name``.

    Args:
        store: The store with its deliveries.
        name: The value of ``--signal``: the signal's name in any spelling, or ``namespace:name``.

    Returns:
        The name as it is recorded. If no signal has it, ``name`` itself.

    Raises:
        DeliveryError: Several signals have this name.
    """
    if name is None or _count(store, filter_of(signal=name)):
        return name
    known = store.signals() | connected_signals()
    for each in (name, name.rpartition(":")[2], name.rpartition(".")[2]):
        found = sorted(other for other in known if folded_name(other) == folded_name(each))
        if len(found) > 1:
            choices = " or ".join(f"--signal {printable(other)}" for other in found)
            raise DeliveryError(f"{len(found)} signals are called {name!r}: write {choices}")
        if found:
            return found[0]
    return name


def connected_signals() -> set[str]:
    """Return the names of the signals to which the app's durable receivers are connected."""
    from aldis.durable.receiver import all_receivers  # noqa: PLC0415 - SQLAlchemy may be missing

    return {signal for each in all_receivers() for signal in each.signals}


def names_without_deliveries(store: StoreClient, filters: dict[str, Any]) -> list[str]:
    """Return a line for each name in ``filters`` that no delivery has, in whatever state.

    Args:
        store: The store.
        filters: The values of the options; it may contain others.
    """
    lines = []
    for kind in ("receiver", "signal"):
        name = filters[kind]
        if name is None:
            continue
        if _count(store, filter_of(**{kind: name})):
            continue
        hint = ""
        if kind == "signal":  # the name of a receiver has been checked before
            known = connected_signals() | store.signals()
            closest = get_close_matches(name, known - {name}, n=1)
            hint = f"; did you mean {closest[0]!r}?" if closest else ""
        lines.append(f"No delivery has the {kind} {name!r}{hint or '.'}")
    return lines


def _count(store: StoreClient, chosen: DeliveryFilter) -> int:
    return store.call(lambda store: store.count(chosen))


def payload_problem(delivery: Delivery) -> str | None:
    """Return why a recorded payload does not fit the app's receiver, or ``None`` if it fits.

    Rows that the payload names are not loaded, because a later commit may write them.
    """
    from aldis.durable.receiver import find_receiver  # noqa: PLC0415 - SQLAlchemy may be missing

    try:
        codec = find_receiver(delivery.receiver).codec(delivery.signal)
        if codec is None:
            return (
                f"durable receiver {delivery.receiver!r} is not connected to the signal "
                f"{delivery.signal!r}: connect it, or discard the delivery"
            )
        codec.decode(delivery.payload, _AnyRow())
    except UnknownNameError:  # another result names it
        return None
    except PayloadMismatchError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a type of the app can raise anything
        return f"the payload cannot be read: {type(error).__name__}: {error}"
    return None


class _AnyRow:
    """Stands for the app and for each row that a payload names."""

    def __init__(self) -> None:
        self.app = self

    def load(self, model: type, identity: tuple[Any, ...]) -> Any:  # noqa: ARG002 - any row
        """Return an object in the place of a row."""
        return object.__new__(model)


# -- show ------------------------------------------------------------------------------------------


def delivery_json(delivery: Delivery, worker: str | None) -> dict[str, Any]:
    """Return a delivery without its payload, as the documented schemas have it."""
    return {
        "id": delivery.id,
        "key": delivery.key,
        "emission_id": delivery.emission_id,
        "receiver": delivery.receiver,
        "signal": delivery.signal,
        "state": delivery.state.label,
        "order_key": delivery.order_key,
        "created_at": _iso(delivery.created_at),
        "due_at": _iso(delivery.due_at),
        "finished_at": _iso(delivery.finished_at),
        "attempts": delivery.attempts,
        "lost": delivery.lost_workers,
        "worker": worker,
        "lease": delivery.worker,
        "reason": delivery.reason,
        "cause": delivery.caused_by,
        "traceparent": delivery.traceparent,
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def worker_label(worker: LiveWorker) -> str:
    """Return a worker's name, with a note if its lease has expired."""
    return printable(worker.name) + (" (silent)" if worker.expires_in < 0 else "")


def breaker_text(breaker: BreakerState) -> str:
    """Return why the workers have paused a receiver, and when they try it again."""
    trial = (
        f"in {duration_text(breaker.trial_in)}"
        if breaker.trial_in >= 1
        else "as soon as one is due"
    )
    failed = f" and {count(breaker.trials, 'trial')}" if breaker.trials else ""
    return (
        f"has been paused by the workers for {duration_text(breaker.since)}, after "
        f"{count(breaker.failures, 'failure')} in a row{failed}; they try one delivery {trial}: "
        f"{printable(breaker.reason)}"
    )


def due_text(moment: datetime, now: datetime) -> str:
    """Return when a delivery is due: ``now``, or ``in 5m``."""
    seconds = (moment - now).total_seconds()
    return f"in {duration_text(seconds)}" if seconds >= 1 else "now"


def payload_lines(payload: str) -> list[str]:
    """Return the lines of a payload: indented if it is JSON, else as it is."""
    from msgspec import DecodeError  # noqa: PLC0415 - it comes with SQLAlchemy, which may be missing
    from msgspec.json import format as indented  # noqa: PLC0415 - it comes with SQLAlchemy

    text = payload
    with suppress(DecodeError, RecursionError, UnicodeError):
        text = indented(payload, indent=2)  # numbers stay as they are written
        if any(line.startswith(" " * 2 * DEEPEST) for line in text.splitlines()):
            text = payload
    return [printable(line) for line in text.splitlines()]


def payload_json(payload: str) -> Any:
    """Return a payload as data if every parser of JSON can read it, else as text."""
    try:
        facts = json.loads(payload, parse_constant=_refuse_constant, parse_float=_finite_float)
    except (ValueError, RecursionError):
        return payload
    return payload if _is_deeper(facts, DEEPEST) else facts


def _refuse_constant(constant: str) -> Any:
    raise ValueError(constant)  # Python reads NaN and Infinity, which are not JSON


def _finite_float(number: str) -> float:
    value = float(number)
    return value if isfinite(value) else _refuse_constant(number)


def _is_deeper(facts: Any, levels: int) -> bool:
    inner = [facts]
    for _ in range(levels):
        inner = [
            each
            for outer in inner
            if isinstance(outer, (list, dict))
            for each in (outer if isinstance(outer, list) else outer.values())
        ]
        if not inner:
            return False
    return True
