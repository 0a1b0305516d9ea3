"""The sends that the call loop does not handle itself.

These are sends with async receivers or wrappers, relays, observers, strict mode, errors that do not
end the send, and receivers that an overridden ``receivers_for`` returned.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from aldis.core import observers, strict
from aldis.core._native import OutcomeFields, set_outcome_type
from aldis.core.frames import hide_frames
from aldis.core.process import log
from aldis.core.receiver import (
    asks_signal,
    describe,
    describe_signal,
    is_async,
    needs_send_id,
)
from aldis.core.serving import Serving
from aldis.errors import AsyncReceiverError

__all__ = [
    "ChosenStep",
    "Outcome",
    "Send",
    "Step",
    "await_receivers",
    "call_receivers",
    "log_error",
    "mixed",
    "only_async",
    "pairs",
    "report_absence",
]

R = TypeVar("R")

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Outcome(OutcomeFields, Generic[R]):
    """The result of one receiver: a value, or the exception that it raised. It cannot be changed.

    Attributes:
        receiver: The receiver, as it was connected.
        value: The value that it returned; ``None`` if it raised.
        error: The exception that it raised, or ``None``. A *returned* exception is a value.
    """

    # Not a dataclass: `import aldis` would take a tenth longer.
    __slots__ = ()
    __match_args__ = ("receiver", "value", "error")

    receiver: Callable[..., Any]
    value: R | None
    error: Exception | None

    @property
    def ok(self) -> bool:
        """Whether the receiver returned."""
        return self.error is None

    def unwrap(self) -> R:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("R", self.value)

    def _fields(self) -> tuple[Any, ...]:
        return self.receiver, self.value, self.error

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == cast("Outcome[Any]", other)._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        receiver, value, error = self._fields()
        return f"{type(self).__qualname__}({receiver=}, {value=}, {error=})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an outcome cannot be changed: {name!r} was to be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an outcome cannot be changed: {name!r} was to be deleted")

    def __reduce__(self) -> Any:
        return type(self), self._fields()

    def __replace__(self, /, **changes: Any) -> Outcome[Any]:
        """Return a copy with other fields, for ``copy.replace``."""
        return type(self)(**dict(zip(self.__match_args__, self._fields(), strict=True)) | changes)


set_outcome_type(Outcome)


class Facts(Protocol):
    """The facts about a receiver that a send needs."""

    @property
    def is_async(self) -> bool:
        """Whether the callable must be awaited."""

    @property
    def relays(self) -> bool:
        """Whether the receiver is the ``send`` of another signal."""

    @property
    def needs_send_id(self) -> bool:
        """Whether the callable reads the id of the send."""

    @property
    def needs_signal(self) -> bool:
        """Whether the receiver asks for the current signal."""


class Record(Protocol):
    """The record of a receiver. Equal keys mean the same receiver."""

    @property
    def key(self) -> object:
        """The key of the receiver."""

    @property
    def info(self) -> Facts:
        """The facts about the receiver."""


class Step(Protocol):
    """A receiver that a send may call."""

    @property
    def live(self) -> bool:
        """Whether it is still connected."""

    @property
    def receiver(self) -> Record:
        """The record of the receiver. A send calls each receiver once."""

    def resolve(self) -> tuple[Any, Any] | None:
        """Return the receiver and its callable, or ``None`` if it is dead or disconnected."""


class ChosenStep:
    """A callable that an overridden ``receivers_for`` returned.

    Args:
        call: The callable.
        receiver: The receiver that the results of ``send`` name.
    """

    live = True
    relays = False

    def __init__(self, call: Callable[..., Any], receiver: Callable[..., Any]) -> None:
        self.receiver = self.key = self.info = self
        self.is_async: bool = is_async(call)
        self.needs_send_id: bool = needs_send_id(getattr(call, "func", call))
        self.needs_signal: bool = asks_signal(receiver)
        self._pair = (receiver, call)

    def resolve(self) -> tuple[Any, Any]:
        """Return the receiver and the callable."""
        return self._pair


class Send(NamedTuple):
    """One send.

    Attributes:
        signal: The signal.
        sender: The sender; it is not a proxy.
        payload: The keyword arguments.
        how: The name of the method that sends.
        steps: The receivers, in order.
    """

    signal: Any
    sender: Any
    payload: dict[str, Any]
    how: str
    steps: Sequence[Step]


def call_receivers(
    send: Send, *, wrapper: Wrapper | None = None, robust: bool = False
) -> list[Outcome[Any]]:
    """Call the receivers one after the other.

    Args:
        send: The send.
        wrapper: Makes an async receiver sync.
        robust: Whether to collect errors instead of stopping at the first one.

    Raises:
        AsyncReceiverError: A receiver is async and there is no ``wrapper``. No receiver was called.
    """
    signal, sender, payload, _, steps = send
    if not steps and not observers.enabled and not strict.is_strict():
        return []
    with _emission(send) as emission, _send_id(steps):
        if wrapper is None:
            _refuse_async(signal, steps)
        watch = strict.watch_payload(signal, sender, payload) if strict.is_strict() else None
        outcomes: list[Outcome[Any]] = []
        try:
            for step, receiver, call in _live_calls(steps, emission):
                run = call if wrapper is None else _as_sync(step.receiver.info, call, wrapper)
                try:
                    with _call(signal, emission, receiver, step):
                        value = run(sender, **payload)
                except Exception as error:
                    if not robust:
                        raise
                    outcomes.append(_failed(signal, receiver, error))
                else:
                    outcomes.append(Outcome(receiver, value))
                if watch is not None:
                    watch.compare(receiver)
            return outcomes
        finally:
            # The frames of the errors in them refer to this frame, which would be a cycle.
            del outcomes, emission


def report_absence(emission: observers.Emission, step: Step) -> None:
    """Notify the observers of a receiver that died or was disconnected during the send."""
    emission.skip(None, "dead" if step.live else "disconnected during this send")


async def await_receivers(
    send: Send, *, adapt: Callable[[Facts, Any], Callable[..., Any]], robust: bool = False
) -> list[Outcome[Any]]:
    """Call or await the receivers one after the other.

    A cancelled task ends the send. If the signal has ``continue_on_error``, the cancellation only
    interrupts the receiver that is waiting. It is raised after the remaining receivers ran.

    Args:
        send: The send.
        adapt: Returns the callable to use for the callable of a receiver.
        robust: Whether to collect errors instead of stopping at the first one.
    """
    signal, sender, payload, _, steps = send
    if not steps and not observers.enabled and not strict.is_strict():
        return []
    cancellation: BaseException | None = None
    with _emission(send) as emission, _send_id(steps):
        watch = strict.watch_payload(signal, sender, payload) if strict.is_strict() else None
        outcomes: list[Outcome[Any]] = []
        try:
            for step, receiver, call in _live_calls(steps, emission):
                run = adapt(step.receiver.info, call)
                try:
                    with _call(signal, emission, receiver, step):
                        value = run(sender, **payload)
                        if isinstance(value, Awaitable):
                            value = await value
                except Exception as error:
                    if not robust:
                        raise
                    outcomes.append(_failed(signal, receiver, error))
                except BaseException as error:  # noqa: BLE001 - it is raised here or after the loop
                    cancellation = _postpone(signal, error)
                else:
                    outcomes.append(Outcome(receiver, value))
                if watch is not None:
                    watch.compare(receiver)
            if cancellation is not None:
                raise cancellation
            return outcomes
        finally:
            # The frames of the errors in them refer to this frame, which would be a cycle.
            del outcomes, emission


def pairs(outcomes: Sequence[Outcome[Any]]) -> list[tuple[Any, Any]]:
    """Return the receivers and their values, or raise the first error."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return [(outcome.receiver, outcome.value) for outcome in outcomes]
    error = errors[0]
    try:
        raise error
    finally:
        del error, errors, outcomes  # the error refers to this frame, which would be a cycle


# -- the parts of a send -------------------------------------------------------------------------


def _emission(send: Send) -> AbstractContextManager[observers.Emission | None]:
    if not observers.enabled:
        return observers.NOT_OBSERVED
    return observers.observe_send(send.signal, send.sender, send.payload, send.how)


def _call(
    signal: Any, emission: observers.Emission | None, receiver: Any, step: Step
) -> AbstractContextManager[object]:
    facts = step.receiver.info
    call = observers.observe_call(emission, receiver, is_async=facts.is_async)
    return Serving(signal, receiver, call) if facts.needs_signal else call


def _send_id(steps: Sequence[Step]) -> AbstractContextManager[object]:
    if any([step.receiver.info.needs_send_id for step in steps]):  # noqa: C419 - faster
        return observers.SendId()
    return observers.NOT_OBSERVED


def _live_calls(
    steps: Sequence[Step], emission: observers.Emission | None
) -> Iterator[tuple[Step, Any, Any]]:
    """Yield each receiver and its callable, just before it is called.

    A receiver that is connected both for this sender and for any sender is called once, at the
    first of its connections that still exists.
    """
    seen = set()
    for step in steps:
        if step.receiver.key in seen:
            continue
        pair = step.resolve()
        if pair is not None:
            seen.add(step.receiver.key)
            yield step, *pair
        elif emission is not None:
            report_absence(emission, step)


def _as_sync(facts: Facts, call: Any, wrapper: Wrapper) -> Callable[..., Any]:
    if facts.relays:
        return partial(call, _async_wrapper=wrapper)
    return wrapper(call) if facts.is_async else call


def mixed(facts: Facts, call: Any) -> Callable[..., Any]:
    """Adapt a callable for ``asend``: a relay calls ``asend``, everything else stays as it is."""
    return call.__self__.asend if facts.relays else call  # type: ignore[no-any-return]


def only_async(send: Send, wrapper: Wrapper | None) -> Callable[[Facts, Any], Callable[..., Any]]:
    """Return the function that makes every callable async, for ``send_async``.

    Raises:
        AsyncReceiverError: A receiver is sync and there is no ``wrapper``.
    """
    if wrapper is None:
        for step in send.steps:
            facts = step.receiver.info
            if not (facts.is_async or facts.relays) and (pair := step.resolve()):
                problem = "is sync: use asend, or give send_async a _sync_wrapper"
                raise _not_sent(send.signal, pair[0], problem)

    def adapt(facts: Facts, call: Any) -> Callable[..., Any]:
        if facts.relays:
            return partial(call.__self__.send_async, _sync_wrapper=wrapper)
        return call if facts.is_async or wrapper is None else wrapper(call)

    return adapt


def _refuse_async(signal: Any, steps: Sequence[Step]) -> None:
    for step in steps:
        if step.receiver.info.is_async and (pair := step.resolve()):
            problem = (
                "is async: await asend or send_async, or give send an _async_wrapper (in Flask: "
                "app.ensure_sync)"
            )
            raise _not_sent(signal, pair[0], problem)


def _not_sent(signal: Any, receiver: Any, problem: str) -> AsyncReceiverError:
    return AsyncReceiverError(
        f"{describe_signal(signal)} was not sent: receiver {describe(receiver)} {problem}"
    )


def _failed(signal: Any, receiver: Any, error: Exception) -> Outcome[Any]:
    log_error(signal, receiver, error)
    return Outcome(receiver, None, error)


def log_error(signal: Any, receiver: Any, error: Exception) -> None:
    """Log an error of a receiver that does not end the send."""
    names = describe(receiver), describe_signal(signal)
    log().error("receiver %s of %s raised", *names, exc_info=hide_frames(error))


def _postpone(signal: Any, error: BaseException) -> BaseException:
    """Return ``error`` if it is a cancellation and the signal continues; otherwise raise it."""
    exceptions = sys.modules.get("asyncio.exceptions")  # aldis.core does not import asyncio
    cancelled = exceptions is not None and isinstance(error, exceptions.CancelledError)
    if cancelled and signal.continue_on_error:
        return error
    raise error
