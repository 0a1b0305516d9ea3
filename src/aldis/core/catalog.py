"""Lists all signals of the process, for people: with unique names, and without addresses."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from typing import Any, Final, NamedTuple

from aldis.core.explain import Row
from aldis.core.namespace import NamedSignal, Namespace, default_namespace, namespaces

__all__ = [
    "FoundSignal",
    "annotation_text",
    "argument_text",
    "known_signals",
    "labelled_namespaces",
    "sender_text",
    "without_addresses",
]

#: The label of the default namespace.
DEFAULT: Final = "aldis.default_namespace"

#: A sender without a name, as ``describe_sender`` shows it.
ADDRESS: Final = re.compile(r"<([^<>]+) at (0x[0-9a-f]+)>")


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


def without_addresses(row: Row) -> Row:
    """Return a row that names its senders without addresses in memory."""
    obstacle = None if row.obstacle is None else sender_text(row.obstacle)
    return row._replace(sender=sender_text(row.sender), obstacle=obstacle)


def sender_text(text: str) -> str:
    """Return a text about a sender with ``module:NAME``, or its type, in place of an address.

    Args:
        text: A text with ``<Branch at 0x7f...>``, from a sender that lives and has no name.
    """
    return ADDRESS.sub(lambda match: _global_at(int(match[2], 16)) or f"<{match[1]}>", text)


def _global_at(address: int) -> str | None:
    """Return ``module:NAME`` of the global whose address this is, the main module's last."""
    for name, module in sorted(sys.modules.items(), key=lambda each: each[0] == "__main__"):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) == address:
                return f"{name}:{attribute}"
    return None


def argument_text(parameter: inspect.Parameter) -> str:
    """Return an argument of a contract, as Python writes it."""
    annotation = annotation_text(parameter)
    text = parameter.name if annotation is None else f"{parameter.name}: {annotation}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {parameter.default!r}"


def annotation_text(parameter: inspect.Parameter) -> str | None:
    """Return the annotation of a parameter as text, or ``None``."""
    if parameter.annotation is parameter.empty:
        return None
    if isinstance(parameter.annotation, str):  # `from __future__ import annotations`
        return parameter.annotation
    return inspect.formatannotation(parameter.annotation)
