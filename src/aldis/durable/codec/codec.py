"""The codec of one signal for one durable receiver.

What is recorded is one JSON text::

    {"sender": …, "payload": {"order_id": 7, "total": "9.90"}}

:mod:`aldis.durable.codec.senders` says how a sender is written, the shapes say it of values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from aldis.core.receiver import describe
from aldis.durable.codec.planning import plan_of
from aldis.durable.codec.shape import Loader, where
from aldis.durable.types import MAX_PAYLOAD_BYTES
from aldis.errors import LostRowError, PayloadError, PayloadMismatchError

__all__ = ["PayloadCodec"]

_encode = msgspec.json.Encoder().encode


class _Recorded(msgspec.Struct):
    sender: Any
    payload: dict[str, Any]


#: Reading what is nested more deeply could exhaust Python's stack in the worker.
DEEPEST: Final = 100

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')

_decode = msgspec.json.Decoder(_Recorded).decode


class PayloadCodec:
    """How the sender and the payload of one signal travel to one durable receiver.

    Args:
        receiver: The durable receiver.
        signal: The signal; the types are those of its contract.
        project: Called with the sender and the payload; what it returns is recorded, and is
            what ``receiver`` gets as its keyword arguments.
        upgrade: Called with a recorded payload that does not fit any more, as plain JSON
            values; what it returns is read instead.
        max_bytes: The most bytes of UTF-8 that are recorded for one send.

    Raises:
        PayloadTypeError: Something that is declared cannot travel, or nothing is declared.
    """

    __slots__ = ("_max_bytes", "_plan", "_receiver", "_senders", "_signal", "_upgrade")

    def __init__(
        self,
        receiver: Callable[..., Any],
        signal: Any,
        *,
        project: Callable[..., Any] | None = None,
        upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        max_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        self._signal, self._receiver = names = _name(signal), describe(receiver)
        self._plan, self._senders = plan_of(receiver, signal, project, names)
        self._upgrade = upgrade
        self._max_bytes = max_bytes

    def encode(self, sender: Any, payload: dict[str, Any]) -> str:
        """Return the text to record for one send.

        Args:
            sender: Who sends.
            payload: The keyword arguments of the send.

        Raises:
            PayloadError: The sender or an argument cannot travel, or they are too large.
        """
        try:
            written = self._senders.dump(sender)
        except PayloadError as error:
            self._refuse(error, "the sender")
        recorded = self._plan.record(sender, payload, self._refuse)
        try:
            text = _encode({"sender": written, "payload": recorded})
        except (ValueError, RecursionError, OverflowError, TypeError) as error:
            self._blame(written, recorded, error)
        if len(text) > 2 * DEEPEST and _depth(text) > DEEPEST:
            self._refuse(PayloadError(f"is nested more than {DEEPEST} levels deep"), "the payload")
        if len(text) > self._max_bytes:
            self._refuse(
                PayloadError(
                    f"takes {len(text):,} bytes, and {self._max_bytes:,} is the limit: give "
                    "durable a payload= that records less (an id, say), or a higher max_bytes"
                ),
                "the payload",
            )
        return text.decode()

    def decode(self, text: str, loader: Loader) -> tuple[Any, dict[str, Any]]:
        """Return the sender and the keyword arguments for the receiver.

        Args:
            text: What :meth:`encode` returned, perhaps long ago.
            loader: The worker's app and its way to rows.

        Raises:
            PayloadMismatchError: It does not fit what is declared by now, or was never written by
                a codec.
            LostRowError: The sender or an argument is a row that is gone.
        """
        try:
            recorded = _decode(text)
        except (ValueError, RecursionError, TypeError) as error:
            message = f"{self._about()} cannot be read: {error}"
            raise PayloadMismatchError(message) from error
        try:
            sender = self._senders.load(recorded.sender, loader)
        except PayloadError as error:
            self._unfit(error, "the sender", "")
        try:
            return sender, self._plan.load(recorded.payload, loader)
        except PayloadMismatchError as error:
            if self._upgrade is None:
                self._unfit(error, "", "; give durable an upgrade= that makes what fits of it")
        except PayloadError as error:
            self._unfit(error, "", "")
        return sender, self._load_upgraded(self._upgrade, recorded.payload, loader)

    def _load_upgraded(
        self, upgrade: Callable[[dict[str, Any]], Any], payload: dict[str, Any], loader: Loader
    ) -> dict[str, Any]:
        try:
            upgraded = upgrade(payload)
        except Exception as error:
            message = f"{self._about()}: its upgrade= raised {type(error).__name__}: {error}"
            raise PayloadMismatchError(message) from error
        if type(upgraded) is not dict:
            message = f"{self._about()}: its upgrade= returned {type(upgraded).__name__}, no dict"
            raise PayloadMismatchError(message)
        try:
            return self._plan.load(upgraded, loader)
        except PayloadError as error:
            self._unfit(error, "", "; and that is what upgrade= has made of it")

    def _about(self) -> str:
        return f"the payload of {self._signal} recorded for {self._receiver}"

    def _unfit(self, error: PayloadError, what: str, remedy: str) -> NoReturn:
        verb = "names a row that is gone" if isinstance(error, LostRowError) else "does not fit"
        text = f"{self._about()} {verb}: {what}{where(error)} {error}{remedy}"
        raise type(error)(text) from error.__cause__

    def _refuse(self, error: PayloadError, what: str) -> NoReturn:
        text = f"{self._signal} cannot be recorded for {self._receiver}: {what}{where(error)} "
        raise type(error)(f"{text}{error}") from error.__cause__

    def _blame(self, sender: Any, recorded: dict[str, Any], error: Exception) -> NoReturn:
        """Find out what cannot be written as JSON although its type can."""
        what = "the payload"
        parts = [("the sender", sender)]
        parts += [(f"argument {name!r}", value) for name, value in recorded.items()]
        for part, value in parts:
            try:
                _encode(value)
            except (ValueError, RecursionError, OverflowError, TypeError):
                what = part
                break
        why = f"holds text that is no valid Unicode ({error})"
        if not isinstance(error, UnicodeError):
            why = f"cannot be written as JSON ({error})"
        self._refuse(PayloadError(why), what)


def _depth(text: bytes) -> int:
    """Return how deeply a JSON text is nested, or less than ``DEEPEST`` where it cannot be deep."""
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for each in _STRINGS.sub(b"", text):
        if each in b"[{":
            depth += 1
            deepest = max(depth, deepest)
        elif each in b"]}":
            depth -= 1
    return deepest


def _name(signal: Any) -> str:
    name = getattr(signal, "name", None)
    return f"signal {name!r}" if isinstance(name, str) else repr(signal)
