"""Delivery modes that need no database: ``robust``, ``once`` and ``after_commit``.

Each decorator makes an object around the receiver. The type of the object has ``__bind_signal__``.
See :class:`aldis.core.SupportsBindSignal` if you want to write a decorator. If you call the object
directly, it calls the receiver.
"""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, ParamSpec, TypeVar, overload
from weakref import ref

from aldis.core.frames import hide_frames
from aldis.core.observers import Call, observed_call, report_error
from aldis.core.receiver import check_single_mode, describe, is_async, name_of
from aldis.core.serving import Serving, serving
from aldis.errors import AsyncReceiverError, NoSessionError
from aldis.transactions import (
    buffer_of,
    current_scope,
    is_async_session,
    listen_to_sessions,
    run_in_new_transaction,
    sync_counterpart,
)

__all__ = ["AfterCommit", "Delivered", "after_commit", "once", "robust"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("aldis")

#: The receiver in a call that makes a decorator: ``robust()``.
_LATER: Final[Any] = object()


class Delivered(ABC, Generic[P, R]):
    """A receiver with a delivery mode. It is the base class of the decorators in this module.

    It looks like the function that it wraps, and works on methods. Connect and disconnect this
    object, not the function.

    Args:
        function: The receiver.

    Raises:
        ReceiverError: ``function`` is not callable, or it already has a delivery mode.
    """

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R]) -> None:
        check_single_mode(function, type(self).__name__)
        update_wrapper(self, function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the receiver, as if it had no delivery mode."""
        return self.__wrapped__(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Delivered[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R]: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None or isinstance(self.__wrapped__, staticmethod):
            return self
        return MethodType(self, instance)

    @abstractmethod
    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that ``signal`` calls instead of the receiver."""

    def __getnewargs__(self) -> tuple[Callable[P, R]]:
        """Let a copy be made from the receiver."""
        return (self.__wrapped__,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {name_of(self.__wrapped__)}>"


class robust(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Log the receiver's exceptions. The sender and the later receivers never see them.

    If the receiver raises, ``send`` returns ``None`` as its value. An async receiver stays async.
    ``@robust()`` is ``@robust``.

    Attributes:
        logger: The logger for the errors. A subclass may set another one.
    """

    logger: ClassVar[logging.Logger] = _log

    @overload
    def __new__(cls, function: Callable[P, R]) -> robust[P, R]: ...

    @overload
    def __new__(cls) -> _RobustDecorator: ...

    def __new__(cls, function: Any = _LATER) -> Any:
        """Return a receiver; without ``function``, return this class as the decorator."""
        return cls if function is _LATER else super().__new__(cls)

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that calls the receiver and catches its exceptions."""
        return self._call_async if is_async(self.__wrapped__) else self._call

    def _call(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.__wrapped__(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - no exception may reach the sender
            self._log_error(error)
            return None

    async def _call_async(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self.__wrapped__(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - no exception may reach the sender
            self._log_error(error)
            return None

    def _log_error(self, error: Exception) -> None:
        report_error(self, error)
        name = describe(self.__wrapped__)
        self.logger.error("robust receiver %s raised", name, exc_info=hide_frames(error))


class once(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Call the receiver for the first send only, and disconnect it before it runs.

    Each signal calls it exactly once, even if several threads send or the receiver raises. The
    signal holds it strongly until the call. A method is called once for each instance. If you
    connect the receiver again after its call, it is called once more. ``@once()`` is ``@once``.
    """

    @overload
    def __new__(cls, function: Callable[P, R]) -> once[P, R]: ...

    @overload
    def __new__(cls) -> _OnceDecorator: ...

    def __new__(cls, function: Any = _LATER) -> Any:
        """Return a receiver; without ``function``, return this class as the decorator."""
        return cls if function is _LATER else super().__new__(cls)

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that calls the receiver at its first call."""
        claim = _Claim(self, ref(signal))
        return claim.call_async if is_async(self.__wrapped__) else claim.call


if TYPE_CHECKING:
    # The types of `robust()` and `once()`. mypy requires that `__new__` returns a subclass.

    class _RobustDecorator(robust[..., Any]):
        def __init__(self) -> None: ...
        def __call__(self, function: Callable[P, R], /) -> robust[P, R]: ...

    class _OnceDecorator(once[..., Any]):
        def __init__(self) -> None: ...
        def __call__(self, function: Callable[P, R], /) -> once[P, R]: ...


class _Claim:
    """Guards the one call of a ``once`` receiver that is connected to a signal."""

    __slots__ = ("_left", "_once", "_signal_ref")

    def __init__(self, receiver: once[..., Any], signal_ref: ref[Any]) -> None:
        self._once = receiver
        self._signal_ref = signal_ref
        self._left = [self]

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._once(*args, **kwargs) if self._take(args) else None

    async def call_async(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._once(*args, **kwargs) if self._take(args) else None

    def _take(self, args: tuple[Any, ...]) -> bool:
        try:
            self._left.pop()  # one step: another thread, or a signal handler, finds nothing
        except IndexError:
            return False
        *instance, _sender = args
        receiver = MethodType(self._once, *instance) if instance else self._once
        signal = self._signal_ref()
        if signal is not None:
            signal.disconnect(receiver)
        return True


class AfterCommit(Delivered[P, R]):
    """A receiver that :func:`after_commit` decorates.

    Args:
        function: The receiver.
        session: The session whose commit it waits for, or a callable that returns the session.
            ``None`` means the caller's session.

    Raises:
        NoSessionError: ``session`` is not a session and not such a callable.
    """

    def __init__(self, function: Callable[P, R], session: Any = None) -> None:
        super().__init__(function)
        problem = None if session is None else _problem_with(session)
        if problem is not None:
            message = (
                f"{describe(function)}: session must be a session, or a callable that gives the "
                f"current one, {problem}"
            )
            raise NoSessionError(message)
        self._session = session

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that queues the receiver until the commit."""
        if "sqlalchemy.orm" in sys.modules:
            listen_to_sessions()  # early, because other threads may use sessions at the first send
        return self._queue_async if is_async(self.__wrapped__) else self._queue

    def _queue(self, /, *args: Any, **kwargs: Any) -> None:
        session = self._find_session()
        call = _QueuedCall(self, args, kwargs)
        if session.in_transaction():
            call.defer(session)
        else:
            run_in_new_transaction(session, call)

    async def _queue_async(self, /, *args: Any, **kwargs: Any) -> None:
        session = self._find_session()
        if not is_async_session(session):
            message = (
                f"{describe(self.__wrapped__)} is async, but the session whose commit it waits for "
                "is sync and cannot await it; make the receiver sync, or use an AsyncSession"
            )
            raise AsyncReceiverError(message)
        call = _QueuedAsyncCall(self, args, kwargs)
        if session.in_transaction():
            call.defer(session)
        else:
            from sqlalchemy.util import greenlet_spawn  # noqa: PLC0415 - SQLAlchemy is optional

            await greenlet_spawn(run_in_new_transaction, session, call)

    def _find_session(self) -> Any:
        handle: Any
        try:
            if self._session is None:
                handle = current_scope().handle
            elif type(self._session) is not FunctionType and _is_session(self._session):
                handle = sync_counterpart(self._session)
            else:
                handle = sync_counterpart(self._session())
        except NoSessionError as error:
            message = (
                f"{describe(self.__wrapped__)} waits for a commit: {error}; or give the receiver "
                "its session: @after_commit(session=db.session)"
            )
            raise NoSessionError(message) from error
        if handle is None:
            message = (
                f"{describe(self.__wrapped__)} waits for a commit, and the outbox in use has no "
                "session; give the receiver one: @after_commit(session=db.session)"
            )
            raise NoSessionError(message)
        if not _is_session(handle):
            message = (
                f"{describe(self.__wrapped__)} waits for a commit, and only a session reports its "
                "commit, not a connection; pass a session: @after_commit(session=...), or "
                "with outbox.using(session): ..."
            )
            raise NoSessionError(message)
        return handle


# Messages and `explain` show the type's name as the delivery mode.
AfterCommit.__name__ = "after_commit"


class _QueuedCall:
    """The call of a receiver that waits for a commit, with its arguments."""

    def __init__(
        self, receiver: AfterCommit[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.__wrapped__ = receiver.__wrapped__  # messages show its name
        self._args = args
        self._kwargs = kwargs
        self._receiver = receiver
        self._deferred_in: Call | None = None
        self._serving = _serving_for(receiver)

    def defer(self, session: Any) -> None:
        """Wait for the commit of ``session``."""
        self._deferred_in = observed_call(self._receiver)
        buffer_of(session).call(session, self)
        if self._deferred_in is not None:
            self.report("deferred")

    def report(self, state: str) -> None:
        """Show observers what happened to the call."""
        if self._deferred_in is not None:
            self._deferred_in.report(state)

    def __call__(self) -> None:
        """Call the receiver. After a commit, observers see a second call of it in the send."""
        call = self._deferred_in
        if call is not None:
            state = "called after the commit"
            with Call(call.emission, call.receiver, is_async=call.is_async, state=state):
                self._call()
            return
        try:
            self._call()
        except Exception as error:
            report_error(self._receiver, error)
            raise

    def _call(self) -> None:
        if self._serving is None:
            self._run()
            return
        with Serving(self._serving.signal, self._serving.receiver):
            self._run()

    def _run(self) -> None:
        self.__wrapped__(*self._args, **self._kwargs)


def _serving_for(receiver: AfterCommit[..., Any]) -> Serving | None:
    """Return the record of the running send of ``receiver``, if it asks for its signal."""
    current = serving()
    mine = current is not None and getattr(current.receiver, "__func__", current.receiver)
    return current if mine is receiver else None


class _QueuedAsyncCall(_QueuedCall):
    """The call of an async receiver, made where SQLAlchemy can await it."""

    def _run(self) -> None:
        from sqlalchemy.util import await_only  # noqa: PLC0415 - SQLAlchemy is optional

        await_only(self.__wrapped__(*self._args, **self._kwargs))


def _problem_with(session: Any) -> str | None:
    """Return why ``session`` cannot give a session, or ``None`` if it probably can."""
    if isinstance(session, type) or (hasattr(session, "class_") and hasattr(session, "configure")):
        return "not an object that makes a new session at each call; put it into a scoped_session"
    if callable(session) or _is_session(session):
        return None
    return f"not {session!r}"


def _is_session(thing: Any) -> bool:
    """Return whether ``thing`` is a sync or async session, not a connection or a scoped session."""
    return hasattr(thing, "in_nested_transaction") and hasattr(thing, "flush")


@overload
def after_commit(function: Callable[P, R], /) -> AfterCommit[P, R]: ...


@overload
def after_commit(*, session: Any) -> Callable[[Callable[P, R]], AfterCommit[P, R]]: ...


def after_commit(function: Callable[..., Any] | None = None, /, *, session: Any = None) -> Any:
    """Call the receiver after the commit of the transaction in which the signal was sent.

    ::

        @order_paid.connect
        @after_commit
        def invalidate(sender, **extra): ...

        @order_paid.connect
        @after_commit(session=db.session)
        def announce(sender, **extra): ...

    The *outermost* commit counts, not the release of a savepoint. If the transaction, or the
    savepoint in which the signal was sent, is rolled back or closed, the receiver is not called.
    aldis logs the exceptions of the receiver, and neither the caller nor the later receivers see
    them. ``send`` returns ``None`` as its value. The receiver's own work in the session runs in a
    new transaction. aldis commits it when the receiver returns, and rolls it back when the receiver
    raises. If the session has no transaction, the receiver is called at once. aldis keeps its
    arguments until the call.

    An async receiver needs an ``AsyncSession``, and a send with ``asend``. The commit awaits it.

    Args:
        function: The receiver.
        session: A ``scoped_session``, an ``async_scoped_session``, a callable that returns the
            current session, or a session. The default is the caller's session: that of ``with
            outbox.using(session):``, or that of the current app's outbox.

    Raises:
        ReceiverError: ``function`` is not callable, or it already has a delivery mode.
        NoSessionError: ``session`` is not a session. A send without a session raises this.
        TypeError: The receiver is a session. Pass a session by name.
    """
    if function is None:
        return lambda receiver: AfterCommit(receiver, session)
    if _is_session(function) or hasattr(function, "session_factory"):  # scoped sessions have one
        message = "after_commit takes its session by name: @after_commit(session=...)"
        raise TypeError(message)
    return AfterCommit(function, session)
