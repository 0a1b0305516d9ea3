"""A statement that is ready to be measured, and its receivers and senders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType
from typing import Any


class UnsupportedError(Exception):
    """This contender does not support the case, so it is left out."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A statement that is ready to be timed.

    Attributes:
        statement: The source code that is timed repeatedly.
        names: The local names that it uses.
        keep: Objects that must stay alive, such as weakly connected receivers.
        runs: The number of receivers that one run calls, or ``None`` if it is unknown.
    """

    statement: str
    names: Mapping[str, Any]
    keep: object = None
    runs: int | None = None


class Sender:
    """A sender, like any object of a user."""


@dataclass(frozen=True, slots=True)
class Participants:
    """The receivers and senders of one case. All contenders use this code to make them.

    Attributes:
        shape: ``functions``, ``open`` (functions with ``**extra``), ``methods`` (bound methods of
            different objects), ``narrow`` (functions for one sender, and as many for another one)
            or ``coroutines`` (async functions).
        size: The number of receivers that one send calls.
    """

    shape: str
    size: int
    sender: Sender = field(default_factory=Sender)
    other: Sender = field(default_factory=Sender)

    def receivers(self, parameters: str = "sender, a") -> list[Any]:
        """Make the receivers. Each has its own code, takes ``parameters`` and returns None."""
        if self.shape == "open":
            parameters = "sender, **extra"
        if self.shape == "methods":
            functions = _functions(f"self, {parameters}", self.size)
            return [MethodType(function, _Owner()) for function in functions]
        kind = "async def" if self.shape == "coroutines" else "def"
        return _functions(parameters, self.size, kind)

    def connections(
        self, any_sender: object, parameters: str = "sender, a"
    ) -> Iterator[tuple[Any, object]]:
        """Yield each receiver with the sender to connect it for."""
        sender = self.sender if self.shape == "narrow" else any_sender
        for receiver in self.receivers(parameters):
            yield receiver, sender
        if self.shape == "narrow":
            for receiver in self.receivers(parameters):
                yield receiver, self.other

    def of_any_sender(self, parameters: str = "sender, a") -> list[Any]:
        """Make the receivers for a contender without senders.

        Raises:
            UnsupportedError: The case is about receivers of one sender.
        """
        if self.shape == "narrow":
            message = "it does not distinguish senders"
            raise UnsupportedError(message)
        return self.receivers(parameters)


class _Owner:
    """The object of a bound method."""


def run_coroutine(coroutine: Any) -> Any:
    """Run a coroutine that never waits, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    message = "the coroutine waits"
    raise RuntimeError(message)


def _functions(parameters: str, count: int, kind: str = "def") -> list[Any]:
    module = compile(f"{kind} receiver({parameters}): return None", __file__, "exec")
    code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    # Each receiver gets a copy of the code, so no two share the interpreter's inline caches.
    return [FunctionType(code.replace(co_firstlineno=line + 1), {}) for line in range(count)]
