"""Records sends, and asserts that they were the expected ones.

::

    with record(order_paid) as sent:
        checkout()
    sent.once_with(shop, order_id=7)
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, overload

from aldis.core.observers import Emission, Observer, attach, detach
from aldis.core.sender import ANY, describe_sender, real_sender, sender_key
from aldis.core.signal import Signal
from aldis.core.text import printable

__all__ = ["Recording", "Sent", "record"]

#: The number of sends, and of characters of each value, that a message shows.
SHOWN: Final = 10
WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Sent:
    """One send. ``str`` returns a description in one line.

    Attributes:
        signal: The signal.
        sender: The sender. If a proxy was given, it is the object behind the proxy.
        payload: The keyword arguments, the objects that the receivers got.
    """

    signal: Signal[..., Any]
    sender: Any
    payload: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{_name(self.signal)} {_described(self.sender, self.payload)}"


class Recording(Sequence[Sent], Observer):
    """A sequence of :class:`Sent`, in the order in which the sends began.

    If an assertion fails, its ``AssertionError`` shows the sends that were recorded instead.

    Args:
        signals: The signals to record.
        sender: Only sends of this sender count. By default, all sends count.
    """

    def __init__(self, signals: tuple[Signal[..., Any], ...], sender: Any = ANY) -> None:
        self._signals: tuple[Signal[..., Any], ...] = signals
        self._sender: Any = sender
        self._sent: list[Sent] = []
        self._by_others: list[Sent] = []

    def __len__(self) -> int:
        return len(self._sent)

    @overload
    def __getitem__(self, index: int) -> Sent: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sent]: ...

    def __getitem__(self, index: int | slice) -> Sent | list[Sent]:
        return self._sent[index]

    def __repr__(self) -> str:
        return f"<Recording of {self._title}: {_count(len(self))}>"

    def of(self, signal: Signal[..., Any]) -> Recording:
        """Return the sends of one signal that were recorded until now.

        Raises:
            ValueError: ``signal`` is not recorded here.
        """
        if not self._records(signal):
            message = f"{_name(signal)} is not recorded here, only {self._title}"
            raise ValueError(message)
        part = Recording((signal,), self._sender)
        part._sent += [each for each in self._sent if each.signal == signal]
        part._by_others += [each for each in self._by_others if each.signal == signal]
        return part

    def emission_started(self, emission: Emission) -> None:
        """Record a send, unless its signal is muted."""
        if not self._records(emission.signal) or emission.signal.is_muted:
            return
        sent = Sent(emission.signal, emission.sender, emission.payload)
        wanted = self._sender is ANY or sender_key(self._sender) == sender_key(emission.sender)
        (self._sent if wanted else self._by_others).append(sent)

    def _records(self, signal: Signal[..., Any]) -> bool:
        return any(each == signal for each in self._signals)

    # -- assertions ---------------------------------------------------------------------------

    def never(self) -> None:
        """Assert that nothing was sent."""
        __tracebackhide__ = True
        self._expect(0, "never")

    def once(self) -> Sent:
        """Assert that there was exactly one send, and return it."""
        __tracebackhide__ = True
        self._expect(1, "once")
        return self._sent[0]

    def times(self, count: int) -> Sequence[Sent]:
        """Assert that there were exactly ``count`` sends, and return them."""
        __tracebackhide__ = True
        self._expect(count, _count(count))
        return tuple(self._sent)

    def once_with(self, sender: Any = ANY, /, **payload: Any) -> Sent:
        """Assert that there was exactly one send, from ``sender`` with ``payload``, and return it.

        Args:
            sender: The expected sender. By default, any sender fits.
            **payload: All keyword arguments of the send. They are compared with ``==``.
                ``unittest.mock.ANY`` equals every value.
        """
        __tracebackhide__ = True
        sent = self.once()
        problems = _differences(sent, real_sender(sender), payload)
        if problems:
            raise AssertionError(
                _text(f"{self._title} was sent once, but not as expected:", problems)
            )
        return sent

    def at_least_once_with(self, sender: Any = ANY, /, **payload: Any) -> Sent:
        """Assert that one or more sends fit, and return the first. See :meth:`once_with`."""
        __tracebackhide__ = True
        sender = real_sender(sender)
        for each in self._sent:
            if not _differences(each, sender, payload):
                return each
        raise AssertionError(
            f"{self._title} was expected {_described(sender, payload)}, {self._instead()}"
        )

    def in_order(self, *signals: Signal[..., Any]) -> None:
        """Assert that exactly these signals were sent in this order, repetitions included."""
        __tracebackhide__ = True
        if [id(each.signal) for each in self._sent] != [id(each) for each in signals]:
            expected = ", ".join(map(_name, signals)) or "nothing"
            sent = self._listed(self._sent) or ["nothing"]
            raise AssertionError(_text(f"expected in this order: {expected}; sent:", sent))

    # -- their messages ------------------------------------------------------------------------

    def _expect(self, count: int, words: str) -> None:
        __tracebackhide__ = True
        if len(self._sent) != count:
            raise AssertionError(f"{self._title} was expected {words}, {self._instead()}")

    @property
    def _title(self) -> str:
        names = " or ".join(dict.fromkeys(map(_name, self._signals)))
        return names if self._sender is ANY else f"{names} from {describe_sender(self._sender)}"

    def _instead(self) -> str:
        if self._sent:
            return _text(f"but was sent {_count(len(self))}:", self._listed(self._sent))
        if self._by_others:
            return _text("but was sent by others only:", self._listed(self._by_others))
        return "but was not sent"

    def _listed(self, sends: list[Sent]) -> list[str]:
        alone = len(self._signals) == 1
        lines = []
        for number, each in enumerate(sends[:SHOWN], 1):
            line = _described(each.sender, each.payload) if alone else str(each)
            lines.append(f"{number}. {line}")
        if len(sends) > SHOWN:
            lines.append(f"and {len(sends) - SHOWN} more")
        return lines


@contextmanager
def record(*signals: Signal[..., Any], sender: Any = ANY) -> Generator[Recording, None, None]:
    """Record the sends of signals while a ``with`` block runs, on every thread and in every task.

    A send is recorded when it begins, by ``send``, ``asend`` or any other method. It needs no
    receivers, and errors of receivers do not matter. Some code first calls ``has_receivers_for``
    and sends nothing without receivers; then there is nothing to record.

    Args:
        *signals: The signals to record. The recording keeps the order of sends across signals.
        sender: Only sends of this sender count. By default, all sends count.

    Raises:
        TypeError: No signal was given, or an argument is not a signal.
    """
    _check(signals)
    recording = Recording(signals, real_sender(sender))
    try:
        attach(recording)
        yield recording
    finally:
        detach(recording)


def _check(signals: tuple[Any, ...]) -> None:
    if not signals:
        message = "record needs at least one signal: record(order_paid)"
        raise TypeError(message)
    for each in signals:
        if not isinstance(each, Signal):
            message = f"record needs signals of aldis, and {each!r} is not one"
            raise TypeError(message)


# -- text ------------------------------------------------------------------------------------------


def _differences(sent: Sent, sender: Any, payload: Mapping[str, Any]) -> list[str]:
    """Describe each difference between ``sent`` and the expected sender and payload."""
    problems = []
    if sender is not ANY and sender_key(sender) != sender_key(sent.sender):
        expected, found = describe_sender(sender), describe_sender(sent.sender)
        other = "another " if expected == found else ""
        problems.append(f"sender: expected {expected}, sent by {other}{found}")
    for name, expected in payload.items():
        if name not in sent.payload:
            problems.append(f"{name}: expected {_shown(expected)}, not sent")
        elif not _same(expected, sent.payload[name]):
            problems.append(f"{name}: expected {_shown(expected)}, {_found(sent, name, expected)}")
    problems += [
        f"{name}: not expected, sent {_shown(value)}"
        for name, value in sent.payload.items()
        if name not in payload
    ]
    return problems


def _same(expected: Any, found: Any) -> bool:
    return expected is found or bool(expected == found)


def _found(sent: Sent, name: str, expected: Any) -> str:
    value = sent.payload[name]
    if _shown(value) == _shown(expected):
        return f"sent another {type(value).__qualname__} that looks the same"
    return f"sent {_shown(value)}"


def _described(sender: Any, payload: Mapping[str, Any]) -> str:
    arguments = printable(", ".join(f"{name}={_shown(value)}" for name, value in payload.items()))
    return f"from {describe_sender(sender)} with {arguments or 'no arguments'}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - __repr__ may raise anything, and a message must not fail
        text = f"<a {type(value).__qualname__} whose repr raises>"
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _name(signal: Any) -> str:
    return printable(getattr(signal, "name", None) or "a signal without a name")


def _count(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number} times")


def _text(title: str, lines: Iterable[str]) -> str:
    return "\n  ".join((title, *map(printable, lines)))
