"""``durable``: a receiver that is recorded in the sender's transaction and run by a worker."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from inspect import Parameter, Signature, isasyncgenfunction, isgeneratorfunction
from types import FunctionType, MethodType
from typing import Any, Final, ParamSpec, TypeVar
from weakref import ref

from aldis._optional import loaded
from aldis.core.observers import observed_call, take_send_id
from aldis.core.process import ForkSafeLock
from aldis.core.receiver import asks_signal, describe, is_async
from aldis.durable.codec import PayloadCodec
from aldis.durable.current import running
from aldis.durable.retry import Breaker, Retry
from aldis.durable.types import (
    MAX_PAYLOAD_BYTES,
    NAME_LENGTH,
    NewDelivery,
    ObservedDelivery,
    RunLimit,
)
from aldis.errors import (
    InvalidNameError,
    PayloadError,
    ReceiverError,
    UnknownNameError,
    check_seconds,
)
from aldis.receivers import Delivered
from aldis.transactions import current_scope

__all__ = [
    "Durable",
    "all_receivers",
    "check_name",
    "durable",
    "find_receiver",
    "forget_receiver",
    "receivers_by_name",
    "restore_receivers",
    "served_receivers",
    "unknown_receiver",
]

P = ParamSpec("P")
R = TypeVar("R")

#: The signature that ``connect`` checks for a receiver with ``payload=``. The projection decides
#: which arguments the receiver gets, so the signal's contract does not matter.
_TAKES_ANYTHING: Final = Signature(
    [
        Parameter("sender", Parameter.POSITIONAL_ONLY),
        Parameter("payload", Parameter.VAR_KEYWORD),
    ]
)

#: How many receivers an error message lists at most.
LISTED: Final = 5

#: The breaker of a receiver that names none.
DEFAULT_BREAKER: Final = Breaker()


def durable(  # noqa: PLR0913 - each option has its own default and meaning
    name: str,
    *,
    retry: Retry | None = None,
    breaker: Breaker | None = DEFAULT_BREAKER,
    key: Callable[..., str | int | None] | None = None,
    payload: Callable[..., Any] | None = None,
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    aliases: Sequence[str] = (),
    timeout: float | None = None,
    limit: int | None = None,
    delay: float = 0.0,
    max_bytes: int = MAX_PAYLOAD_BYTES,
) -> Callable[[Callable[P, R]], Durable[P, R]]:
    """Record each send in the sender's transaction, and have a worker call the receiver.

    The receiver is called at least once. If a worker dies, or cannot save that the receiver
    returned, a worker calls the receiver again. Everything that the receiver writes through
    ``current_delivery().session`` is committed exactly once, together with the completion of the
    delivery. If you call the receiver directly, it simply runs.

    Args:
        name: The identity of the receiver. The database stores it, so keep it when you rename or
            move the function.
        retry: How often and when a failed delivery is retried. The default is :class:`Retry()
            <Retry>`.
        breaker: When the workers pause the receiver because it fails again and again. The default
            is :class:`Breaker() <Breaker>`. ``None`` means never.
        key: Called with the sender and the payload. It returns the ordering key. Deliveries of this
            receiver with equal keys run one after the other, in the order in which they were
            recorded. A failed delivery blocks the later deliveries with its key. ``None`` means no
            order.
        payload: A projection. It is called with the sender and the payload, and returns the values
            to record: a mapping, a dataclass, a msgspec Struct, and so on. The receiver gets these
            values as keyword arguments. You need a projection if the signal has no contract, or if
            its payload cannot be encoded.
        upgrade: Called with a recorded payload that no longer fits the receiver, as plain JSON
            types. It returns a payload that fits.
        aliases: Earlier names of the receiver. It also runs the deliveries that were recorded under
            these names.
        timeout: The time limit of one attempt, in seconds. A sync receiver is interrupted when it
            next runs Python code.
        limit: The largest number of deliveries of this receiver that run at a time, in all workers
            of the database together. The deliveries of a worker that dies count until its lease
            has run out. By default, the number is not limited.
        delay: Seconds between the send and the first attempt.
        max_bytes: The largest encoded payload, in bytes.

    Raises:
        InvalidNameError: The name is not valid, or another receiver has it.
        ReceiverError: The receiver is a method, for which a worker has no instance, or it already
            has a delivery mode.
        TypeError: An argument has the wrong type, or the receiver is a generator.
        ValueError: A number is out of range.
    """
    _check_types(name, retry, breaker, aliases, key=key, payload=payload, upgrade=upgrade)
    names = tuple(check_name(each) for each in (name, *aliases))
    _check_timeout(timeout)
    _check_limit(limit)
    check_seconds(delay)

    def decorate(function: Callable[P, R]) -> Durable[P, R]:
        receiver = Durable(function)
        receiver.names = names
        receiver.retry = retry or Retry()
        receiver.breaker = breaker
        receiver.key = key
        receiver.projection = payload
        if payload is not None:
            receiver.__signature__ = _TAKES_ANYTHING
        receiver.upgrade = upgrade
        receiver.timeout = timeout
        receiver.limit = limit
        receiver.delay = delay
        receiver.max_bytes = max_bytes
        _register(receiver)
        return receiver

    return decorate


def _check_types(name: Any, retry: Any, breaker: Any, aliases: Any, **functions: Any) -> None:
    if callable(name):
        message = (
            f"@durable needs a name for {describe(name)}, under which the database keeps its "
            'deliveries: write @durable("billing.receipt")'
        )
        raise TypeError(message)
    if retry is not None and not isinstance(retry, Retry):
        message = f"retry= must be a Retry, such as Retry(attempts=5), not {retry!r}"
        raise TypeError(message)
    if breaker is not None and not isinstance(breaker, Breaker):
        message = (
            "breaker= must be a Breaker, such as Breaker(failures=10), or None for a receiver that "
            f"the workers never pause, not {breaker!r}"
        )
        raise TypeError(message)
    if isinstance(aliases, str):  # a text is a sequence, too: of its letters
        message = f"aliases= must be a list of names, such as [{aliases!r}], not text"
        raise TypeError(message)
    for argument, value in functions.items():
        if value is not None and not callable(value):
            message = f"{argument}= of durable receiver {name!r} must be a function, not {value!r}"
            raise TypeError(message)


def _check_timeout(seconds: Any) -> None:
    if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
        message = f"timeout= must be a number of seconds above 0, not {seconds!r}"
        raise ValueError(message)


def _check_limit(limit: Any) -> None:
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit > 0):
        return
    message = (
        f"limit= must be a whole number from 1 on, or None for no limit, not {limit!r}; to stop a "
        "receiver, use aldis deliveries pause"
    )
    raise ValueError(message)


class Durable(Delivered[P, R]):
    """A durable receiver, made by :func:`durable`.

    Attributes:
        names: Its name, followed by its aliases.
        retry: How often and when a failed delivery is retried.
        breaker: When the workers pause the receiver; ``None`` means never.
        key: The function that returns the ordering key.
        projection: The function that returns the payload to record.
        upgrade: The function that converts old payloads.
        timeout: The time limit of one attempt, in seconds.
        limit: How many deliveries run at a time, in all workers together; ``None`` means any
            number.
        delay: Seconds before the first attempt.
        max_bytes: The largest encoded payload, in bytes.
        is_async: Whether calling the receiver returns an awaitable.
        needs_signal: Whether the receiver calls ``current_signal()``.
    """

    names: tuple[str, ...]
    retry: Retry
    breaker: Breaker | None
    key: Callable[..., str | int | None] | None
    projection: Callable[..., Any] | None
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None
    timeout: float | None
    limit: int | None
    delay: float
    max_bytes: int
    __signature__: Signature

    def __init__(self, function: Callable[P, R]) -> None:
        super().__init__(function)
        if isinstance(function, MethodType):
            raise _method_error(function)
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            message = (
                f"{describe(function)} is a generator function: calling it runs none of its code, "
                "so a delivery would be completed without any effect; remove the yield"
            )
            raise TypeError(message)
        self.is_async: bool = is_async(function)
        self.needs_signal: bool = asks_signal(function)
        self._by_signal: dict[str, tuple[ref[Any], PayloadCodec]] = {}

    def __set_name__(self, owner: type, attribute: str) -> None:
        raise _method_error(self)

    @property
    def name(self) -> str:
        """The name under which deliveries are recorded."""
        return self.names[0]

    @property
    def run_limit(self) -> RunLimit | None:
        """The limit for the store."""
        return None if self.limit is None else RunLimit(self.names, self.limit)

    @property
    def signals(self) -> list[str]:
        """The names of the signals to which the receiver has been connected."""
        return sorted(self._by_signal)

    def is_redefinition_of(self, other: Durable[..., Any]) -> bool:
        """Tell whether both were made from the same function definition."""
        return _definition(self.__wrapped__) == _definition(other.__wrapped__)

    def codec(self, signal: str) -> PayloadCodec | None:
        """Return the codec for a signal by its name, or ``None`` if it was never connected."""
        known = self._by_signal.get(signal)
        return None if known is None else known[1]

    def signal(self, name: str) -> Any | None:
        """Return a connected signal by its name, or ``None`` if the signal no longer exists."""
        known = self._by_signal.get(name)
        return None if known is None else known[0]()

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that records a send of ``signal``.

        Raises:
            PayloadTypeError: The signal's payload cannot be recorded.
            InvalidNameError: The signal has no valid name to be recorded under.
        """
        label = check_name(getattr(signal, "name", None), "the name of a durable receiver's signal")
        codec = PayloadCodec(
            self.__wrapped__,
            signal,
            project=self.projection,
            upgrade=self.upgrade,
            max_bytes=self.max_bytes,
        )
        self._by_signal[label] = ref(signal), codec
        return Recorder(self, label, codec)

    def order_key(self, sender: Any, payload: dict[str, Any]) -> str | None:
        """Return the ordering key as it is recorded.

        Raises:
            PayloadError: ``key=`` returned a value that cannot be a key.
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
        if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
            message = (
                f"key= of durable receiver {self.name!r} returned {text[:60]!r}; a database stores "
                "neither NUL nor surrogates: leave them out of the key"
            )
            raise PayloadError(message)
        if len(text) > NAME_LENGTH:
            message = (
                f"key= of durable receiver {self.name!r} returned {len(text)} characters; a key "
                f"has at most {NAME_LENGTH}"
            )
            raise PayloadError(message)
        return text


class Recorder:
    """Records the sends of one signal for one durable receiver."""

    __slots__ = ("_codec", "_receiver", "_signal")

    #: A send that calls a recorder gets an id, so that all its deliveries have the same one.
    needs_send_id = True

    def __init__(self, receiver: Durable[..., Any], signal: str, codec: PayloadCodec) -> None:
        self._receiver = receiver
        self._signal = signal
        self._codec = codec

    def __call__(self, sender: Any, /, **payload: Any) -> None:
        """Record a send in the caller's transaction."""
        receiver = self._receiver
        name = receiver.name
        provider, handle = current_scope()
        outer = running.get()
        call = observed_call(receiver)
        make: Any = NewDelivery if call is None else partial(ObservedDelivery, call=call)
        provider.record(
            handle,
            make(
                emission_id=take_send_id(name),
                receiver=name,
                signal=self._signal,
                payload=self._codec.encode(sender, payload),
                order_key=receiver.order_key(sender, payload),
                delay=receiver.delay,
                caused_by=outer.key if outer is not None else None,
                traceparent=_traceparent() or (outer.traceparent if outer is not None else None),
            ),
        )


def _definition(function: Any) -> tuple[object, ...]:
    """Return what identifies the definition of a function: its module, name and file."""
    inner = function
    while not isinstance(inner, FunctionType) and hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = getattr(inner, "__code__", None)
    is_lambda = getattr(inner, "__name__", None) == "<lambda>"
    return (
        getattr(inner, "__module__", None),
        getattr(inner, "__qualname__", None) or id(inner),
        getattr(code, "co_filename", None),
        getattr(code, "co_firstlineno", None) if is_lambda else None,  # lambdas share their name
    )


def _method_error(function: Any) -> ReceiverError:
    return ReceiverError(
        f"{describe(function)} is a method, and a worker has no object to call it on; make a "
        "function durable, or a staticmethod with @staticmethod above @durable"
    )


def _traceparent() -> str | None:
    """Return the sender's W3C trace context, if OpenTelemetry is in use."""
    trace = loaded("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


# -- the receivers of this process, by name ------------------------------------------------------

_receivers: dict[str, Durable[..., Any]] = {}
_registering = ForkSafeLock()


def check_name(name: object, what: str = "the name of a durable receiver") -> str:
    """Return ``name`` if a database can store it and find it again.

    Raises:
        InvalidNameError: ``name`` is not valid.
    """
    if not isinstance(name, str):
        message = f"{what} must be text, such as 'billing.receipt', not {name!r}"
        raise InvalidNameError(message)
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or name != name.strip():
        message = (
            f"{what} must have 1 to {NAME_LENGTH} printable characters and no space around them, "
            f"not {name[:60]!r}"
        )
        raise InvalidNameError(message)
    return name


def _register(receiver: Durable[..., Any]) -> None:
    """Register a receiver by its name and its aliases.

    A second receiver from the same function definition replaces the first, because an app factory
    may run many times.

    Raises:
        InvalidNameError: Another function has one of the names.
    """
    with _registering.lock:
        for name in receiver.names:
            other = _receivers.get(name)
            if other is not None and not receiver.is_redefinition_of(other):
                message = (
                    f"there are two durable receivers {name!r}: {describe(other)} and "
                    f"{describe(receiver)}; give one of them another name, because recorded "
                    "deliveries find their receiver by its name"
                )
                raise InvalidNameError(message)
        for name in receiver.names:
            _receivers[name] = receiver


def find_receiver(name: str) -> Durable[..., Any]:
    """Return the receiver with a name or alias.

    Raises:
        UnknownNameError: There is no such receiver.
    """
    receiver = _receivers.get(name)
    if receiver is None:
        raise UnknownNameError(unknown_receiver(name, _receivers))
    return receiver


def unknown_receiver(name: str, names: Iterable[str]) -> str:
    """Build the "unknown receiver" message, with suggestions."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1)
    if close:
        hint = f"; did you mean {close[0]!r}?"
    elif known:
        more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
        # repr() escapes control characters: a name may come from a database and go to a terminal.
        hint = f"; choose one of {', '.join(map(repr, known[:LISTED]))}{more}"
    else:
        hint = "; the app has no durable receivers"
    return f"unknown durable receiver {name!r}{hint}"


def receivers_by_name() -> dict[str, Durable[..., Any]]:
    """Return all receivers by name and alias."""
    return dict(_receivers)


def all_receivers() -> list[Durable[..., Any]]:
    """Return each receiver once, sorted by name."""
    return sorted({*_receivers.values()}, key=lambda receiver: receiver.name)


def served_receivers(only: Sequence[str] | None) -> dict[str, Durable[..., Any]]:
    """Return the connected receivers that a worker serves, by name and alias.

    Args:
        only: The names or aliases of the receivers to serve. ``None`` means all.

    Raises:
        UnknownNameError: No receiver has one of the names.
        TypeError: ``only`` is text instead of a list of names.
    """
    if isinstance(only, str):
        message = f"receivers= must be a list of names, such as [{only!r}], not text"
        raise TypeError(message)
    known = receivers_by_name()
    for name in only or ():
        if name not in known:
            raise UnknownNameError(unknown_receiver(name, known))
    return {
        name: receiver
        for name, receiver in known.items()
        if receiver.signals and (only is None or {*receiver.names} & {*only})
    }


def restore_receivers(before: Mapping[str, Durable[..., Any]], keep: Container[int]) -> None:
    """Restore the registered receivers, for example at the end of a test.

    Args:
        before: An earlier result of :func:`receivers_by_name`.
        keep: The ids of newer receivers that stay registered.
    """
    with _registering.lock:
        for name, receiver in list(_receivers.items()):
            if name not in before and id(receiver) not in keep:
                del _receivers[name]
        _receivers.update(before)


def forget_receiver(receiver: Durable[..., Any]) -> None:
    """Remove a receiver from the registered ones, for example at the end of a test."""
    with _registering.lock:
        for name in receiver.names:
            if _receivers.get(name) is receiver:
                del _receivers[name]
