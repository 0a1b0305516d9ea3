"""Namespaces and signals by the names that a user knows them by."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import click

from aldis.core import NamedSignal, Namespace, default_namespace, namespaces

__all__ = ["Known", "NameNotFoundError", "find", "known_signals", "labelled", "matching", "unknown"]

#: What most signals' users know the default namespace by.
DEFAULT = "aldis.default_namespace"


class NameNotFoundError(click.ClickException):
    """A name means no signal, or several; the message says what to write instead."""

    exit_code = 2


class Known(NamedTuple):
    """A signal, and the label of its namespace."""

    label: str
    signal: NamedSignal[..., Any]

    @property
    def full_name(self) -> str:
        """The name that no other signal has."""
        return f"{self.label}:{self.signal.name}"


def labelled() -> list[tuple[str, Namespace]]:
    """Return the namespaces that have signals, each with a label of its own.

    The label is the namespace's module and global. One that is no global is its module with a
    question mark, and a number from the second on.
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


def known_signals() -> list[Known]:
    """Return every signal of every namespace."""
    return [
        Known(label, signal) for label, namespace in labelled() for signal in namespace.values()
    ]


def matching(pattern: str) -> list[Known]:
    """Return the signals whose name, or ``namespace:name``, is like ``pattern``.

    Args:
        pattern: As in a shell, with ``*``, ``?`` and ``[…]``; without any of these, a part of the
            name. Upper and lower case are one.
    """
    like = pattern.lower()
    if not any(sign in like for sign in "*?["):
        like = f"*{like}*"
    return [
        known
        for known in known_signals()
        if fnmatchcase((known.full_name if ":" in like else known.signal.name).lower(), like)
    ]


def find(name: str) -> Known:
    """Return the signal called ``name``.

    Args:
        name: A signal's name; ``namespace:name`` where several have it. The end of the namespace's
            label will do, or its module.

    Raises:
        NameNotFoundError: There is none, or more than one; it names the closest, or them all.
    """
    everything = known_signals()
    label, colon, plain = name.rpartition(":")
    found = [
        known
        for known in everything
        if known.signal.name == plain and (not colon or _names(label, known))
    ]
    if not found:
        # A name may have colons of its own.
        found = [known for known in everything if known.signal.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        choices = "".join(f"\n  {known.full_name}" for known in found)
        raise NameNotFoundError(
            f"{len(found)} namespaces have a signal called {name!r}; say which:{choices}"
        )
    raise unknown(name, everything)


def unknown(name: str, everything: list[Known]) -> NameNotFoundError:
    """Return the error which says that no signal is called ``name``, and which is meant."""
    if not everything:
        return NameNotFoundError(
            f"there is no signal {name!r}: the app has no namespace with a signal"
        )
    names = {known.full_name if ":" in name else known.signal.name for known in everything}
    closest = get_close_matches(name, names, n=1, cutoff=0.5)
    if not closest:
        # As many write what is in code where the name has dashes, and the other way round.
        closest = [each for each in sorted(names) if name.lower() in each.lower()][:1]
    hint = f"; did you mean {closest[0]!r}?" if closest else "; `signals list --all` shows them all"
    return NameNotFoundError(f"there is no signal {name!r}{hint}")


def _names(label: str, known: Known) -> bool:
    namespace = known.signal.namespace
    module = None if namespace is None else namespace.__module__
    return known.label == label or known.label.endswith(f".{label}") or module == label
