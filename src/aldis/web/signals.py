"""The signals and receivers of this process, as pages show them."""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any

from aldis.core import ANY
from aldis.core.catalog import (
    FoundSignal,
    argument_text,
    known_signals,
    without_addresses,
)
from aldis.core.explain import Row
from aldis.core.receiver import location

__all__ = ["DurableReceiver", "ShownSignal", "all_signals", "durable_receivers", "signal_at"]


@dataclass(frozen=True, slots=True)
class ShownSignal:
    """A signal as a page shows it.

    Attributes:
        number: Its number in this process, for its URL.
        name: Its name.
        namespace: The label of its namespace.
        doc: Its documentation, or an empty text.
        arguments: The arguments of its contract; ``None`` if it has no contract.
        is_open: Whether it may carry more arguments.
        is_advisory: Whether its sender does not guarantee the arguments.
        rows: Its receivers in the order of the calls.
    """

    number: int
    name: str
    namespace: str
    doc: str
    arguments: list[str] | None
    is_open: bool
    is_advisory: bool
    rows: list[Row]

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation."""
        return self.doc.partition("\n\n")[0].replace("\n", " ")


def all_signals(*, everything: bool) -> dict[str, list[ShownSignal]]:
    """Return the signals by namespace.

    Args:
        everything: Whether to include the signals of libraries without a receiver.
    """
    groups: dict[str, list[ShownSignal]] = {}
    for number, found in enumerate(known_signals()):
        shown = _shown(number, found)
        if everything or shown.rows or not _is_of_library(found):
            groups.setdefault(found.label, []).append(shown)
    return groups


def signal_at(number: int) -> ShownSignal | None:
    """Return the signal with a number, or ``None``."""
    found = dict(enumerate(known_signals())).get(number)
    return None if found is None else _shown(number, found)


def _shown(number: int, found: FoundSignal) -> ShownSignal:
    signal = found.signal
    contract = signal.contract
    return ShownSignal(
        number=number,
        name=str(signal.name),
        namespace=found.label,
        doc=(inspect.getdoc(signal) or "") if signal.documented else "",
        arguments=None
        if contract is None
        else [argument_text(each) for each in contract.payload.values()],
        is_open=contract is not None and contract.open,
        is_advisory=contract is not None and contract.advisory,
        rows=[_local(without_addresses(row)) for row in signal.explain(ANY).rows],
    )


def _is_of_library(found: FoundSignal) -> bool:
    """Tell whether the namespace is a global of an installed library."""
    namespace = found.signal.namespace
    module = sys.modules.get("" if namespace is None else namespace.__module__)
    return "site-packages" in (getattr(module, "__file__", None) or "") or found.label.startswith(
        "aldis."
    )


def _local(row: Row) -> Row:
    return row._replace(
        receiver=row.receiver.rpartition("<locals>.")[2],
        location=None if row.location is None else _relative(row.location),
    )


def _relative(path: str) -> str:
    """Return ``file:line`` relative to the working directory where that is shorter."""
    try:
        return min(path, os.path.relpath(path), key=len)
    except ValueError:  # it is on another drive
        return path


@dataclass(frozen=True, slots=True)
class DurableReceiver:
    """A durable receiver of this process.

    Attributes:
        name: Its name.
        location: ``file:line``.
        signals: The names of its signals.
        attempts: How often a delivery is tried.
        timeout: The time limit of one attempt, in seconds, or ``None``.
        is_ordered: Whether its deliveries have ordering keys.
    """

    name: str
    location: str
    signals: list[str]
    attempts: Any
    timeout: float | None
    is_ordered: bool


def durable_receivers() -> dict[str, DurableReceiver]:
    """Return the durable receivers of this process by name."""
    module: Any = sys.modules.get("aldis.durable.receiver")
    if module is None:
        return {}
    return {
        each.name: DurableReceiver(
            name=each.name,
            location=_relative(location(each) or "no source"),
            signals=each.signals,
            attempts=each.retry.attempts,
            timeout=each.timeout,
            is_ordered=each.key is not None,
        )
        for each in module.all_receivers()
    }
