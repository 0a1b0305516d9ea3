"""Deliveries that need no store: decorators that decide how a receiver is called.

Each is an object around the receiver whose type has ``__bind_signal__``; see
:class:`aldis.core.SupportsBindSignal` for writing another. Called directly, the object simply calls
the receiver.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from types import MethodType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload
from weakref import ref

from aldis.core.binding import check_undelivered
from aldis.core.callables import in_words, is_async, name_of
from aldis.core.tap import report

__all__ = ["Delivered", "once", "robust"]

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
        NotCallableError: ``function`` cannot be called.
        HiddenDeliveryError: ``function`` has a delivery already.
    """

    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R]) -> None:
        check_undelivered(function, type(self).__name__)
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
        report(self, error)
        name = in_words(self.__wrapped__)
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
