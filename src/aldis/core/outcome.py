"""What one receiver answered to a send that does not stop at errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

__all__ = ["Outcome"]

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
