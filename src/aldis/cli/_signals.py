"""Signals and their receivers: by name, as data for programs, and as lines for people."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import click

from aldis.cli._output import INDENT, Report, Styled, local_name, relative_location
from aldis.core import ANY, Contract, NamedSignal
from aldis.core.catalog import (
    FoundSignal,
    annotation_text,
    argument_text,
    known_signals,
    labelled_namespaces,
    sender_text,
    without_addresses,
)
from aldis.core.explain import Row
from aldis.core.frames import is_hidden
from aldis.core.receiver import binder_of, name_of

__all__ = [
    "FoundReceiver",
    "FoundSignal",
    "UnknownSignalError",
    "find_signal",
    "folded_name",
    "known_signals",
    "labelled_namespaces",
    "matching_signals",
    "receivers_of",
    "sender_text",
    "show_receivers",
    "show_signal",
    "signal_json",
    "unknown_signal",
]


class UnknownSignalError(click.ClickException):
    """A name stands for no signal, or for several."""

    exit_code = 2


# -- by name ---------------------------------------------------------------------------------------


def matching_signals(pattern: str) -> list[FoundSignal]:
    """Return the signals that ``pattern`` matches by name, or by the name of a receiver.

    Args:
        pattern: A shell pattern with ``*``, ``?`` and ``[...]``. Without any of these, it is a part
            of the name. A pattern with a colon is compared with ``namespace:name``. Case does not
            matter, and ``-``, ``_`` and blanks are equal.
    """
    matches = _matcher(pattern)
    found = []
    for each in known_signals():
        name = each.full_name if ":" in pattern else each.signal.name
        if matches(name) or any(map(matches, _receiver_names(each.signal))):
            found.append(each)
    return found


def _matcher(pattern: str) -> Callable[[str], bool]:
    pattern = pattern.strip()
    if not any(sign in pattern for sign in "*?["):
        pattern = f"*{pattern}*"
    lower, folded = pattern.lower(), _folded_pattern(pattern)
    return lambda name: fnmatchcase(name.lower(), lower) or fnmatchcase(folded_name(name), folded)


def _folded_pattern(pattern: str) -> str:
    """Fold a pattern, except the sets of characters in it, where a dash means a range."""
    parts = re.split(r"(\[[^]]*\])", pattern)
    return "".join(part if number % 2 else _fold(part) for number, part in enumerate(parts)).lower()


def folded_name(name: str) -> str:
    """Return the form in which the command line compares names."""
    return _fold(name.strip()).casefold()


def _fold(text: str) -> str:
    return re.sub(r"[-_\s]+", "_", text)


def _receiver_names(signal: NamedSignal[..., Any]) -> set[str]:
    """Return the names under which users know the receivers of ``signal``."""
    names = set()
    for receiver in signal._living_receivers():  # noqa: SLF001 - part of aldis
        if is_hidden(receiver):
            continue
        names.add(local_name(name_of(receiver)))
        names.update(getattr(binder_of(receiver), "names", ()))  # of a durable receiver
    return names


def find_signal(name: str) -> FoundSignal:
    """Return the signal that a user calls ``name``.

    Args:
        name: A signal's name, the name of one of its receivers, or ``namespace:name``. The
            namespace's label, the beginning or end of its label, or a module that has the signal as
            a global will do, and a dot in place of the colon. Case does not matter, and ``-``,
            ``_`` and blanks are equal.

    Raises:
        UnknownSignalError: No signal, or more than one, has this name. The message names the
            closest one, or all of them.
    """
    everything = known_signals()
    for search in (_named, _named_with_namespace, _named_as_global, _with_receiver):
        found = search(name, everything)
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(name, found)
    raise unknown_signal(name, everything)


def _named(name: str, everything: list[FoundSignal]) -> list[FoundSignal]:
    found = [each for each in everything if each.signal.name == name]
    if found:
        return found
    folded = folded_name(name)
    return [each for each in everything if folded_name(each.signal.name) == folded]


def _named_with_namespace(name: str, everything: list[FoundSignal]) -> list[FoundSignal]:
    for separator in ":.":
        label, found_one, plain = name.rpartition(separator)
        if found_one:
            inside = [each for each in everything if _is_labelled(each, label.strip())]
            found = _named(plain, inside)
            if found:
                return found
    return []


def _named_as_global(name: str, everything: list[FoundSignal]) -> list[FoundSignal]:
    """Find ``module:NAME`` and ``module.NAME``, if the app has imported the module."""
    module, _, attribute = name.strip().replace(":", ".").rpartition(".")
    value = getattr(sys.modules.get(module), attribute, None)
    return [each for each in everything if each.signal is value]


def _with_receiver(name: str, everything: list[FoundSignal]) -> list[FoundSignal]:
    folded = folded_name(name)
    return [
        each
        for each in everything
        if folded in {folded_name(receiver) for receiver in _receiver_names(each.signal)}
    ]


def _ambiguous(name: str, found: list[FoundSignal]) -> UnknownSignalError:
    choices = "".join(f"\n  {each.full_name}" for each in found)
    if _with_receiver(name, found) == found and not _named(name, found):
        problem = f"{name!r} is a receiver of {len(found)} signals"
    elif len({each.signal.name for each in found}) > 1:
        problem = f"{len(found)} signals are called {name!r}"
    else:
        problem = f"{len(found)} namespaces have a signal {name!r}"
    return UnknownSignalError(f"{problem}; choose one of:{choices}")


def unknown_signal(name: str, everything: list[FoundSignal]) -> UnknownSignalError:
    """Return the error for a name that neither a signal nor a receiver has.

    The message names the closest signal or receiver.
    """
    if not everything:
        return UnknownSignalError(
            f"unknown signal {name!r}: the app has no namespace with a signal"
        )
    signals = {each.full_name if ":" in name else each.signal.name for each in everything}
    receivers = set().union(*(_receiver_names(each.signal) for each in everything))
    for names in (signals, receivers):
        closest = _closest(name, names)
        if closest is not None:
            return UnknownSignalError(f"unknown signal {name!r}; did you mean {closest!r}?")
    return UnknownSignalError(f"unknown signal {name!r}; `aldis signals list --all` lists them all")


def _closest(name: str, names: set[str]) -> str | None:
    """Return the most similar name, or the first one that contains ``name``."""
    by_folded = {folded_name(each): each for each in sorted(names, reverse=True)}
    folded = folded_name(name)
    closest = get_close_matches(folded, by_folded, n=1, cutoff=0.5)
    if not closest:
        closest = sorted(each for each in by_folded if folded in each)[:1]
    return by_folded[closest[0]] if closest else None


def _is_labelled(each: FoundSignal, label: str) -> bool:
    namespace = each.signal.namespace
    known = {each.label, "" if namespace is None else namespace.__module__}
    dotted = f".{label.casefold()}."
    return any(f".{other.casefold()}.".startswith(dotted) for other in known) or any(
        f".{other.casefold()}.".endswith(dotted) for other in known
    )


# -- as data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundReceiver:
    """A receiver of a signal.

    Attributes:
        row: Its row in ``Signal.explain``.
        plugins: The plugins that connected it.
    """

    row: Row
    plugins: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return the receiver as the documented schemas have it."""
        file, _, line = (self.row.location or "").rpartition(":")
        return {
            "receiver": self.row.receiver,
            "file": file or None,
            "line": int(line) if file else None,
            "sender": self.row.sender,
            "strength": self.row.strength,
            "delivery": self.row.delivery,
            "dispatch_uid": self.row.dispatch_uid,
            "async": self.row.is_async,
            "plugins": list(self.plugins),
        }


def receivers_of(signal: NamedSignal[..., Any], sender: Any = ANY) -> list[FoundReceiver]:
    """Return the receivers of ``signal`` in connection order, as ``explain(sender)`` sees them."""
    rows = signal.explain(sender).rows
    plugins = _plugins_of(signal)
    if len(plugins) != len(rows):  # a receiver died between the two lines above
        plugins = [()] * len(rows)
    return [
        FoundReceiver(without_addresses(row), names)
        for row, names in zip(rows, plugins, strict=True)
    ]


def _plugins_of(signal: NamedSignal[..., Any]) -> list[tuple[str, ...]]:
    """Return the names of each receiver's plugins; an empty list if the app loaded no plugins."""
    if "aldis.plugins" not in sys.modules:  # pluggy may be missing
        return []
    from aldis.plugins import origins  # noqa: PLC0415 - pluggy may be missing

    return [origin.plugins for origin in origins(signal)]


def signal_json(found: FoundSignal) -> dict[str, Any]:
    """Return a signal without its receivers, as the documented schemas have it."""
    signal = found.signal
    return {
        "name": signal.name,
        "doc": inspect.getdoc(signal) if signal.documented else None,
        "contract": None if signal.contract is None else _contract_json(signal.contract),
    }


def _contract_json(contract: Contract) -> dict[str, Any]:
    return {
        "arguments": [
            {
                "name": name,
                "annotation": annotation_text(parameter),
                "required": name in contract.required,
            }
            for name, parameter in contract.payload.items()
        ],
        "open": contract.open,
        "advisory": contract.advisory,
        "mutable": contract.mutable,
    }


# -- as lines --------------------------------------------------------------------------------------


def show_signal(
    report: Report, signal: NamedSignal[..., Any], note: str = "", indent: int = INDENT
) -> None:
    """Add a signal's name with a note, the first paragraph of its documentation, its contract."""
    report.line((signal.name, "bold cyan"), (note, "dim"), indent=indent)
    doc = inspect.getdoc(signal) if signal.documented else None
    if doc:
        report.line(doc.partition("\n\n")[0].replace("\n", " "), indent=indent + INDENT)
    contract = signal.contract
    if contract is None:
        return
    arguments = [argument_text(parameter) for parameter in contract.payload.values()]
    if contract.open:
        arguments.append("and more")
    kind = "carries (advisory) " if contract.advisory else "carries "
    report.line((kind + (", ".join(arguments) or "nothing"), "green"), indent=indent + INDENT)


def show_receivers(report: Report, receivers: list[FoundReceiver], indent: int = INDENT) -> None:
    """Add the receivers in order: a number for each that runs, the reason for each other one."""
    number = 0
    for each in receivers:
        row = each.row
        number += row.runs
        report.line(
            (f"{number:>2}. " if row.runs else " -  ", "bold" if row.runs else "dim"),
            (local_name(row.receiver), "bold" if row.runs else "dim"),
            (f"  {relative_location(row.location)}", "dim"),
            indent=indent,
        )
        report.line(*_details(each), indent=indent + 4)
        if row.obstacle:
            report.line((f"not called: {row.obstacle}", "yellow"), indent=indent + 4)


def _details(each: FoundReceiver) -> list[Styled]:
    row = each.row
    details: list[Styled] = [f"for {row.sender}, {row.strength}"]
    if row.is_async:
        details += [", ", ("async", "magenta")]
    if row.delivery != "plain":
        details += [", ", (row.delivery, "magenta")]
    if row.dispatch_uid:
        details.append(f", dispatch_uid {row.dispatch_uid}")
    if each.plugins:
        details += [", from plugin ", (" and ".join(each.plugins), "magenta")]
    return details
