"""The types in the signatures of signals: two type parameters and the decorator's protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    # The defaults let users write `Signal` for a signal without a contract.
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
    """The decorator that ``connect_via(sender)`` and ``connect(sender=sender)`` return.

    Sync and async receivers fit the same contract. The decorator returns the receiver unchanged.
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
