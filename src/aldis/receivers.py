"""Deliveries that need no store: decorators that decide how a receiver is called.

Each is an object around the receiver whose type has ``__bind_signal__``; see
:class:`aldis.core.SupportsBindSignal` for writing another. Called directly, the object simply calls
the receiver.
"""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from types import MethodType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload
from weakref import ref

from aldis.core.observers import current_call, observe_call, report_error
from aldis.core.receiver import check_single_mode, describe, is_async, name_of
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


class Delivered(ABC, Generic[P, R]):
    """A receiver with a delivery of its own: the base of the decorators in this module.

    It looks like the function that it wraps, works on methods, and is itself the receiver: connect
    and disconnect it.

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
        """Call the receiver, as if it had no delivery."""
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
        """Return what ``signal`` calls instead of the receiver."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {name_of(self.__wrapped__)}>"


class robust(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Log what the receiver raises instead of letting it reach the sender and later receivers.

    ``send`` gets ``None`` as its value then. Works on async receivers alike.

    Attributes:
        logger: Where the errors are logged; a subclass may have another.
    """

    logger: ClassVar[logging.Logger] = _log

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return what a signal calls: the receiver, with its errors caught."""
        return self._call_async if is_async(self.__wrapped__) else self._call

    def _call(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.__wrapped__(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - that it catches them all is its promise
            self._log_error(error)
            return None

    async def _call_async(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self.__wrapped__(*args, **kwargs)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - that it catches them all is its promise
            self._log_error(error)
            return None

    def _log_error(self, error: Exception) -> None:
        report_error(self, error)
        name = describe(self.__wrapped__)
        self.logger.error("robust receiver %s raised", name, exc_info=error)


class once(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Call the receiver for the first send only, and disconnect it before it runs.

    Exactly once for each signal, whatever threads send and whether it raises or not. It is held
    strongly until then: nobody else may be waiting with it. On a method: once for each instance.
    Connected again after its call, it waits for one more.
    """

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return what a signal calls: the receiver, if nobody has claimed the call before."""
        claim = _Claim(self, ref(signal))
        return claim.call_async if is_async(self.__wrapped__) else claim.call


class _Claim:
    """The one call of a ``once`` receiver that is connected to a signal."""

    __slots__ = ("_lock", "_once", "_signal_ref")

    def __init__(self, receiver: once[..., Any], signal_ref: ref[Any]) -> None:
        self._once = receiver
        self._signal_ref = signal_ref
        self._lock = Lock()

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._once(*args, **kwargs) if self._take(args) else None

    async def call_async(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._once(*args, **kwargs) if self._take(args) else None

    def _take(self, args: tuple[Any, ...]) -> bool:
        # Never released: the call is taken for good.
        if not self._lock.acquire(blocking=False):
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
        session: The session whose commit it waits for, or what gives it; ``None``: the caller's.

    Raises:
        NoSessionError: ``session`` is neither.
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
        """Return what a signal calls: it puts the receiver off."""
        if "sqlalchemy.orm" in sys.modules:
            listen_to_sessions()  # now rather than at the first send, when threads use sessions
        return self._put_off_async if is_async(self.__wrapped__) else self._put_off

    def _put_off(self, /, *args: Any, **kwargs: Any) -> None:
        session = self._find_session()
        turn = _Turn(self, args, kwargs)
        if session.in_transaction():
            buffer_of(session).call(session, turn)
        else:
            run_in_new_transaction(session, turn)

    async def _put_off_async(self, /, *args: Any, **kwargs: Any) -> None:
        session = self._find_session()
        if not is_async_session(session):
            message = (
                f"{describe(self.__wrapped__)} is async, and the session whose commit it waits for "
                "is not: nobody could await it there. Make it sync, or use an AsyncSession"
            )
            raise AsyncReceiverError(message)
        turn = _AsyncTurn(self, args, kwargs)
        if session.in_transaction():
            buffer_of(session).call(session, turn)
        else:
            from sqlalchemy.util import greenlet_spawn  # noqa: PLC0415 - who has a session has it

            await greenlet_spawn(run_in_new_transaction, session, turn)

    def _find_session(self) -> Any:
        handle: Any
        try:
            if self._session is None:
                handle = current_scope().handle
            elif _is_session(self._session):
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
                f"{describe(self.__wrapped__)} waits for a commit, and a connection does not tell "
                "of it: only a session does. Give it one: @after_commit(session=...), or "
                "with outbox.using(session): ..."
            )
            raise NoSessionError(message)
        return handle


# What messages and `explain` call a delivery is its type's name.
AfterCommit.__name__ = "after_commit"


class _Turn:
    """The call of a receiver that waits for a commit, with what it was sent."""

    def __init__(
        self, receiver: AfterCommit[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.__wrapped__ = receiver.__wrapped__  # by which messages name it
        self._args = args
        self._kwargs = kwargs
        call = current_call()
        mine = call is not None and getattr(call.receiver, "__func__", call.receiver) is receiver
        self._observed = call if mine else None

    def __call__(self) -> None:
        """Call the receiver. To those who observe the send, it is one more turn in it."""
        call = self._observed
        if call is None:
            self._call()
            return
        with observe_call(call.emission, call.receiver, is_async=call.is_async):
            self._call()

    def _call(self) -> None:
        self.__wrapped__(*self._args, **self._kwargs)


class _AsyncTurn(_Turn):
    """The same for an async receiver, called where SQLAlchemy can await."""

    def _call(self) -> None:
        from sqlalchemy.util import await_only  # noqa: PLC0415 - who has a session has it

        await_only(self.__wrapped__(*self._args, **self._kwargs))


def _problem_with(session: Any) -> str | None:
    """Return why ``session`` cannot be it; ``None`` if it can, as far as one sees by now."""
    if isinstance(session, type) or (hasattr(session, "class_") and hasattr(session, "configure")):
        return "not what makes a new one at each call: put it into a scoped_session"
    if callable(session) or _is_session(session):
        return None
    return f"not {session!r}"


def _is_session(thing: Any) -> bool:
    """Tell whether ``thing`` is a session, sync or async: no connection, and no scoped one."""
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

    It is the *outermost* commit that counts, not the release of a savepoint. When the transaction,
    or the savepoint in which the signal was sent, or anything around that, is rolled back or
    closed, the receiver is not called. What it raises is logged, and reaches neither the caller nor
    later receivers; ``send`` gets ``None`` as its value. Its own work in the session is a
    transaction of its own, committed when it returns and rolled back when it raises. When the
    session is in no transaction, it is called at once. Its arguments are kept until then.

    An async receiver needs an ``AsyncSession`` and, as any, ``asend``; the commit awaits it.

    Args:
        function: The receiver.
        session: Whose commit: a ``scoped_session``, an ``async_scoped_session``, a callable that
            returns the current session, or a session. By default the caller's: that of
            ``with outbox.using(session):``, else that of the current app's outbox.

    Raises:
        ReceiverError: ``function`` is not callable, or it already has a delivery mode.
        NoSessionError: ``session`` is none. When there is none to be found, the send raises it.
        TypeError: The receiver is a session: that is given by name.
    """
    if function is None:
        return lambda receiver: AfterCommit(receiver, session)
    if _is_session(function) or hasattr(function, "session_factory"):  # scoped sessions have one
        message = "after_commit takes its session by name: @after_commit(session=...)"
        raise TypeError(message)
    return AfterCommit(function, session)
