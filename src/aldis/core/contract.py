"""Contracts: the payload that a signal declares, and the receivers that accept it.

A contract is a function. Its name is the name of the signal, and its docstring is the doc. Its
keyword-only parameters are the payload, and its return type is the type that receivers return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from inspect import Parameter, Signature, getdoc, iscoroutinefunction, signature
from itertools import chain
from types import FunctionType
from typing import Any, Final

from aldis.core.conformity import (
    UNKNOWN,
    fits,
    fits_some_class,
    resolve_annotation,
    type_name,
)
from aldis.core.process import cached_property
from aldis.core.receiver import describe
from aldis.core.sender import ANY, describe_sender
from aldis.errors import ContractError

__all__ = ["Contract"]

RESERVED: Final = frozenset({"_async_wrapper", "_sync_wrapper"})

POSITIONAL: Final = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
)

#: The kinds of the first parameter of a contract.
_SENDER: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)

#: A contract for messages.
EXAMPLE: Final = "order_paid(sender, /, *, order_id: int)"

_KEYWORD: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Contract:
    """The arguments that a signal passes to its receivers.

    Attributes:
        function: The function that was given to ``define``.
        payload: The keyword arguments by name.
        open: Whether a send may pass arguments that are not declared (``**extra``).
        advisory: Whether a receiver that does not fit causes a warning instead of an error.
        mutable: Whether receivers may change the containers of the payload.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        payload: Mapping[str, Parameter],
        open: bool = False,  # noqa: A002 - it is only an attribute
        advisory: bool = False,
        mutable: bool = False,
    ) -> None:
        self.function: Callable[..., Any] = function
        self.payload: Mapping[str, Parameter] = payload
        self.open: bool = open
        self.advisory: bool = advisory
        self.mutable: bool = mutable

    @classmethod
    def of(cls, function: object, *, advisory: bool = False, mutable: bool = False) -> Contract:
        """Return the contract that ``function`` declares.

        Raises:
            ContractError: ``function`` is not a plain function with a sender and keyword-only
                arguments. The slash after the sender may be missing.
        """
        if not isinstance(function, FunctionType):
            what = f"an object of type {type(function).__qualname__}"
            if isinstance(function, type):
                what = f"the class {function.__qualname__}"
            message = f"a contract is declared by a function, def {EXAMPLE}, not by {what}"
            raise ContractError(message)
        if iscoroutinefunction(function):
            raise _unusable(function, "it is async; each receiver decides whether it is async")
        parameters = list(signature(function).parameters.values())
        if not parameters or parameters[0].kind not in _SENDER:
            raise _unusable(function, f"its first parameter must be the sender: {EXAMPLE}")
        payload: dict[str, Parameter] = {}
        open_ended = False
        for parameter in parameters[1:]:
            if parameter.kind is Parameter.VAR_KEYWORD:
                open_ended = True
            elif parameter.kind is Parameter.VAR_POSITIONAL:
                problem = f"*{parameter.name} cannot be sent by name: replace it with a plain *"
                raise _unusable(function, problem)
            elif parameter.kind is not Parameter.KEYWORD_ONLY:
                problem = f"{parameter.name!r} must be keyword-only: put it after a *"
                raise _unusable(function, problem)
            elif parameter.name in RESERVED:
                raise _unusable(function, f"{parameter.name!r} is an argument of send itself")
            else:
                payload[parameter.name] = parameter
        return cls(function, payload, open_ended, advisory, mutable)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__

    @property
    def doc(self) -> str | None:
        """The docstring of the function."""
        return getdoc(self.function)

    @cached_property
    def signature(self) -> Signature:
        """The signature of the function, with a slash after the sender."""
        declared = signature(self.function)
        sender, *payload = declared.parameters.values()
        first = sender.replace(kind=Parameter.POSITIONAL_ONLY)
        return declared.replace(parameters=[first, *payload])

    @property
    def required(self) -> frozenset[str]:
        """The arguments that every send passes."""
        return frozenset(name for name, each in self.payload.items() if each.default is each.empty)

    @cached_property
    def types(self) -> Mapping[str, Any]:
        """The types of the arguments whose annotations can be resolved."""
        hints = {name: resolve_annotation(self.function, name) for name in self.payload}
        return {name: hint for name, hint in hints.items() if hint is not UNKNOWN}

    @cached_property
    def sender(self) -> Parameter:
        """The parameter of the sender."""
        return next(iter(self.signature.parameters.values()))

    @cached_property
    def sender_type(self) -> Any:
        """The type of the sender. ``Any`` if it has no annotation that can be resolved."""
        return resolve_annotation(self.function, self.sender.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Contract:
        return self  # it never changes

    def __str__(self) -> str:
        declared = self.signature
        parameters = [
            each.replace(annotation=_unquoted(each.annotation))
            for each in declared.parameters.values()
        ]
        result = _unquoted(declared.return_annotation)
        return f"{self.name}{declared.replace(parameters=parameters, return_annotation=result)}"

    def same_as(self, other: Contract) -> bool:
        """Return whether ``other`` is this contract after a reload of its module."""
        mine, others = self.function, other.function
        return (mine.__module__, mine.__qualname__, str(self)) == (
            others.__module__,
            others.__qualname__,
            str(other),
        )

    def mismatch(self, receiver: Callable[..., Any]) -> str | None:
        """Return the reason why ``receiver`` does not accept this payload, with a remedy.

        Args:
            receiver: A callable. If it has no readable signature, it counts as fitting.

        Returns:
            The text of an error, or ``None`` if the receiver fits.
        """
        for problem in chain.from_iterable(map(self._problems, _signatures(receiver))):
            return f"receiver {describe(receiver)} does not fit {self}: {problem}"
        return None

    def sender_mismatch(self, receiver: Callable[..., Any], sender: Any) -> str | None:
        """Return the reason why no send ever has ``sender``, with a remedy.

        Args:
            receiver: The receiver that listens to ``sender``, for the message.
            sender: The sender of a connection, or ``ANY``.

        Returns:
            The text of an error, or ``None`` if a send may have this sender.
        """
        if sender is ANY or self.accepts_sender(sender):
            return None
        expected = type_name(self.sender_type)
        remedy = f"connect it for a sender of type {expected}, or for any sender"
        if isinstance(sender, type) and isinstance(self.sender_type, type):
            remedy = f"{expected} means an instance, and a class is not one; {remedy}"
        return (
            f"receiver {describe(receiver)} would never be called for the sender "
            f"{describe_sender(sender, address=False)}, because the contract is {self}: {remedy}"
        )

    def class_mismatch(self, receiver: Callable[..., Any], sender: type[Any]) -> str | None:
        """Return the reason why no send has ``sender`` or a subclass of it, with a remedy.

        Args:
            receiver: The receiver, for the message.
            sender: A class that stands for its subclasses, too.
        """
        expected = self.sender_type
        # A class may be derived from any two classes, so only a contract for instances excludes it.
        if not isinstance(expected, type) or fits_some_class(expected):
            return None
        return self.sender_mismatch(receiver, sender)

    def accepts_sender(self, sender: Any) -> bool:
        """Tell whether a send may have ``sender``."""
        return fits(sender, self.sender_type) or sender is self.sender.default

    def _problems(self, takes: Signature) -> Iterator[str]:
        parameters = list(takes.parameters.values())
        if not parameters or parameters[0].kind not in POSITIONAL:
            yield "it takes no sender; make its first parameter the sender"
            return
        sender, *rest = parameters
        if sender.kind is Parameter.POSITIONAL_OR_KEYWORD and sender.name in self.payload:
            yield (
                f"its first parameter gets the sender, but is called {sender.name!r} like an "
                "argument; put a parameter for the sender before it"
            )
        for parameter in rest:
            if parameter.default is parameter.empty:
                yield from self._unmet(parameter)
        if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in rest):
            yield from self._not_taken({each.name for each in rest if each.kind in _KEYWORD})

    def _unmet(self, parameter: Parameter) -> Iterator[str]:
        name = parameter.name
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            yield f"it requires {name!r} by position, but gets only the sender so; remove the /"
        elif parameter.kind in _KEYWORD and name not in self.payload:
            yield f"it requires {name!r}, which this signal does not carry; give it a default"
        elif parameter.kind in _KEYWORD and name not in self.required:
            yield f"it requires {name!r}, which a send may leave out; give it a default"

    def _not_taken(self, names: set[str]) -> Iterator[str]:
        missing = [repr(name) for name in self.payload if name not in names]
        if missing:
            yield f"it does not take {', '.join(missing)}; add **extra"
        elif self.open:
            yield "a send may carry more arguments than are declared; add **extra"


class _Unquoted:
    """An annotation that is text, shown without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _unquoted(annotation: Any) -> Any:
    return _Unquoted(annotation) if isinstance(annotation, str) else annotation


def _unusable(function: Callable[..., Any], problem: str) -> ContractError:
    return ContractError(f"{describe(function)} cannot be a signal's contract: {problem}")


def _signatures(receiver: Callable[..., Any]) -> Iterator[Signature]:
    """Yield the signatures that a call of ``receiver`` must fit.

    A wrapper reports the signature of the function that it wraps, but the call reaches the wrapper.
    Both must fit.
    """
    for follow_wrapped in (True, False):
        with suppress(Exception):  # an attribute of the receiver may raise anything
            yield signature(receiver, follow_wrapped=follow_wrapped)
