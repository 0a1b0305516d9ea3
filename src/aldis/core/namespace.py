"""Namespaces: signals by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Protocol, Self, overload
from weakref import ref

from aldis.core import strict
from aldis.core._typing import P, R
from aldis.core.contract import Contract
from aldis.core.receiver import describe, location
from aldis.core.signal import NamedSignal
from aldis.errors import ContractError, ContractWarning, SignalPickleError, UnknownNameError

__all__ = ["Finding", "Namespace", "default_namespace", "namespaces", "signal"]

_living: list[ref[Namespace]] = []


@dataclass(frozen=True, slots=True)
class Finding:
    """What ``Namespace.check`` found.

    Attributes:
        signal: The name of the signal.
        problem: What is wrong, in a sentence.
        remark: Whether it may be all right: nothing to fail a build over.
        closest: The declared name that was perhaps meant.
    """

    signal: str
    problem: str
    remark: bool = False
    closest: str | None = None

    def __str__(self) -> str:
        return f"{'remark' if self.remark else 'finding'}: {self.problem}"


class Namespace(dict[str, NamedSignal]):
    """Signals by name. ``namespace.signal("x")`` is the same object each time, for everybody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__module__ = _caller()
        _living.append(ref(self, _living.remove))

    def signal(self, name: str, doc: str | None = None) -> NamedSignal:
        """Return the signal called ``name``, making it if there is none.

        Args:
            name: What the signal is called.
            doc: What it is for; used when it is made, or has no doc yet.

        Raises:
            TypeError: The name is a function, for which there is :meth:`define`.
        """
        found = self.get(name)
        if found is None:
            if callable(name):
                message = (
                    f"a signal's name is text, not {describe(name)}; a function declares a signal "
                    "as @namespace.define"
                )
                raise TypeError(message)
            made = NamedSignal(name, doc)
            made._namespace = ref(self)  # noqa: SLF001 - part of the same engine
            # On two threads at once, both get the one that was first.
            found = self.setdefault(name, made)
        if doc and not found.documented:
            found.__doc__ = doc
        return found

    @overload
    def define(self, function: Callable[P, R], /) -> NamedSignal[P, R]: ...

    @overload
    def define(
        self, /, *, name: str | None = ..., advisory: bool = ..., mutable: bool = ...
    ) -> Callable[[Callable[P, R]], NamedSignal[P, R]]: ...

    def define(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        advisory: bool = False,
        mutable: bool = False,
    ) -> Any:
        """Declare a signal by a function: a decorator, with or without arguments.

        The function is never called. Its name is the signal's, its docstring the doc, its
        keyword-only parameters what a send carries, its return type what receivers return.

        Args:
            function: ``def order_paid(sender: Branch, /, *, order_id: int) -> None``.
            name: Another name for the signal.
            advisory: Warn of receivers that do not fit instead of refusing them, for a signal whose
                sender guarantees nothing.
            mutable: Receivers may change what they are handed; strict mode looks away.

        Raises:
            ContractError: The function cannot serve as a contract, or the signal has another one.
        """
        if function is None:
            return lambda each: self._define(each, name, advisory, mutable)
        return self._define(function, name, advisory, mutable)

    def _define(
        self, function: Callable[..., Any], name: str | None, advisory: bool, mutable: bool
    ) -> NamedSignal[..., Any]:
        contract = Contract.of(function, advisory=advisory, mutable=mutable)
        found = self.signal(name or contract.name, contract.doc)
        earlier = found.contract
        if earlier is not None and not earlier.same_as(contract):
            message = (
                f"{found!r} is declared as {earlier} ({location(earlier.function)}) already; "
                f"{contract} ({location(function)}) must take another name"
            )
            raise ContractError(message)
        found.contract = contract
        if contract.doc:
            found.__doc__ = contract.doc
        for problem in _misfits(found):
            strict.warn(f"{problem}; it had connected before", ContractWarning)
        return found

    def find(self, name: str) -> NamedSignal:
        """Return the signal called ``name``, and never make one.

        Raises:
            UnknownNameError: There is none; the error names the closest.
        """
        found = self.get(name)
        if found is None:
            closest = get_close_matches(name, self, n=1)
            hint = f"; did you mean {closest[0]!r}?" if closest else ""
            message = f"no signal is called {name!r}{hint}"
            raise UnknownNameError(message)
        return found

    def check(self) -> list[Finding]:
        """Look for subscriptions that will never hear anything, and for receivers that do not fit.

        A name counts as declared when it was given a contract or a doc, or when its signal is a
        global of the module that made this namespace; and as sent once it has been. A name that is
        neither is a finding when it is close to a declared one, as a misspelt name is; else a
        remark, since whoever sends it may be optional and not installed. In strict mode, receivers
        that were connected weakly and died before their first call are findings too.
        """
        findings = []
        at_home = {id(value) for _, value in self._neighbours()}
        declared = [
            name
            for name, each in list(self.items())
            if each.contract or each.documented or id(each) in at_home
        ]
        for name, each in list(self.items()):
            if name not in declared and not each.sent and each.receivers:
                findings.append(_unsent(each, declared))
            findings += [Finding(name, problem) for problem in _misfits(each)]
            findings += [
                Finding(name, f"{name!r} has lost a receiver: {origin}")
                for origin in strict.lost_receivers(each)
            ]
        return findings

    @property
    def home(self) -> str | None:
        """The name of the module's global that this namespace is, or ``None``."""
        for name, value in self._neighbours():
            if value is self:
                return name
        return None

    def _neighbours(self) -> list[tuple[str, object]]:
        """Return the globals of the module that made this namespace."""
        module = sys.modules.get(self.__module__)
        return list(vars(module).items()) if module else []

    def __reduce__(self) -> str:
        home = self.home
        if home is None:
            message = (
                f"this namespace cannot be pickled or copied: it is no global of {self.__module__},"
                " where it was made"
            )
            raise SignalPickleError(message)
        return home

    def __copy__(self) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<Namespace {self.__module__}.{self.home or '?'}: {', '.join(self) or 'empty'}>"


def namespaces() -> list[Namespace]:
    """Return every namespace that is alive, in the order of their making."""
    return [namespace for each in list(_living) if (namespace := each()) is not None]


def _misfits(found: NamedSignal[..., Any]) -> list[str]:
    contract = found.contract
    if contract is None:
        return []
    receivers = found._registered()  # noqa: SLF001 - part of the same engine
    return [problem for each in receivers if (problem := contract.mismatch(each)) is not None]


def _unsent(found: NamedSignal[..., Any], declared: list[str]) -> Finding:
    receivers = found._registered()  # noqa: SLF001 - part of the same engine
    who = ", ".join(describe(each) for each in receivers)
    closest = get_close_matches(found.name, declared, n=1, cutoff=0.8)
    text = f"{who} listens to {found.name!r}, which nobody declares or has sent"
    if closest:
        return Finding(found.name, f"{text}; did you mean {closest[0]!r}?", closest=closest[0])
    return Finding(found.name, text, remark=True)


def _caller() -> str:
    """Return the name of the module that is making a namespace."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    name: str = frame.f_globals.get("__name__", "__main__")
    return name


class _SignalMaker(Protocol):
    def __call__(self, name: str, doc: str | None = None) -> NamedSignal: ...


#: The namespace of :func:`signal`.
default_namespace: Final[Namespace] = Namespace()
# Its maker is whoever imported this module first; its home is here.
default_namespace.__module__ = __name__

#: Return the signal of the default namespace that is called so, making it if there is none.
signal: _SignalMaker = default_namespace.signal
