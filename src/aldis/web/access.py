"""Who may look at the dashboard, and who may change deliveries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from typing import Any, Final, Literal, Protocol, TypeAlias

from aldis.web.messages import Request, Response

__all__ = ["Access", "AccessFunction", "Application", "Grant", "granted", "local_access"]

#: The right to read, or to read and change.
Access: TypeAlias = Literal["read", "operate"]

_RIGHTS: Final = ("read", "operate")


@dataclass(frozen=True, slots=True)
class Grant:
    """The right of a user.

    Attributes:
        access: ``"read"``, or ``"operate"`` for users who may also change deliveries.
        user: The user's name, for the audit log.
    """

    access: Access
    user: str = ""

    def __post_init__(self) -> None:
        if self.access not in _RIGHTS:
            message = f'a Grant is for "read" or "operate", not {self.access!r}'
            raise ValueError(message)

    @property
    def may_operate(self) -> bool:
        """Whether the user may change deliveries."""
        return self.access == "operate"


#: The type of ``access=``. With ASGI and Quart, the function may be async.
AccessFunction: TypeAlias = Callable[
    [Request], Access | Grant | Awaitable[Access | Grant | None] | None
]


class Application(Protocol):
    """What the adapters of frameworks need of a dashboard."""

    @property
    def access(self) -> AccessFunction:
        """The function that decides who may look."""

    def respond(self, request: Request) -> Response:
        """Answer a request of a synchronous framework."""

    def respond_to(self, request: Request, grant: Grant | None) -> Response:
        """Answer a request of a user with a right; without a right, the answer is a 404."""


def local_access(request: Request) -> Grant | None:
    """Let everyone on this machine in while the app is in debug mode, and refuse all others."""
    return Grant("operate", "local user") if request.debug and request.is_local else None


def granted(answer: Any, request: Request) -> Grant | None:
    """Return the answer of an access function as a grant; ``None`` refuses the request.

    Raises:
        TypeError: The function returned anything else.
    """
    if answer is None or isinstance(answer, Grant):
        return answer
    if isawaitable(answer):
        if iscoroutine(answer):
            answer.close()
        message = "access= is an async function, which only ASGI and Quart can await: use a def"
        raise TypeError(message)
    if isinstance(answer, str) and answer in _RIGHTS:
        access: Any = answer
        return Grant(access, f"unnamed user at {request.client or 'an unknown address'}")
    message = (
        f'access= must return "read", "operate", a Grant or None, not {answer!r}: write, for '
        'example, return Grant("operate", user.name)'
    )
    raise TypeError(message)
