"""Which durable receivers there are, by name: the name outlives the function's."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from aldis.core.callables import in_words
from aldis.core.process import ForkSafeLock
from aldis.errors import DurableNameError, UnknownReceiverError

if TYPE_CHECKING:
    from aldis.durable.receiver import Durable

__all__ = [
    "NAME_LENGTH",
    "add",
    "all_receivers",
    "check_name",
    "find",
    "forget",
    "known",
    "restore",
]

#: How long the name of a durable receiver, of a signal, and a key may be, in characters.
NAME_LENGTH: Final = 190

#: How many receivers are named to somebody who has guessed wrong.
SOME: Final = 5

_receivers: dict[str, Durable[..., Any]] = {}
_changing = ForkSafeLock()


def check_name(name: object, what: str = "a durable receiver's name") -> str:
    """Return ``name`` if it can be written into a database and found again.

    Raises:
        DurableNameError: It cannot.
    """
    if not isinstance(name, str):
        message = f"{what} is text, such as 'billing.receipt', not {name!r}"
        raise DurableNameError(message)
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or name != name.strip():
        message = (
            f"{what} has 1 to {NAME_LENGTH} printable characters and no space around them, not "
            f"{name[:60]!r}"
        )
        raise DurableNameError(message)
    return name


def add(receiver: Durable[..., Any]) -> None:
    """Make ``receiver`` known by its name and its aliases.

    The same function again takes the place of the one before: an app factory may run many times.

    Raises:
        DurableNameError: Another function has one of the names.
    """
    with _changing.of_this_process():
        for name in receiver.names:
            other = _receivers.get(name)
            if other is not None and not receiver.is_again(other):
                message = (
                    f"there are two durable receivers {name!r}: {in_words(other)} and "
                    f"{in_words(receiver)}; a name is the identity of one, also after a restart"
                )
                raise DurableNameError(message)
        for name in receiver.names:
            _receivers[name] = receiver


def find(name: str) -> Durable[..., Any]:
    """Return the receiver with this name or alias.

    Raises:
        UnknownReceiverError: There is none.
    """
    receiver = _receivers.get(name)
    if receiver is None:
        raise UnknownReceiverError(unknown(name, _receivers))
    return receiver


def unknown(name: str, names: Iterable[str]) -> str:
    """Return in words that nobody is called ``name``, and who nearly is, or who there is."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1)
    if close:
        hint = f"; did you mean {close[0]!r}?"
    elif known:
        more = f" and {len(known) - SOME} more" if len(known) > SOME else ""
        # As Python writes them: they may come from a database, and this goes to a terminal.
        hint = f"; there are {', '.join(map(repr, known[:SOME]))}{more}"
    else:
        hint = "; there is none at all"
    return f"there is no durable receiver {name!r}{hint}"


def known() -> dict[str, Durable[..., Any]]:
    """Return the receivers by name and alias."""
    return dict(_receivers)


def all_receivers() -> list[Durable[..., Any]]:
    """Return each receiver once, by name."""
    return sorted({*_receivers.values()}, key=lambda receiver: receiver.name)


def restore(before: Mapping[str, Durable[..., Any]], keep: Container[int]) -> None:
    """Have the receivers of ``before`` again, and no other, as at the end of a test.

    Args:
        before: By name and alias: what :func:`known` has returned.
        keep: The identities of receivers that stay nevertheless.
    """
    with _changing.of_this_process():
        for name, receiver in list(_receivers.items()):
            if name not in before and id(receiver) not in keep:
                del _receivers[name]
        _receivers.update(before)


def forget(receiver: Durable[..., Any]) -> None:
    """Make ``receiver`` unknown, as at the end of a test."""
    with _changing.of_this_process():
        for name in receiver.names:
            if _receivers.get(name) is receiver:
                del _receivers[name]
