"""One attempt at one delivery: the receiver is called, and what became of it is said."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from inspect import iscoroutine
from time import perf_counter
from typing import Any, TypeVar

from aldis.core import observers
from aldis.core.receiver import describe
from aldis.durable.current import CurrentDelivery, delivering, lost
from aldis.durable.outbox import Outbox
from aldis.durable.receiver import Durable
from aldis.durable.store import Store
from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.types import AttemptFailure, ClaimedDelivery
from aldis.errors import (
    AsyncReceiverError,
    GiveUp,
    LeaseLostError,
    NoSessionError,
    PayloadError,
    PayloadMismatchError,
    RetryLater,
    TimeLimitError,
)
from aldis.transactions import sync_counterpart, use_session

__all__ = ["Ran", "Setting", "Work", "in_context", "judge", "run", "run_async"]

T = TypeVar("T")

_log = logging.getLogger("aldis")

#: How much of a traceback is kept, from its end.
LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Setting:
    """Where receivers run.

    Attributes:
        outbox: Whose deliveries they are.
        store: Where those are completed.
        app: What a sender that was the app becomes.
        context: Makes the context in which a receiver is called: an app's ``app_context``.
        heard: Called with what a receiver has raised, where it ran.
    """

    outbox: Outbox
    store: Store
    app: Any = None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    heard: Callable[[BaseException], None] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A delivery, and the receiver whose it is.

    Attributes:
        claimed: The delivery.
        receiver: The receiver.
        expected: How many seconds it will probably take; ``None`` if nobody knows, or that is long.
    """

    claimed: ClaimedDelivery
    receiver: Durable[..., Any]
    expected: float | None = None


@dataclass(slots=True)
class Ran:
    """What became of an attempt.

    Attributes:
        work: The delivery.
        failure: Why it has to be tried again, or not; ``None`` if the receiver returned.
        completed: Whether the completion is committed already.
        begun: Whether the receiver was called at all.
        seconds: How long it took.
    """

    work: Work
    failure: AttemptFailure | None = None
    completed: bool = False
    begun: bool = True
    seconds: float = 0.0


def run(work: Work, setting: Setting) -> Ran:
    """Call a sync receiver."""
    ran = Ran(work)
    started = perf_counter()
    try:
        # The thread's own would keep what an earlier receiver has set.
        Context().run(in_context, setting.context, lambda: _run_in_context(work, setting, ran))
    except TimeLimitError:
        raise
    except BaseException as error:  # noqa: BLE001 - a receiver may even exit; the worker goes on
        _note(ran, error, setting)
    ran.seconds = perf_counter() - started
    return ran


def in_context(make: Callable[[], Any], function: Callable[[], T]) -> T:
    """Return what ``function`` returns inside a context, be it an async one such as Quart's."""
    context = make()
    if hasattr(context, "__enter__"):
        with context:
            return function()
    variables = copy_context()
    with asyncio.Runner() as runner:
        runner.run(context.__aenter__(), context=variables)
        try:
            return variables.run(function)
        finally:
            runner.run(context.__aexit__(*sys.exc_info()), context=variables)


def _run_in_context(work: Work, setting: Setting, ran: Ran) -> None:
    session: Any = None

    def open_session() -> Any:
        nonlocal session
        session = setting.outbox.open_session()
        return session

    delivery = CurrentDelivery(work.claimed, open_session, setting.store)
    try:
        with delivering(delivery), use_session(setting.outbox, None):
            sender, arguments = _decode(work, setting, delivery)
            with _observed(work, sender, arguments):
                answer = work.receiver(sender, **arguments)
                _check_that_it_ran(work, answer)
            if session is not None:
                delivery.complete_with_commit()
                session.commit()
    except BaseException:
        if session is not None:
            with suppress(Exception):
                session.rollback()
        raise
    finally:
        ran.completed = delivery.completed
        if session is not None:
            with suppress(Exception):
                setting.outbox.close_session(session)


def _check_that_it_ran(work: Work, answer: object) -> None:
    if not iscoroutine(answer):
        return
    answer.close()  # nothing of it has run, and done would be a lie
    message = (
        f"{describe(work.receiver)} returned a coroutine, which nobody awaits, as it is no async "
        "function itself: make it one (async def), or mark it with inspect.markcoroutinefunction"
    )
    raise AsyncReceiverError(message)


async def run_async(work: Work, setting: Setting) -> Ran:
    """Await an async receiver, or call a sync one in the event loop."""
    ran = Ran(work)
    started = perf_counter()
    limit = asyncio.timeout(work.receiver.timeout)
    try:
        async with limit:
            await _run_async_in_context(work, setting, ran)
    except TimeoutError as error:  # of the limit, or the receiver's own
        _note(ran, TimeLimitError(too_long(work)) if limit.expired() else error, setting)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        _note(ran, error, setting)  # of something that the receiver awaited
    except BaseException as error:  # noqa: BLE001 - as above
        _note(ran, error, setting)
    ran.seconds = perf_counter() - started
    return ran


async def _run_async_in_context(work: Work, setting: Setting, ran: Ran) -> None:
    context: Any = setting.context()
    if hasattr(context, "__aenter__"):
        async with context:
            await _await_receiver(work, setting, ran)
    else:
        with context:
            await _await_receiver(work, setting, ran)


async def _await_receiver(work: Work, setting: Setting, ran: Ran) -> None:
    session: Any = None

    def open_session() -> Any:
        nonlocal session
        session = setting.outbox.open_session(is_async=True)
        return session

    delivery = CurrentDelivery(work.claimed, open_session, setting.store)
    try:
        with delivering(delivery), use_session(setting.outbox, None):
            sender, arguments = await call_in_greenlet(_decode, work, setting, delivery)
            with _observed(work, sender, arguments):
                answer = work.receiver(sender, **arguments)
                if hasattr(answer, "__await__"):
                    await answer
            if session is not None:
                delivery.complete_with_commit()
                await _ended(session.commit())
    except BaseException:
        if session is not None:
            with suppress(Exception):
                await _ended(session.rollback())
        raise
    finally:
        ran.completed = delivery.completed
        if session is not None:
            with suppress(Exception):
                await _ended(setting.outbox.close_session(session))


async def _ended(answer: Any) -> None:
    """Wait for what an async session answers; a sync one has answered."""
    if hasattr(answer, "__await__"):
        await answer


class _Loader:
    """What the worker knows that was not recorded."""

    def __init__(self, app: Any, delivery: CurrentDelivery) -> None:
        self.app = app
        self._delivery = delivery

    def load(self, model: type, identity: tuple[Any, ...]) -> Any | None:
        return sync_counterpart(self._delivery.session).get(model, identity)


def _decode(work: Work, setting: Setting, delivery: CurrentDelivery) -> tuple[Any, dict[str, Any]]:
    claimed = work.claimed
    codec = work.receiver.codec(claimed.signal)
    if codec is None:
        message = (
            f"durable receiver {claimed.receiver!r} is not connected to the signal "
            f"{claimed.signal!r} any more: connect it, or discard the delivery"
        )
        raise PayloadMismatchError(message)
    return codec.decode(claimed.payload, _Loader(setting.app, delivery))


@contextmanager
def _observed(work: Work, sender: Any, arguments: dict[str, Any]) -> Iterator[None]:
    """Show observers the call as part of a send, and what is sent inside it."""
    signal = work.receiver.signal(work.claimed.signal) if observers.is_enabled() else None
    if signal is None:
        yield
        return
    with (
        observers.observe_send(signal, sender, arguments, "durable") as emission,
        observers.observe_call(emission, work.receiver, is_async=work.receiver.is_async),
    ):
        yield


def _note(ran: Ran, error: BaseException, setting: Setting) -> None:
    """Say what an error means for the delivery."""
    if setting.heard is not None:
        setting.heard(error)
    claimed = ran.work.claimed
    if ran.completed:
        _log.error(
            "durable receiver %s raised after it had committed delivery %d: no other try",
            claimed.receiver,
            claimed.id,
            exc_info=error,
        )
        return
    if isinstance(error, LeaseLostError):
        _log.warning("%s", lost(claimed))
    ran.failure = judge(ran.work, error)


def judge(work: Work, error: BaseException) -> AttemptFailure:
    """Decide what comes after an attempt that raised ``error``."""
    claimed, retry = work.claimed, work.receiver.retry
    if isinstance(error, LeaseLostError):
        # Nothing is written of it: it is another worker's to say what comes next.
        return AttemptFailure(_in_a_line(error), None, 0.0, counts=False)
    if isinstance(error, RetryLater):
        return AttemptFailure(error.reason, None, error.seconds, counts=False)
    reason = _in_a_line(error)
    written = "".join(traceback.format_exception(error))[-LONGEST:]
    if isinstance(error, GiveUp):
        return AttemptFailure(f"gave up: {error.reason}", written)
    # Neither will be any better the next time: the payload stays what it is.
    if isinstance(error, (PayloadError, NoSessionError)):
        return AttemptFailure(reason, written)
    if claimed.attempt >= retry.attempts:
        return AttemptFailure(reason, written)
    return AttemptFailure(reason, written, retry.delay(claimed.attempt))


def too_long(work: Work) -> str:
    """Return in words that a receiver has not returned in time."""
    name, limit = work.claimed.receiver, work.receiver.timeout
    return f"durable receiver {name!r} took longer than its {limit:g} s"


def _in_a_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a __str__ may do anything
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:500] if text else name
