"""What is measured, once it is set up: a statement and the names in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType
from typing import Any


class UnsupportedError(Exception):
    """This contender cannot do what the case asks for; it is left out there."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One statement, ready to be timed.

    Attributes:
        statement: The source that is timed, over and over.
        names: The local names that it uses.
        keep: What would die if nobody held it: weakly connected receivers, above all.
        runs: How many receivers one run of the statement calls; ``None`` when that is not known.
    """

    statement: str
    names: Mapping[str, Any]
    keep: object = None
    runs: int | None = None


class Sender:
    """A sender: any object of the user's."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """The receivers and senders of one case, made by the same code for every contender.

    Attributes:
        shape: ``functions``; ``open`` (functions with ``**extra``); ``methods`` (bound, one object
            each); ``narrow`` (functions connected for one sender, and as many for another one);
            ``coroutines`` (async functions).
        size: How many receivers one send calls.
    """

    shape: str
    size: int
    sender: Sender = field(default_factory=Sender)
    other: Sender = field(default_factory=Sender)

    def receivers(self, parameters: str = "sender, a") -> list[Any]:
        """Make the receivers; each has code of its own, takes ``parameters`` and returns None."""
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
        """Yield each receiver and the sender that it is to be connected for."""
        sender = self.sender if self.shape == "narrow" else any_sender
        for receiver in self.receivers(parameters):
            yield receiver, sender
        if self.shape == "narrow":
            for receiver in self.receivers(parameters):
                yield receiver, self.other

    def of_any_sender(self, parameters: str = "sender, a") -> list[Any]:
        """Make the receivers, for a contender that knows no senders.

        Raises:
            UnsupportedError: The case is about receivers of one sender.
        """
        if self.shape == "narrow":
            message = "it does not tell senders apart"
            raise UnsupportedError(message)
        return self.receivers(parameters)


class _Owner:
    """The object that a bound method belongs to."""


def run_coroutine(coroutine: Any) -> Any:
    """Run a coroutine that waits for nothing, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    message = "the coroutine waits"
    raise RuntimeError(message)


def _functions(parameters: str, count: int, kind: str = "def") -> list[Any]:
    module = compile(f"{kind} receiver({parameters}): return None", __file__, "exec")
    code = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
    # A replaced code is another object: no two receivers share the interpreter's inline caches.
    return [FunctionType(code.replace(co_firstlineno=line + 1), {}) for line in range(count)]
