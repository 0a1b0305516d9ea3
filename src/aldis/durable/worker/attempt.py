"""One attempt: call the receiver of a claimed delivery, and decide what happens to the delivery."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutine
from random import uniform
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from aldis.core import observers
from aldis.core.frames import hide_frames
from aldis.core.receiver import describe
from aldis.core.serving import Serving
from aldis.durable._log import delivery_fields, get_logger
from aldis.durable.current import CurrentDelivery, delivering, lease_lost
from aldis.durable.outbox import Outbox
from aldis.durable.receiver import Durable
from aldis.durable.retry import Retry
from aldis.durable.store import Store
from aldis.durable.store._async_bridge import call_in_greenlet
from aldis.durable.store.sql.errors import Problem, was_caused_by
from aldis.durable.types import AttemptFailure
from aldis.durable.worker.limits import CONFLICT_SECONDS, CONFLICT_TRIES, MAX_CONFLICT_DELAY
from aldis.durable.worker.runs import Job
from aldis.errors import (
    AsyncReceiverError,
    GiveUp,
    LeaseLostError,
    PayloadMismatchError,
    RetryLater,
    TimeLimitError,
)
from aldis.transactions import sync_counterpart, use_session

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "AttemptResult",
    "Job",
    "RunContext",
    "TimeLimitInterrupt",
    "failure_for",
    "in_context",
    "run",
    "run_async",
    "time_limit_error",
]

T = TypeVar("T")

_log = get_logger()

#: The problems after which a new transaction of the receiver can succeed at once.
_CONFLICTS: Final = (Problem.CONFLICT, Problem.LOCKED)

_READ_ONLY: Final = (Problem.READ_ONLY,)

#: The number of characters that are stored of a traceback, counted from its end.
TRACEBACK_LENGTH = 20_000

#: The number of characters that are stored of an error message.
REASON_LENGTH = 500


class TimeLimitInterrupt(BaseException):
    """Is raised in the thread of a sync receiver that exceeds its time limit.

    It is not an ``Exception``, because a receiver that catches every ``Exception`` would go on
    beside its next attempt.
    """


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all attempts of a worker have in common.

    Attributes:
        outbox: The outbox whose deliveries run.
        store: The store that keeps these deliveries.
        app: The sender for a delivery that the app sent.
        app_context: Makes the context in which a receiver is called, such as Flask's
            ``app.app_context``.
        backoff: Returns the seconds to wait after a failed attempt, given the receiver's ``Retry``
            and the number of the attempt.
    """

    outbox: Outbox
    store: Store
    app: Any = None
    app_context: Callable[[], AbstractContextManager[Any]] = nullcontext
    backoff: Callable[[Retry, int], float] = Retry.delay


@dataclass(slots=True)
class AttemptResult:
    """The result of one attempt.

    Attributes:
        job: The delivery and its receiver.
        failure: Why the attempt failed, and when the next one starts. ``None`` means success.
        completed: Whether the completion is already committed, with the receiver's session.
        started: Whether the receiver was called.
        seconds: The duration of the attempt.
        error: The exception. It keeps the frames of the receiver alive until it is reported.
    """

    job: Job
    failure: AttemptFailure | None = None
    completed: bool = False
    started: bool = True
    seconds: float = 0.0
    error: BaseException | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver has run and has not failed."""
        return self.started and self.failure is None

    def following(self) -> Job | None:
        """Return the next job of the run, which can start now."""
        run = self.job.run
        return None if run is None else run.end(success=self.is_success)


def run(job: Job, context: RunContext) -> AttemptResult:
    """Call a sync receiver.

    Raises:
        TimeLimitInterrupt: The thread was interrupted.
    """
    result = AttemptResult(job)
    started = perf_counter()
    conflicts = _Conflicts(result)
    try:
        while True:
            attempt = _Attempt(job, context, is_async=False)
            call = partial(_call, attempt, result)
            try:
                # A new context: variables that an earlier receiver set in this thread must not be
                # visible.
                Context().run(in_context, context.app_context, call)
                break
            except Exception as error:
                delay = conflicts.delay(error)
                if delay is None:
                    raise
            sleep(delay)
    except TimeLimitInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - even sys.exit() in a receiver must not end the worker
        _note_error(result, error, context)
    result.seconds = perf_counter() - started
    return result


async def run_async(job: Job, context: RunContext) -> AttemptResult:
    """Await an async receiver, or call a sync receiver in the event loop."""
    result = AttemptResult(job)
    started = perf_counter()
    limit = asyncio.timeout(job.receiver.timeout)
    conflicts = _Conflicts(result)
    try:
        async with limit:
            while True:
                try:
                    await _await_in_context(_Attempt(job, context, is_async=True), result, context)
                    break
                except Exception as error:
                    delay = conflicts.delay(error)
                    if delay is None:
                        raise
                await asyncio.sleep(delay)
    except TimeoutError as error:
        # Either the time limit expired, or the receiver itself raised a TimeoutError.
        _note_error(result, time_limit_error(job) if limit.expired() else error, context)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # this task was cancelled
        _note_error(result, error, context)  # something that the receiver awaited was cancelled
    except BaseException as error:  # noqa: BLE001 - even sys.exit() in a receiver must not end the worker
        _note_error(result, error, context)
    result.seconds = perf_counter() - started
    return result


class _Conflicts:
    """Decides whether a receiver runs again at once after a conflict with another transaction.

    Such a conflict says nothing about the receiver, so it does not cost an attempt. The number of
    repetitions and their time are limited, because they hold a thread.

    Args:
        result: The result of the attempt.
    """

    def __init__(self, result: AttemptResult) -> None:
        self._result = result
        self._count = 0
        self._end = monotonic() + CONFLICT_SECONDS

    def delay(self, error: Exception) -> float | None:
        """Return the seconds until the receiver runs again, or ``None`` if ``error`` is final."""
        if self._result.completed or not was_caused_by(error, _CONFLICTS):
            return None
        if self._count >= CONFLICT_TRIES or monotonic() > self._end:
            return None
        claimed = self._result.job.claimed
        _log.info(
            "delivery %d (%s) conflicts with another transaction; the receiver runs again: %s",
            claimed.id,
            claimed.receiver,
            _one_line(error),
            extra=delivery_fields(claimed, claimed.attempt),
        )
        self._count += 1
        longest = min(MAX_CONFLICT_DELAY, 0.01 * 2**self._count)
        return uniform(0.0, longest)  # noqa: S311 - it only spreads the load


def in_context(make: Callable[[], Any], function: Callable[[], T]) -> T:
    """Call ``function`` inside a sync or async context manager, such as an app context."""
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


def _call(attempt: _Attempt, result: AttemptResult) -> None:
    """Call a sync receiver and commit its session."""
    try:
        with attempt.active():
            sender, arguments = attempt.decode()
            with attempt.observed(sender, arguments), attempt.serving():
                _refuse_coroutine(attempt.receiver, attempt.function(sender, **arguments))
            attempt.commit()
    except BaseException as error:
        with suppress(Exception):
            attempt.roll_back()
        if was_caused_by(error, _READ_ONLY):
            attempt.drop_connections()
        raise
    finally:
        result.completed = attempt.delivery.completed
        with suppress(Exception):
            attempt.close()


async def _await_in_context(attempt: _Attempt, result: AttemptResult, context: RunContext) -> None:
    """Call :func:`_await` inside the app context, which may be async."""
    app_context: Any = context.app_context()
    if hasattr(app_context, "__aenter__"):
        async with app_context:
            await _await(attempt, result)
    else:
        with app_context:
            await _await(attempt, result)


async def _await(attempt: _Attempt, result: AttemptResult) -> None:
    """Await an async receiver and commit its session. The steps are those of :func:`_call`."""
    try:
        with attempt.active():
            sender, arguments = await call_in_greenlet(attempt.decode)
            with attempt.observed(sender, arguments), attempt.serving():
                await _awaited(attempt.function(sender, **arguments))
            await _awaited(attempt.commit())
    except BaseException as error:
        with suppress(Exception):
            await _awaited(attempt.roll_back())
        if was_caused_by(error, _READ_ONLY):
            await call_in_greenlet(attempt.drop_connections)
        raise
    finally:
        result.completed = attempt.delivery.completed
        with suppress(Exception):
            await _awaited(attempt.close())


class _Attempt:
    """The running delivery, and the session that its receiver uses.

    If the session is async, :meth:`commit`, :meth:`roll_back` and :meth:`close` return awaitables.
    """

    def __init__(self, job: Job, context: RunContext, *, is_async: bool) -> None:
        self.receiver = job.receiver
        self.function = job.receiver.__wrapped__
        open_session = partial(context.outbox.open_session, is_async=is_async)
        self.delivery = CurrentDelivery(job.claimed, open_session, context.store)
        self.app = context.app  # read by the codec, like load()
        self._claimed = job.claimed
        self._outbox = context.outbox

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the current delivery, and the outbox the one that records the sends."""
        with delivering(self.delivery), use_session(self._outbox, None):
            yield

    def decode(self) -> tuple[Any, dict[str, Any]]:
        """Return the sender and the arguments for the receiver."""
        claimed = self._claimed
        codec = self.receiver.codec(claimed.signal)
        if codec is None:
            message = (
                f"durable receiver {claimed.receiver!r} is no longer connected to the signal "
                f"{claimed.signal!r}: connect it, or discard the delivery"
            )
            raise PayloadMismatchError(message)
        decoded = codec.decode(claimed.payload, self)
        self.delivery.end_loading()
        return decoded

    def load(self, model: type, identity: tuple[Any, ...]) -> Any | None:
        """Load a row that the payload names by its primary key."""
        session = cast("Session", sync_counterpart(self.delivery.session_for_loading()))
        return session.get(model, identity)

    def serving(self) -> AbstractContextManager[object]:
        """Let the receiver ask for the signal of the delivery."""
        if not self.receiver.needs_signal:
            return observers.NOT_OBSERVED
        return Serving(self.receiver.signal(self._claimed.signal), self.receiver)

    @contextmanager
    def observed(self, sender: Any, arguments: dict[str, Any]) -> Iterator[None]:
        """Show observers the call as part of a send."""
        signal = self.receiver.signal(self._claimed.signal) if observers.is_enabled() else None
        if signal is None:
            yield
            return
        with (
            observers.observe_send(signal, sender, arguments, "durable") as emission,
            observers.observe_call(emission, self.receiver, is_async=self.receiver.is_async),
        ):
            yield

    def commit(self) -> Any:
        """Commit the session together with the completion, if the receiver used the session."""
        session = self.delivery.opened_session
        if session is None:
            return None
        self.delivery.complete_with_commit()
        return session.commit()

    def roll_back(self) -> Any:
        """Roll back the session, if the receiver used it."""
        session = self.delivery.opened_session
        return None if session is None else session.rollback()

    def drop_connections(self) -> None:
        """Let the next attempts open new connections, because these reach a read-only server."""
        with suppress(Exception):  # the error of the receiver matters more
            self._outbox.drop_connections()

    def close(self) -> Any:
        """Close the session, if the receiver used it."""
        session = self.delivery.opened_session
        return None if session is None else self._outbox.close_session(session)


def _refuse_coroutine(receiver: Durable[..., Any], value: object) -> None:
    """Raise an error if a sync receiver returned a coroutine.

    The coroutine has not started, so the delivery must not count as done.
    """
    if not iscoroutine(value):
        return
    value.close()
    message = (
        f"{describe(receiver)} returned a coroutine but is not an async function, so the worker "
        "does not await it: make it async def, or mark it with inspect.markcoroutinefunction"
    )
    raise AsyncReceiverError(message)


async def _awaited(value: Any) -> None:
    """Wait for ``value`` if it is awaitable."""
    if hasattr(value, "__await__"):
        await value


def _note_error(result: AttemptResult, error: BaseException, context: RunContext) -> None:
    """Set the failure of an attempt that raised ``error``."""
    hide_frames(error)
    claimed = result.job.claimed
    result.error = error
    if result.completed:
        _log.error(
            "durable receiver %s raised after it had committed delivery %d; it is not retried",
            claimed.receiver,
            claimed.id,
            exc_info=error,
            extra=delivery_fields(claimed, claimed.attempt),
        )
        return
    if isinstance(error, LeaseLostError):
        fields = delivery_fields(claimed, claimed.attempt)
        _log.warning("%s", lease_lost(claimed), extra=fields)
    result.failure = failure_for(result.job, error, context)


def failure_for(job: Job, error: BaseException, context: RunContext) -> AttemptFailure:
    """Decide what happens to a delivery after an attempt that raised ``error``.

    All errors are retried alike. During a deploy, a payload that does not fit this release fits the
    next one. If the lease is lost, another worker has the delivery and the store ignores this
    failure; otherwise the loss was an error of the setup, and the attempt counts.
    """
    attempt, retry = job.claimed.attempt, job.receiver.retry
    if isinstance(error, RetryLater):
        return AttemptFailure(error.reason, None, error.seconds, counts=False)
    formatted = "".join(traceback.format_exception(error))[-TRACEBACK_LENGTH:]
    if isinstance(error, GiveUp):
        return AttemptFailure(f"gave up: {error.reason}", formatted)
    if attempt >= retry.attempts:
        return AttemptFailure(_one_line(error), formatted)
    return AttemptFailure(_one_line(error), formatted, context.backoff(retry, attempt))


def time_limit_error(job: Job) -> TimeLimitError:
    """Return the error of a receiver that exceeded its time limit."""
    name, limit = job.claimed.receiver, job.receiver.timeout
    return TimeLimitError(
        f"durable receiver {name!r} took longer than its time limit of {limit:g} s"
    )


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an app's __str__ can raise anything
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:REASON_LENGTH] if text else name
