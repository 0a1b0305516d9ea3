"""Write the sender and the payload of a send as JSON for a worker, and read them back.

One JSON text is recorded::

    {"sender": …, "payload": {"order_id": 7, "total": "9.90"}}

A value that would not arrive unchanged is refused: when the receiver connects, if the type shows
it, or else at the send.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aldis._optional import needs
from aldis.core.receiver import describe
from aldis.durable.types import MAX_PAYLOAD_BYTES
from aldis.errors import (
    LostRowError,
    PayloadError,
    PayloadMismatchError,
    PayloadTypeError,
)

with needs("aldis.durable", "durable", msgspec="msgspec"):
    import msgspec

from aldis.durable.codec._annotations import sender_hint
from aldis.durable.codec._codecs import Loader
from aldis.durable.codec._errors import place_of
from aldis.durable.codec._mapper import declared_mapper, projection
from aldis.durable.codec._senders import SenderCodec, add_app, register_sender

__all__ = ["Loader", "PayloadCodec", "add_app", "register_sender"]

#: The most levels of a recorded text. Reading more could exhaust Python's stack in the worker.
MAX_DEPTH: Final = 100

_REMEDY: Final = "; give durable a payload= function that returns other values to record"


class _Recorded(msgspec.Struct):
    sender: Any
    payload: dict[str, Any]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Recorded).decode


class PayloadCodec:
    """Writes and reads the sender and the payload of one signal for one durable receiver.

    Args:
        receiver: The durable receiver.
        signal: The signal. The types are those of its contract.
        project: A function that gets the sender and the payload of a send. Its result is recorded,
            and ``receiver`` gets it as keyword arguments.
        upgrade: A function that gets a recorded payload that no longer fits, as plain JSON values.
            Its result is read instead.
        max_bytes: The most bytes of one recorded text, in UTF-8.

    Raises:
        PayloadTypeError: A declared type cannot be encoded, or no type is declared.
    """

    __slots__ = ("_mapper", "_max_bytes", "_receiver", "_senders", "_signal", "_upgrade")

    def __init__(
        self,
        receiver: Callable[..., Any],
        signal: Any,
        *,
        project: Callable[..., Any] | None = None,
        upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        max_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        name = getattr(signal, "name", None)
        self._signal = f"signal {name!r}" if isinstance(name, str) else repr(signal)
        self._receiver = describe(receiver)
        self._upgrade, self._max_bytes = upgrade, max_bytes
        contract = getattr(signal, "contract", None)
        place = "the sender"
        try:
            hint = None if contract is None else sender_hint(contract.function)
            if hint is None and project is not None:
                hint = sender_hint(project)
            self._senders = SenderCodec(hint)
            if project is None:
                place = "the signal" if contract is None else ""
                self._mapper = declared_mapper(contract, receiver)
            else:
                place = f"payload={describe(project)}"
                self._mapper = projection(project, receiver)
        except PayloadTypeError as error:
            remedy = _REMEDY if place in ("the signal", "") else ""
            raise PayloadTypeError(
                f"receiver {self._receiver} cannot be durable for {self._signal}: "
                f"{place}{place_of(error)} {error}{remedy}"
            ) from error.__cause__

    def encode(self, sender: Any, payload: dict[str, Any]) -> str:
        """Return the text to record for one send.

        Raises:
            PayloadError: The sender or an argument cannot be encoded, or they are too large.
        """
        try:
            raw_sender = self._senders.dump(sender)
        except PayloadError as error:
            raise self._refusal(error, "the sender") from error.__cause__
        try:
            raw_payload = self._mapper.dump(sender, payload)
        except PayloadError as error:
            raise self._refusal(error) from error.__cause__
        try:
            text = _encode({"sender": raw_sender, "payload": raw_payload})
        except UnicodeEncodeError as error:
            problem = PayloadError(f"holds text that is not valid Unicode ({error})")
            raise self._refusal(problem, _invalid_part(raw_payload)) from error
        if len(text) > 2 * MAX_DEPTH and _depth(text) > MAX_DEPTH:
            problem = PayloadError(f"is nested more than {MAX_DEPTH} levels deep")
            raise self._refusal(problem, "the payload")
        if len(text) > self._max_bytes:
            problem = PayloadError(
                f"takes {len(text):,} bytes, and the limit is {self._max_bytes:,}: give durable a "
                "payload= function that records less (an id, say), or a higher max_bytes"
            )
            raise self._refusal(problem, "the payload")
        return text.decode()

    def decode(self, text: str, loader: Loader) -> tuple[Any, dict[str, Any]]:
        """Return the sender and the keyword arguments for the receiver.

        Args:
            text: The text that :meth:`encode` returned, perhaps long ago.
            loader: The worker's app and rows.

        Raises:
            PayloadMismatchError: The text does not fit the declared types, or ``encode`` did not
                write it.
            LostRowError: The sender or an argument is a row that is gone.
        """
        try:
            recorded = _decode(text)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise PayloadMismatchError(f"{self._about()} cannot be read: {error}") from error
        place = "the sender"
        try:
            sender = self._senders.load(recorded.sender, loader)
            place = ""
            return sender, self._mapper.load(recorded.payload, loader)
        except PayloadError as error:
            remedy = ""
            if not place and isinstance(error, PayloadMismatchError):
                if self._upgrade is not None:
                    return sender, self._load_upgraded(self._upgrade, recorded.payload, loader)
                remedy = "; give durable an upgrade= function that returns a payload that fits"
            raise self._misfit(error, place, remedy) from error.__cause__

    def _load_upgraded(
        self, upgrade: Callable[[dict[str, Any]], Any], payload: dict[str, Any], loader: Loader
    ) -> dict[str, Any]:
        about = f"{self._about()}: its upgrade="
        try:
            result = upgrade(payload)
            upgraded = msgspec.json.decode(_encode(result))  # It has the types of JSON then.
        except Exception as error:
            message = f"{about} raised {type(error).__name__}: {error}"
            raise PayloadMismatchError(message) from error
        if type(upgraded) is not dict:
            raise PayloadMismatchError(f"{about} returned {type(result).__name__}, not a dict")
        try:
            return self._mapper.load(upgraded, loader)
        except PayloadError as error:
            remedy = ", after upgrade= has changed it"
            raise self._misfit(error, remedy=remedy) from error.__cause__

    def _about(self) -> str:
        return f"the payload of {self._signal} recorded for {self._receiver}"

    def _refusal(self, error: PayloadError, part: str = "") -> PayloadError:
        text = f"{self._signal} cannot be recorded for {self._receiver}: "
        return type(error)(f"{text}{part}{place_of(error)} {error}")

    def _misfit(self, error: PayloadError, part: str = "", remedy: str = "") -> PayloadError:
        verb = "names a row that is gone" if isinstance(error, LostRowError) else "does not fit"
        return type(error)(f"{self._about()} {verb}: {part}{place_of(error)} {error}{remedy}")


def _invalid_part(payload: dict[str, Any]) -> str:
    for name, value in payload.items():
        try:
            _encode(value)
        except UnicodeEncodeError:
            return f"argument {name!r}"
    return "the sender"


_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _depth(text: bytes) -> int:
    """Return how deeply a JSON text is nested, if that can be more than ``MAX_DEPTH``."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return 0
    outside_strings = text.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    brackets = b"".join(outside_strings).translate(_BRACKETS, _NOT_BRACKETS)
    depth = 0
    while brackets and depth <= MAX_DEPTH:
        brackets = brackets.replace(b"[]", b"")
        depth += 1
    return depth
