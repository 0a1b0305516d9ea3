"""The systems: each is one file here, which imports its library at the top.

Such a file has ``DISTRIBUTIONS``, whose versions are reported, and a class ``System``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

#: What every receiver of every system does: it counts the order, and no more.
Receive = Callable[[int], None]


class UnsupportedError(Exception):
    """The system has no such thing."""


class System(Protocol):
    """What a system does in the benchmark. It is made from its place (a URL or a file).

    The process that enqueues and the worker each have their own.
    """

    def install(self) -> None:
        """Make the tables, where there are some, in an empty place."""

    def enqueue(self, order_ids: range) -> None:
        """Hand the orders in, each committed before the next."""

    def together(self, order_ids: range) -> None:
        """Hand the orders in within one transaction.

        Raises:
            UnsupportedError: The system knows no transaction.
        """

    def fill(self, count: int) -> None:
        """Let ``count`` orders wait, by the fastest way there is; this is not measured."""

    def left(self) -> int:
        """Return how many wait or are not yet acknowledged."""

    def work(self, receive: Receive) -> None:
        """Run the system's own worker, which gives each order to ``receive``, until killed."""


def load(system: str, place: str, settings: dict[str, Any]) -> System:
    """Return a system at its place."""
    made: System = import_module(f"benchmarks.durable.systems.{system}").System(place, **settings)
    return made
