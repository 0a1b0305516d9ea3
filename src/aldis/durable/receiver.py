"""``durable``: a receiver that is recorded with the sender's transaction and run by a worker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature, isasyncgenfunction, isgeneratorfunction
from types import FunctionType, MethodType
from typing import Any, Final, ParamSpec, TypeVar
from weakref import ref

from aldis.core.callables import in_words, is_async
from aldis.core.tap import current_send
from aldis.durable import names
from aldis.durable.codec import Codec
from aldis.durable.delivery import running
from aldis.durable.facts import NewDelivery
from aldis.durable.retry import Retry
from aldis.errors import MethodDeliveryError, PayloadError, check_seconds
from aldis.receivers import Delivered
from aldis.transactions import caller

__all__ = ["Durable", "durable"]

P = ParamSpec("P")
R = TypeVar("R")

#: What connect is told that a receiver with a projection takes.
_TAKES_ANYTHING: Final = Signature(
    [
        Parameter("sender", Parameter.POSITIONAL_ONLY),
        Parameter("payload", Parameter.VAR_KEYWORD),
    ]
)

#: What a payload may take at most, encoded, in bytes.
MAX_BYTES = 65_536


def durable(  # noqa: PLR0913 - each says one thing about delivery, and has a default
    name: str,
    *,
    retry: Retry | None = None,
    key: Callable[..., str | int | None] | None = None,
    payload: Callable[..., Any] | None = None,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    aliases: Sequence[str] = (),
    timeout: float | None = None,
    delay: float = 0.0,
    max_bytes: int = MAX_BYTES,
) -> Callable[[Callable[P, R]], Durable[P, R]]:
    """Record each send with the sender's transaction, and let a worker call the receiver.

    At least once: a worker that dies, or fails to say that it is done, has the receiver called
    again. What is written through ``current_delivery().session`` is committed together with the
    delivery's completion, once. Called directly, the receiver simply runs.

    Args:
        name: Who the receiver is, now and after it has been renamed or moved: it stands in the
            database.
        retry: How often it is tried, and when; by default :class:`Retry` with its defaults.
        key: Called with the sender and the payload; deliveries of this receiver for which it
            returns the same run one after the other, in the order in which they were recorded, and
            one that fails holds up those behind it. ``None`` is in nobody's way.
        payload: A projection: called with the sender and the payload, it returns what is recorded
            instead, as a mapping (or a dataclass, msgspec Struct …). The receiver gets it as
            keyword arguments. It is needed where the signal has no contract or carries what cannot
            be encoded.
        upgrade: Called with a recorded payload that no longer fits, as plain JSON types; returns
            one that does.
        aliases: Names that the receiver had before: what was recorded under them is its own.
        timeout: Seconds that one attempt may take. A sync receiver is interrupted when it next runs
            Python code.
        delay: Seconds between the send and the first attempt.
        max_bytes: How large an encoded payload may be.

    Raises:
        DurableNameError: The name is unusable, or another receiver's.
        MethodDeliveryError: The receiver is a method: a worker has no object to call it on.
        HiddenDeliveryError: The receiver has a delivery already.
        TypeError: An argument is of another kind, or the receiver is a generator.
        ValueError: A number is out of its range.
    """
    _check_kinds(name, retry, aliases, key=key, payload=payload, upgrade=upgrade)
    checked = tuple(names.check_name(each) for each in (name, *aliases))
    _check_limit(timeout)
    check_seconds(delay)

    def decorate(function: Callable[P, R]) -> Durable[P, R]:
        receiver = Durable(function)
        receiver.names = checked
        receiver.retry = retry or Retry()
        receiver.key = key
        receiver.projection = payload
        if payload is not None:  # the receiver gets what that returns, whatever the signal carries
            receiver.__signature__ = _TAKES_ANYTHING
        receiver.upgrade = upgrade
        receiver.timeout = timeout
        receiver.delay = delay
        receiver.max_bytes = max_bytes
        names.add(receiver)
        return receiver

    return decorate


def _check_kinds(name: str, retry: Any, aliases: Any, **functions: Any) -> None:
    if retry is not None and not isinstance(retry, Retry):
        message = f"retry is a Retry, such as Retry(attempts=5), not {retry!r}"
        raise TypeError(message)
    if isinstance(aliases, str):  # or each of its letters would be one
        message = f"aliases is a list of names, [{aliases!r}], not text"
        raise TypeError(message)
    for argument, value in functions.items():
        if value is not None and not callable(value):
            message = (
                f"{argument}= is a function that durable receiver {name!r} calls, not {value!r}"
            )
            raise TypeError(message)


def _check_limit(seconds: Any) -> None:
    if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
        message = f"timeout is a number of seconds above 0, not {seconds!r}"
        raise ValueError(message)


class Durable(Delivered[P, R]):
    """A durable receiver: what :func:`durable` makes of a function.

    Attributes:
        names: Its name, and the names that it had before.
        retry: How often it is tried.
        key: What its deliveries are ordered by.
        projection: What makes the payload that is recorded.
        upgrade: What makes old payloads fit.
        timeout: Seconds that an attempt may take.
        delay: Seconds before the first attempt.
        max_bytes: How large an encoded payload may be.
        is_async: Whether it has to be awaited.
    """

    names: tuple[str, ...]
    retry: Retry
    key: Callable[..., str | int | None] | None
    projection: Callable[..., Any] | None
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None
    timeout: float | None
    delay: float
    max_bytes: int
    __signature__: Signature

    def __init__(self, function: Callable[P, R]) -> None:
        super().__init__(function)
        if isinstance(function, MethodType):
            raise _no_method(function)
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            message = (
                f"{in_words(function)} is a generator: calling it runs none of it, so that a "
                f"delivery would be done with nothing done; make it a function without yield"
            )
            raise TypeError(message)
        self.is_async = is_async(function)
        self._by_signal: dict[str, tuple[ref[Any], Codec]] = {}

    def __set_name__(self, owner: type, attribute: str) -> None:
        raise _no_method(self)

    @property
    def name(self) -> str:
        """The name by which the database knows it."""
        return self.names[0]

    @property
    def signals(self) -> list[str]:
        """The names of the signals that it has been connected to."""
        return sorted(self._by_signal)

    def is_again(self, other: Durable[..., Any]) -> bool:
        """Tell whether ``other`` was made from the same lines: the same function once more."""
        return _origin(self.__wrapped__) == _origin(other.__wrapped__)

    def codec(self, signal: str) -> Codec | None:
        """Return what decodes deliveries of the signal of this name, if it was connected to it."""
        known = self._by_signal.get(signal)
        return None if known is None else known[1]

    def signal(self, name: str) -> Any | None:
        """Return the signal of this name that it was connected to, if that is still there."""
        known = self._by_signal.get(name)
        return None if known is None else known[0]()

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return what a signal calls: it records the send.

        Raises:
            PayloadTypeError: What the signal carries cannot be recorded.
            DurableNameError: The signal has no name to be recorded under.
        """
        label = names.check_name(getattr(signal, "name", None), "the name of a durable's signal")
        codec = Codec.of(
            self.__wrapped__,
            signal,
            project=self.projection,
            upgrade=self.upgrade,
            max_bytes=self.max_bytes,
        )
        self._by_signal[label] = ref(signal), codec
        return Recorder(self, label, codec)

    def order_key(self, sender: Any, payload: dict[str, Any]) -> str | None:
        """Return what a delivery is ordered by, as it is recorded.

        Raises:
            PayloadError: ``key`` has returned something that is no key.
        """
        if self.key is None:
            return None
        key = self.key(sender, **payload)
        if key is None:
            return None
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            message = (
                f"key= of durable receiver {self.name!r} must return text, a whole number or None, "
                f"not {key!r}"
            )
            raise PayloadError(message)
        text = str(key)
        if len(text) > names.NAME_LENGTH:
            message = (
                f"key= of durable receiver {self.name!r} returned {len(text)} characters; a key "
                f"has at most {names.NAME_LENGTH}"
            )
            raise PayloadError(message)
        return text


class Recorder:
    """What a signal calls instead of a durable receiver."""

    __slots__ = ("_codec", "_receiver", "_signal")

    #: Every receiver of a send is recorded with the same id.
    asks_send = True

    def __init__(self, receiver: Durable[..., Any], signal: str, codec: Codec) -> None:
        self._receiver = receiver
        self._signal = signal
        self._codec = codec

    def __call__(self, sender: Any, /, **payload: Any) -> None:
        """Record a send in the caller's transaction."""
        receiver = self._receiver
        source, handle = caller()
        around = running.get()
        source.record(
            handle,
            NewDelivery(
                emission_id=current_send() or "",
                receiver=receiver.name,
                signal=self._signal,
                payload=self._codec.encode(sender, payload),
                order_key=receiver.order_key(sender, payload),
                delay=receiver.delay,
                cause=around.key if around is not None else None,
                traceparent=_traceparent() or (around.traceparent if around is not None else None),
            ),
        )


def _origin(function: Any) -> tuple[object, ...]:
    inner = function
    while not isinstance(inner, FunctionType) and hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = getattr(inner, "__code__", None)
    return (
        getattr(inner, "__module__", None),
        getattr(inner, "__qualname__", None) or id(inner),
        getattr(code, "co_filename", None),
        # Lambdas share their name.
        getattr(code, "co_firstlineno", None) if _is_lambda(inner) else None,
    )


def _is_lambda(function: Any) -> bool:
    return getattr(function, "__name__", None) == "<lambda>"


def _no_method(function: Any) -> MethodDeliveryError:
    return MethodDeliveryError(
        f"{in_words(function)} is a method, and a worker has no object to call it on; make a "
        "function durable, or a staticmethod with @staticmethod above @durable"
    )


def _traceparent() -> str | None:
    """Return the W3C trace context of the sender, if OpenTelemetry is in use."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
