"""Reads a plugin's mapping. Every entry is checked before any receiver is connected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import CO_VARKEYWORDS, Parameter, signature
from types import FunctionType
from typing import Any, Final, TypeAlias

from aldis.core.receiver import bind_signal, binder_of, check_receiver, is_async, location, name_of
from aldis.core.sender import ANY, senders_of
from aldis.core.signal import Signal
from aldis.core.text import printable
from aldis.errors import AldisError, ReceiverError

__all__ = ["Entry", "ModeDecorator", "read_mapping"]

#: Gives a receiver a delivery mode.
ModeDecorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

#: The options of every entry. ``senders`` makes one entry for each sender.
_KNOWN: Final = frozenset({"receiver", "sender", "senders", "weak", "subclasses", "dispatch_uid"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One receiver of a mapping.

    Attributes:
        signal: The signal.
        options: The keyword arguments of ``connect``, including the receiver.
        bare: Whether the entry is a callable without options.
        place: The position in the mapping, as text for messages.
    """

    signal: Signal[..., Any]
    options: Mapping[str, Any]
    bare: bool
    place: str

    @property
    def receiver(self) -> Any:
        """The receiver."""
        return self.options["receiver"]

    def as_given(self) -> Any:
        """Return the receiver, or a copy of the options that the caller may change."""
        return self.receiver if self.bare else dict(self.options)

    @property
    def is_async(self) -> bool:
        """Whether the callable that the signal calls for the receiver is async."""
        decider = binder_of(self.receiver)
        if decider is None:
            return is_async(self.receiver)
        # `__bind_signal__` is called only if its result can matter: a delivery mode may call an
        # async receiver from a sync send.
        if not (is_async(decider) or is_async(getattr(decider, "__wrapped__", None))):
            return False
        return is_async(bind_signal(decider, self.signal))

    def signature_problem(self) -> str | None:
        """Return why a payload with more arguments would not fit the receiver, else ``None``."""
        problem = _signature_problem(self.receiver)
        if problem is None:
            return None
        where = location(self.receiver) or "no source"
        return printable(f"{self.place}: receiver {name_of(self.receiver)} ({where}) {problem}")


def read_mapping(mapping: Any, delivery: ModeDecorator | None = None) -> tuple[Entry, ...]:
    """Read a mapping of signals to receivers. Iterators in it are used up.

    Args:
        mapping: The result of ``get_signal_subscriptions``.
        delivery: A decorator that gives a delivery mode to the receivers that have none.

    Returns:
        The entries, in their order.

    Raises:
        ReceiverError: One or more entries cannot be connected. The error names each of them.
    """
    if not isinstance(mapping, Mapping):
        message = f"subscriptions are a mapping of signals to receivers, not {_kind(mapping)}"
        raise ReceiverError(message)
    entries: list[Entry] = []
    problems: list[str] = []
    for key, listeners in mapping.items():
        problem = _key_problem(key) or _list_problem(key, listeners)
        if problem is not None:
            problems.append(problem)
            continue
        for number, listener in enumerate(listeners, start=1):
            place = f"entry {number} of {_name(key)}"
            try:
                entries += _read(key, listener, place, delivery)
            except (AldisError, TypeError, ValueError) as error:
                problems.append(f"{place}: {error}")
    if problems:
        raise ReceiverError("; ".join(problems))
    return tuple(entries)


def _read(
    signal: Signal[..., Any], listener: Any, place: str, delivery: ModeDecorator | None
) -> Iterator[Entry]:
    """Yield an entry for each sender of one listener of the mapping."""
    bare = not isinstance(listener, Mapping)
    options = {"receiver": listener} if bare else dict(listener)
    if bare and not callable(listener):
        message = f"a receiver must be a callable or a dict with one, not {_kind(listener)}"
        raise ReceiverError(message)
    for problem in _option_problems(signal, options):
        raise ReceiverError(problem)
    receiver = options["receiver"]
    check_receiver(receiver)
    if delivery is not None and binder_of(receiver) is None:
        options["receiver"] = delivery(receiver)
    senders = options.pop("senders", None)
    if senders is None:
        yield Entry(signal, options, bare=bare, place=place)
        return
    for sender in senders_of(options.get("sender", ANY), senders, subclasses=False):
        yield Entry(signal, {**options, "sender": sender}, bare=False, place=place)


def _option_problems(signal: Signal[..., Any], options: dict[str, Any]) -> Iterator[str]:
    known = set(_KNOWN)
    if not options.keys() <= known:
        # A subclass of Signal may have more options.
        takes = signature(signal.subscribe).parameters
        if any(each.kind is Parameter.VAR_KEYWORD for each in takes.values()):
            known.update(options)
        known.update(takes)
    for name in options.keys() - known:
        closest = get_close_matches(str(name), known, n=1)
        hint = f"did you mean {closest[0]!r}?" if closest else f"there are {_list(known)}"
        yield f"connect has no option {name!r}; {hint}"
    if "receiver" not in options:
        yield "it is a dict without 'receiver'"


def _key_problem(key: Any) -> str | None:
    if isinstance(key, Signal):
        return None
    if isinstance(key, str):
        return f"{key!r} is a name, not a signal; use namespace.signal({key!r})"
    if type(key).__module__.partition(".")[0] == "blinker":
        return (
            f"{key!r} is a signal of blinker, not of aldis, and cannot be connected as a unit; put "
            "`import aldis.as_blinker` above every other import of your program"
        )
    return f"{_kind(key)} is not a signal"


def _list_problem(signal: Signal[..., Any], listeners: Any) -> str | None:
    name = _name(signal)
    if isinstance(listeners, (Mapping, str)) or not isinstance(listeners, Iterable):
        what = "one receiver" if callable(listeners) else _kind(listeners)
        return f"{name} needs a list of receivers, not {what}; put it into [ ]"
    return None


def _signature_problem(receiver: Any) -> str | None:
    if type(receiver) is FunctionType and not receiver.__dict__:
        code = receiver.__code__
        if code.co_flags & CO_VARKEYWORDS and code.co_argcount > code.co_posonlyargcount:
            return None  # the common case; reading a signature is slow
    try:
        parameters = list(signature(receiver).parameters.values())
    except (TypeError, ValueError):
        return None
    if not any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        return "takes no other arguments, and the signal's payload may grow; add **kwargs"
    first = parameters[0]
    if first.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD):
        return "takes no sender; make its first parameter the sender"
    return None


def _name(signal: Signal[..., Any]) -> str:
    name = getattr(signal, "name", None)
    return repr(name if isinstance(name, str) else signal)


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r:.60}"


def _list(names: set[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
