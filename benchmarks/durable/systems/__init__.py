"""The systems: each is one file here, which imports its library at the top.

Such a file has ``DISTRIBUTIONS``, whose versions are reported, and a class ``System``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

#: The work of every receiver: it counts the order.
Receive = Callable[[int], None]


class UnsupportedError(Exception):
    """The system does not have this feature."""


class System(Protocol):
    """The interface of a system. Its argument is its place, a URL or a file.

    The process that enqueues has one object, and the worker has another.
    """

    def install(self) -> None:
        """Create the tables, if it has tables, in an empty place."""

    def enqueue(self, order_ids: range) -> None:
        """Enqueue the orders, each with its own commit."""

    def together(self, order_ids: range) -> None:
        """Enqueue the orders in one transaction.

        Raises:
            UnsupportedError: The system has no transactions.
        """

    def fill(self, count: int) -> None:
        """Add ``count`` waiting orders in the fastest way. This is not measured."""

    def left(self) -> int:
        """Return the number of orders that wait or are not acknowledged."""

    def work(self, receive: Receive) -> None:
        """Run the worker of the system until it is killed. It calls ``receive`` for each order."""


def load(system: str, place: str, settings: dict[str, Any]) -> System:
    """Return a system in its place."""
    made: System = import_module(f"benchmarks.durable.systems.{system}").System(place, **settings)
    return made
