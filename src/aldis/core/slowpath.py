"""Sending by the whole of the rules: what the call loop's short cut leaves out.

Async receivers and wrappers, relays, observers, strict mode, errors that do not stop a send, and
receivers that an overridden ``receivers_for`` chose.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from aldis.core import observers, strict
from aldis.core.receiver import describe, is_async
from aldis.errors import AsyncReceiverError

__all__ = [
    "Chosen",
    "Outcome",
    "Sending",
    "Step",
    "adapt_async",
    "adapt_mixed",
    "deliver",
    "deliver_async",
]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What one receiver answered: a value, or the exception that it raised.

    Attributes:
        receiver: The receiver, as it was connected.
        value: What it returned; ``None`` when it raised.
        error: What it raised, or ``None``. A *returned* exception is a value.
    """

    receiver: Callable[..., Any]
    value: R | None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver returned."""
        return self.error is None

    def unwrap(self) -> R:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("R", self.value)


_log = logging.getLogger("aldis")

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Step(Protocol):
    """A receiver that a send may come to."""

    @property
    def live(self) -> bool:
        """Whether it is still connected."""

    @property
    def receiver(self) -> object:
        """What tells it from other receivers: one is called once."""

    @property
    def is_async(self) -> bool:
        """Whether it has to be awaited."""

    @property
    def relays(self) -> bool:
        """Whether it is another signal's ``send``."""

    @property
    def needs_send_id(self) -> bool:
        """Whether what it calls asks which send it is part of."""

    def resolve(self) -> tuple[Any, Any] | None:
        """Return the receiver and what to call, or ``None`` if it is dead."""


class Chosen:
    """A step for a callable that an overridden ``receivers_for`` yielded."""

    live = True
    relays = False

    def __init__(self, call: Callable[..., Any], named: Callable[..., Any]) -> None:
        self.receiver = self
        self.is_async = is_async(call)
        self.needs_send_id = getattr(getattr(call, "func", call), "needs_send_id", None) is True
        self._pair = (named, call)

    def resolve(self) -> tuple[Any, Any]:
        """Return the receiver that ``send`` names, and what to call."""
        return self._pair


class Sending(NamedTuple):
    """What is sent: the signal, its real sender, the keyword arguments, and by which method."""

    signal: Any
    sender: Any
    payload: dict[str, Any]
    how: str


def deliver(
    sending: Sending,
    steps: Sequence[Step],
    *,
    wrapper: Wrapper | None = None,
    robust: bool = False,
) -> list[Outcome[Any]]:
    """Call the receivers of ``steps`` one after the other.

    Args:
        sending: What is sent.
        steps: The receivers, in order.
        wrapper: Makes an async receiver sync.
        robust: Collect errors instead of stopping at the first.

    Raises:
        AsyncReceiverError: A receiver is async and there is no ``wrapper``; none has run.
    """
    if not steps and not observers.is_enabled():
        return []
    signal, sender, payload, _ = sending
    with observers.observe_send(*sending) as emission, _known(steps):
        if wrapper is None:
            _refuse_async(signal, steps)
        watch = strict.watch_payload(signal, payload)
        outcomes: list[Outcome[Any]] = []
        try:
            for step, receiver, call in _turns(steps, emission):
                run = _as_sync(step, call, wrapper)
                try:
                    with observers.observe_call(emission, receiver, is_async=step.is_async):
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
            del outcomes  # which the frames of its errors refer to: a cycle


async def deliver_async(
    sending: Sending,
    steps: Sequence[Step],
    *,
    adapt: Callable[[Step, Any], Callable[..., Any]],
    robust: bool = False,
) -> list[Outcome[Any]]:
    """Call or await the receivers of ``steps`` one after the other.

    A task that is cancelled ends the send, except for a signal whose every receiver runs: there it
    interrupts the receiver that is waiting, and is raised when the rest have run.

    Args:
        sending: What is sent.
        steps: The receivers, in order.
        adapt: From a step and what it calls to what is called here.
        robust: Collect errors instead of stopping at the first.
    """
    if not steps and not observers.is_enabled():
        return []
    signal, sender, payload, _ = sending
    cancellation: BaseException | None = None
    with observers.observe_send(*sending) as emission, _known(steps):
        watch = strict.watch_payload(signal, payload)
        outcomes: list[Outcome[Any]] = []
        try:
            for step, receiver, call in _turns(steps, emission):
                run = adapt(step, call)
                try:
                    with observers.observe_call(emission, receiver, is_async=step.is_async):
                        value = run(sender, **payload)
                        if isinstance(value, Awaitable):
                            value = await value
                except Exception as error:
                    if not robust:
                        raise
                    outcomes.append(_failed(signal, receiver, error))
                except BaseException as error:  # noqa: BLE001 - raised again, here or later
                    cancellation = _put_off(signal, error)
                else:
                    outcomes.append(Outcome(receiver, value))
                if watch is not None:
                    watch.compare(receiver)
            if cancellation is not None:
                raise cancellation
            return outcomes
        finally:
            del outcomes  # as above


def _known(steps: Sequence[Step]) -> AbstractContextManager[object]:
    """Make this send known to what its receivers call, where one of them asks."""
    return observers.SendId() if any(step.needs_send_id for step in steps) else nullcontext()


def _turns(
    steps: Sequence[Step], emission: observers.Emission | None
) -> Iterator[tuple[Step, Any, Any]]:
    """Yield who is called and what is called, looking at each when its turn has come.

    A receiver connected both for this sender and for any is called once, at the first of its
    connections that is still there.
    """
    seen = set()
    for step in steps:
        if step.receiver in seen:
            continue
        pair = step.resolve() if step.live else None
        if pair is not None:
            seen.add(step.receiver)
            yield step, *pair
        elif emission is not None:
            reason = "dead" if step.live else "disconnected during this send"
            emission.skip(None, reason)


def _as_sync(step: Step, call: Any, wrapper: Wrapper | None) -> Callable[..., Any]:
    if wrapper is None:
        return call  # type: ignore[no-any-return]
    if step.relays:
        return partial(call, _async_wrapper=wrapper)
    return wrapper(call) if step.is_async else call


def adapt_mixed(step: Step, call: Any) -> Callable[..., Any]:
    """Leave sync and async receivers as they are; a relay goes on as ``asend``."""
    return call.__self__.asend if step.relays else call  # type: ignore[no-any-return]


def adapt_async(
    signal: Any, steps: Sequence[Step], wrapper: Wrapper | None
) -> Callable[[Step, Any], Callable[..., Any]]:
    """Return what makes every receiver awaitable, as ``send_async`` promises.

    Raises:
        AsyncReceiverError: A receiver is sync and there is no ``wrapper``.
    """
    if wrapper is None:
        for step in steps:
            if step.live and not (step.is_async or step.relays) and (pair := step.resolve()):
                raise _mixed(
                    signal, pair[0], "is sync: use asend, or give send_async a _sync_wrapper"
                )

    def adapt(step: Step, call: Any) -> Callable[..., Any]:
        if step.relays:
            return partial(call.__self__.send_async, _sync_wrapper=wrapper)
        return call if step.is_async or wrapper is None else wrapper(call)

    return adapt


def _refuse_async(signal: Any, steps: Sequence[Step]) -> None:
    for step in steps:
        if step.is_async and step.live and (pair := step.resolve()):
            raise _mixed(
                signal,
                pair[0],
                "is async: await asend or send_async, or give send an _async_wrapper (in Flask: "
                "app.ensure_sync)",
            )


def _mixed(signal: Any, receiver: Any, problem: str) -> AsyncReceiverError:
    return AsyncReceiverError(f"{signal!r} was not sent: receiver {describe(receiver)} {problem}")


def _failed(signal: Any, receiver: Any, error: Exception) -> Outcome[Any]:
    log_error(signal, receiver, error)
    return Outcome(receiver, None, error)


def log_error(signal: Any, receiver: Any, error: Exception) -> None:
    """Log what a receiver raised where it does not end the send."""
    _log.error("receiver %s of %r raised", describe(receiver), signal, exc_info=error)


def _put_off(signal: Any, error: BaseException) -> BaseException:
    """Return ``error`` if it is a cancellation that has to wait for the rest; else raise it."""
    exceptions = sys.modules.get("asyncio.exceptions")  # the engine itself does without asyncio
    cancelled = exceptions is not None and isinstance(error, exceptions.CancelledError)
    if cancelled and signal.every_receiver_runs:
        return error
    raise error
