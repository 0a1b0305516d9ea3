"""What the signatures of signals are written in: their type parameters, and what connects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    # A signal without a contract is a `Signal[..., Any]`, and need not be written so.
    P = ParamSpec("P", default=...)
    R = TypeVar("R", default=Any)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["ConnectDecorator", "P", "R", "Receiver"]

#: A receiver of any signal.
Receiver: TypeAlias = Callable[..., Any]


class ConnectDecorator(Protocol[P, R]):
    """What ``connect_via(sender)`` and ``connect(sender=sender)`` return.

    A sync and an async receiver fit the same contract, and each stays what it is.
    """

    @overload
    def __call__(self, receiver: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def __call__(
        self, receiver: Callable[P, Coroutine[Any, Any, R]], /
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def __call__(
        self, receiver: Callable[P, R | Awaitable[R]], /
    ) -> Callable[P, R | Awaitable[R]]: ...
