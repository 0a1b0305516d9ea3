"""Signals and their receivers: by name, as data for programs, and as lines for people."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import click

from aldis.cli._output import INDENT, Report, Styled, local_name, relative_location
from aldis.core import ANY, Contract, NamedSignal, Namespace, default_namespace, namespaces
from aldis.core.explain import Row

__all__ = [
    "FoundReceiver",
    "FoundSignal",
    "UnknownSignalError",
    "find_signal",
    "known_signals",
    "labelled_namespaces",
    "matching_signals",
    "receivers_of",
    "show_receivers",
    "show_signal",
    "signal_json",
    "unknown_signal",
]

#: The label of the default namespace.
DEFAULT: Final = "aldis.default_namespace"


class UnknownSignalError(click.ClickException):
    """A name stands for no signal, or for several."""

    exit_code = 2


# -- by name ---------------------------------------------------------------------------------------


class FoundSignal(NamedTuple):
    """A signal, and the label of its namespace."""

    label: str
    signal: NamedSignal[..., Any]

    @property
    def full_name(self) -> str:
        """The name that no other signal has."""
        return f"{self.label}:{self.signal.name}"


def labelled_namespaces() -> list[tuple[str, Namespace]]:
    """Return the namespaces that have signals, each with a unique label.

    A label is ``module.global``. If the namespace is not a global, the label is its module with a
    question mark, and a number from the second one on.
    """
    seen: Counter[str] = Counter()
    found = []
    for namespace in namespaces():
        if not namespace:
            continue
        label = f"{namespace.__module__}.{namespace.home or '?'}"
        if namespace is default_namespace:
            label = DEFAULT
        seen[label] += 1
        found.append((label if seen[label] == 1 else f"{label}{seen[label]}", namespace))
    return found


def known_signals() -> list[FoundSignal]:
    """Return every signal of every namespace."""
    return [
        FoundSignal(label, signal)
        for label, namespace in labelled_namespaces()
        for signal in namespace.values()
    ]


def matching_signals(pattern: str) -> list[FoundSignal]:
    """Return the signals whose name matches ``pattern``, or whose ``namespace:name`` does.

    Args:
        pattern: A shell pattern with ``*``, ``?`` and ``[…]``. Without any of these, it is a part
            of the name. The case of letters does not matter.
    """
    lower = pattern.lower()
    if not any(sign in lower for sign in "*?["):
        lower = f"*{lower}*"
    return [
        each
        for each in known_signals()
        if fnmatchcase((each.full_name if ":" in lower else each.signal.name).lower(), lower)
    ]


def find_signal(name: str) -> FoundSignal:
    """Return the signal called ``name``.

    Args:
        name: A signal's name, or ``namespace:name`` if several namespaces have the name. The
            namespace's label, the end of its label or its module will do.

    Raises:
        UnknownSignalError: No signal, or more than one, has this name. The message names the
            closest one, or all of them.
    """
    everything = known_signals()
    label, colon, plain = name.rpartition(":")
    found = [
        each
        for each in everything
        if each.signal.name == plain and (not colon or _is_labelled(each, label))
    ]
    if not found:
        # A name may contain colons.
        found = [each for each in everything if each.signal.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        choices = "".join(f"\n  {each.full_name}" for each in found)
        raise UnknownSignalError(
            f"{len(found)} namespaces have a signal {name!r}; choose one of:{choices}"
        )
    raise unknown_signal(name, everything)


def unknown_signal(name: str, everything: list[FoundSignal]) -> UnknownSignalError:
    """Return the error for a name that no signal has, with the closest name."""
    if not everything:
        return UnknownSignalError(
            f"there is no signal {name!r}: the app has no namespace with a signal"
        )
    names = {each.full_name if ":" in name else each.signal.name for each in everything}
    closest = get_close_matches(name, names, n=1, cutoff=0.5)
    if not closest:
        # A part of a name is meant for that name.
        closest = [each for each in sorted(names) if name.lower() in each.lower()][:1]
    hint = f"; did you mean {closest[0]!r}?" if closest else "; `signals list --all` lists them all"
    return UnknownSignalError(f"there is no signal {name!r}{hint}")


def _is_labelled(each: FoundSignal, label: str) -> bool:
    namespace = each.signal.namespace
    module = None if namespace is None else namespace.__module__
    return each.label == label or each.label.endswith(f".{label}") or module == label


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
            "async": self.row.is_async,
            "plugins": list(self.plugins),
        }


def receivers_of(signal: NamedSignal[..., Any], sender: Any = ANY) -> list[FoundReceiver]:
    """Return the receivers of ``signal`` in connection order, as ``explain(sender)`` sees them."""
    rows = signal.explain(sender).rows
    plugins = _plugins_of(signal)
    if len(plugins) != len(rows):  # a receiver died between the two lines above
        plugins = [()] * len(rows)
    return [FoundReceiver(row, names) for row, names in zip(rows, plugins, strict=True)]


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
                "annotation": _annotation(parameter),
                "required": name in contract.required,
            }
            for name, parameter in contract.payload.items()
        ],
        "open": contract.open,
        "advisory": contract.advisory,
        "mutable": contract.mutable,
    }


def _annotation(parameter: inspect.Parameter) -> str | None:
    if parameter.annotation is parameter.empty:
        return None
    if isinstance(parameter.annotation, str):  # `from __future__ import annotations`
        return parameter.annotation
    return inspect.formatannotation(parameter.annotation)


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
    arguments = [_argument_text(parameter) for parameter in contract.payload.values()]
    if contract.open:
        arguments.append("and more")
    kind = "carries (advisory) " if contract.advisory else "carries "
    report.line((kind + (", ".join(arguments) or "nothing"), "green"), indent=indent + INDENT)


def _argument_text(parameter: inspect.Parameter) -> str:
    annotation = _annotation(parameter)
    text = parameter.name if annotation is None else f"{parameter.name}: {annotation}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {parameter.default!r}"


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
    if each.plugins:
        details += [", from plugin ", (" and ".join(each.plugins), "magenta")]
    return details
