"""Asserts that a receiver is connected to a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import Any

from aldis.core.explain import Row
from aldis.core.namespace import namespaces
from aldis.core.receiver import location, name_of, original, receiver_key, unwrap_once
from aldis.core.sender import ANY, describe_sender, real_sender
from aldis.core.signal import Signal
from aldis.core.text import printable

__all__ = ["assert_wired"]

Receiver = Callable[..., Any]


def assert_wired(signal: Signal[..., Any], receiver: Receiver, sender: Any = ANY) -> None:
    """Assert that ``receiver`` is called when ``signal`` is sent by ``sender``.

    Args:
        signal: The signal.
        receiver: The connected receiver. If it has a decorator, it is the decorated function.
        sender: The sender. By default, the receiver must be connected for all senders.

    Raises:
        AssertionError: The receiver would not be called. The message gives the reason and names
            the most similar receivers.
    """
    __tracebackhide__ = True
    sender = real_sender(sender)
    if not _among(receiver, map(original, signal.receivers_for(sender))):
        raise AssertionError("\n".join(map(printable, _why_not(signal, receiver, sender))))


def _among(receiver: Receiver, others: Iterator[Receiver]) -> bool:
    key = receiver_key(receiver)
    return any(receiver_key(each) == key for each in others)


def _why_not(signal: Signal[..., Any], receiver: Receiver, sender: Any) -> Iterator[str]:
    by = "sent by any sender" if sender is ANY else f"sent by {describe_sender(sender)}"
    yield f"{_described(receiver)} is not called by {_name(signal)}, {by}"
    yield from _hints(signal, receiver)
    rows = signal.explain(sender).rows
    if rows:
        yield "connected receivers, the most similar first:"
        yield from (f"  {_line(row, sender)}" for row in _by_likeness(rows, receiver)[:5])
        if len(rows) > 5:  # noqa: PLR2004 - the intended receiver is among the first five
            yield f"  and {len(rows) - 5} more"
    else:
        yield "no receiver is connected; has the module that connects it been imported?"


def _hints(signal: Signal[..., Any], receiver: Receiver) -> Iterator[str]:
    for each in _connected(signal):
        if receiver_key(each) == receiver_key(receiver):
            yield "it is connected, but for another sender"
            break
        if _wraps(each, receiver):
            yield f"it is connected inside of {each!r}: pass that receiver"
        elif (name_of(each), location(each)) == (name_of(receiver), location(receiver)):
            yield (
                "another object with this name and place is connected: the method of another "
                "instance, or its module was imported twice"
            )
    elsewhere = [each for each in _named_signals() if each is not signal]
    for other in elsewhere:
        if _among(receiver, iter(_connected(other))):
            yield f"it is connected to {_name(other)}"


def _connected(signal: Signal[..., Any]) -> list[Receiver]:
    return signal._living_receivers()  # noqa: SLF001 - part of the same engine


def _named_signals() -> Iterator[Signal[..., Any]]:
    for namespace in namespaces():
        yield from list(namespace.values())


def _wraps(outer: Any, receiver: Receiver) -> bool:
    for _ in range(100):
        outer = unwrap_once(outer)
        if outer is None:
            return False
        if outer is receiver:
            return True
    return False


def _by_likeness(rows: tuple[Row, ...], receiver: Receiver) -> list[Row]:
    wanted = name_of(receiver)

    def unlikeness(row: Row) -> float:
        return -SequenceMatcher(None, row.receiver, wanted).ratio()

    return sorted(rows, key=unlikeness)


def _line(row: Row, sender: Any) -> str:
    obstacle = row.obstacle
    if obstacle is None and sender is ANY and row.sender != describe_sender(ANY):
        obstacle = f"it listens to {row.sender} only"
    who = f"{row.receiver} ({row.location or 'no source'}) for {row.sender}"
    return who if obstacle is None else f"{who}: {obstacle}"


def _described(receiver: Receiver) -> str:
    return f"{name_of(receiver)} ({location(receiver) or 'no source'})"


def _name(signal: Any) -> str:
    return getattr(signal, "name", None) or "a signal without a name"
