"""Namespaces and named signals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol, Self, overload
from weakref import ref

from aldis.core import strict
from aldis.core._typing import P, R
from aldis.core.contract import Contract
from aldis.core.receiver import describe, location
from aldis.core.signal import Signal
from aldis.errors import (
    ContractError,
    ContractWarning,
    StandInError,
    UnknownNameError,
)

__all__ = [
    "Finding",
    "NamedSignal",
    "Namespace",
    "declare",
    "default_namespace",
    "namespaces",
    "signal",
]

_living: list[ref[Namespace]] = []


class NamedSignal(Signal[P, R]):
    """A signal with a name. ``Namespace.signal`` and ``Namespace.define`` make it.

    Args:
        name: The name of the signal.
        doc: The purpose of the signal.
    """

    name: str

    def __init__(self, name: str, doc: str | None = None) -> None:
        super().__init__(doc)
        self.name = name

    @staticmethod
    def _namespace() -> Namespace | None:
        """Return the namespace of the signal. The namespace sets its weak reference here."""
        return None

    @property
    def namespace(self) -> Namespace | None:
        """The namespace that the signal belongs to, or ``None``."""
        return self._namespace()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        namespace = self.namespace
        if namespace is None or namespace.home is None:
            return super().__reduce__()
        return _signal_of, (namespace, self.name)


def _signal_of(namespace: Namespace, name: str) -> NamedSignal:
    return namespace.signal(name)


class Finding(NamedTuple):
    """A result of ``Namespace.check``.

    Attributes:
        signal: The name of the signal.
        problem: The problem, as a sentence.
        remark: Whether the problem may be harmless. A remark does not fail a build.
        closest: The most similar declared name, if the name is probably misspelt.
    """

    signal: str
    problem: str
    remark: bool = False
    closest: str | None = None

    def __str__(self) -> str:
        return f"{'remark' if self.remark else 'finding'}: {self.problem}"


class Namespace(dict[str, NamedSignal]):
    """Signals by name. ``namespace.signal("x")`` returns one object at every call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        register(self, _caller())

    def signal(self, name: str, doc: str | None = None) -> NamedSignal:
        """Return the signal called ``name``; make it if there is none.

        Args:
            name: The name of the signal.
            doc: The purpose of the signal. It is used if the signal has no doc yet.

        Raises:
            TypeError: ``name`` is a function. Use :meth:`define` for it.
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
            made._namespace = ref(self)  # type: ignore[method-assign]  # noqa: SLF001 - in this module
            # With setdefault, two threads get one signal.
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
        """Declare a signal by a function. Use it as a decorator, with or without arguments.

        aldis never calls the function. Its name is the name of the signal, and its docstring is the
        doc. Its keyword-only parameters are the payload, and its return type is the type that
        receivers return.

        Args:
            function: ``def order_paid(sender: Branch, /, *, order_id: int) -> None``.
            name: A name for the signal. The default is the function's name.
            advisory: Whether to warn about a receiver that does not fit instead of refusing it. Use
                it if the sender does not guarantee the payload.
            mutable: Whether receivers may change the payload. Strict mode then allows it.

        Raises:
            ContractError: The function is not a valid contract, or the signal has another contract.
        """
        if function is None:
            return lambda each: self._define(each, name, advisory, mutable)
        return self._define(function, name, advisory, mutable)

    def _define(
        self, function: Callable[..., Any], name: str | None, advisory: bool, mutable: bool
    ) -> NamedSignal[..., Any]:
        contract = Contract.of(function, advisory=advisory, mutable=mutable)
        found = self.signal(name or contract.name, contract.doc)
        _give_contract(found, contract)
        if contract.doc:
            found.__doc__ = contract.doc
        return found

    def find(self, name: str) -> NamedSignal:
        """Return the signal called ``name``. This never makes a signal.

        Raises:
            UnknownNameError: There is no such signal. The error suggests the closest name.
        """
        found = self.get(name)
        if found is None:
            closest = _close_matches(name, self)
            hint = f"; did you mean {closest[0]!r}?" if closest else ""
            message = f"no signal is called {name!r}{hint}"
            raise UnknownNameError(message)
        return found

    def check(self) -> list[Finding]:
        """Look for receivers that no send will ever call, and for receivers that do not fit.

        A name is declared if its signal has a contract or a doc, or if its signal is a global of
        the module that made this namespace. If a connected signal was neither declared nor sent,
        its name may be misspelt. It is a finding if it resembles a declared name. Otherwise it is a
        remark, because its sender may be an optional package that is not installed. In strict mode,
        a weak receiver that died before its first call is a finding too. It is a remark if one line
        has connected several strong functions, because a factory may have run twice.
        """
        findings = []
        at_home = {id(value) for _, value in self._globals()}
        declared = [
            name
            for name, each in list(self.items())
            if each.contract or each.documented or id(each) in at_home
        ]
        for name, each in list(self.items()):
            if name not in declared and not each.sent and each.receivers:
                findings.append(_unsent(each, declared))
            findings += [Finding(name, problem) for problem in _mismatches(each)]
            findings += [Finding(name, text, remark=True) for text in each._repeated_receivers()]  # noqa: SLF001 - part of aldis.core
            findings += [
                Finding(name, f"{name!r} has lost a receiver: {message}")
                for message in each._lost_receivers()  # noqa: SLF001 - part of aldis.core
            ]
        return findings

    @property
    def home(self) -> str | None:
        """The name of the module and of the global that hold this namespace, or ``None``."""
        for name, value in self._globals():
            if value is self:
                return name
        return None

    def _globals(self) -> list[tuple[str, object]]:
        """Return the globals of the module that made this namespace."""
        module = sys.modules.get(self.__module__)
        return list(vars(module).items()) if module else []

    def __reduce__(self) -> Any:
        home = self.home
        if home is not None:
            return home
        state = {name: value for name, value in vars(self).items() if name != "__module__"}
        return _fresh, (type(self), self.__module__, dict(self)), state

    def __copy__(self) -> Self:
        if self.home is not None:
            return self
        made = type(self).__new__(type(self), self)
        made.update(self)
        vars(made).update(vars(self))
        register(made, self.__module__)
        return made

    def __repr__(self) -> str:
        return f"<Namespace {self.__module__}.{self.home or '?'}: {', '.join(self) or 'empty'}>"


def _fresh(
    namespace_class: type[Namespace], module: str, signals: dict[str, NamedSignal]
) -> Namespace:
    """Return a new namespace with signals that belong to no other one, as copying does."""
    made = namespace_class.__new__(namespace_class)
    made.update(signals)
    for each in signals.values():
        each._namespace = ref(made)  # type: ignore[method-assign]  # noqa: SLF001 - in this module
    register(made, module)
    return made


def register(namespace: Namespace, module: str) -> None:
    """Let :func:`namespaces` list a namespace that belongs to ``module``."""
    namespace.__module__ = module
    _living.append(ref(namespace, _living.remove))


def namespaces() -> list[Namespace]:
    """Return every living namespace, the oldest first."""
    return [namespace for each in list(_living) if (namespace := each()) is not None]


def declare(
    signal: Any, /, *, advisory: bool = True, mutable: bool = False
) -> Callable[[Callable[P, R]], NamedSignal[P, R]]:
    """Return a decorator that gives a signal of another library a contract.

    ::

        @declare(flask_sqlalchemy.track_modifications.models_committed)
        def models_committed(sender: Flask, /, *, changes: list[tuple[Any, str]]) -> Any: ...

    ``models_committed`` is then the library's signal, and type checkers know its arguments.

    Args:
        signal: The signal.
        advisory: Whether to warn about a receiver that does not fit instead of refusing it.
        mutable: Whether receivers may change the payload. Strict mode then allows it.

    Raises:
        StandInError: The signal is made by blinker, because the library was imported before aldis.
        ContractError: The function is not a valid contract, or the signal has another contract.
    """
    if not hasattr(signal, "send_robust"):
        message = (
            f"{signal!r} is not a signal of aldis, so it cannot have a contract: put `import "
            "aldis.as_blinker` above every other import of your program"
        )
        raise StandInError(message)

    def decorate(function: Callable[..., Any]) -> Any:
        contract = Contract.of(function, advisory=advisory, mutable=mutable)
        _give_contract(signal, contract)
        if contract.doc and not signal.documented:
            signal.__doc__ = contract.doc
        return signal

    return decorate


def _give_contract(found: Signal[..., Any], contract: Contract) -> None:
    """Give a signal a contract, and warn about the receivers that do not fit it.

    Raises:
        ContractError: The signal has another contract.
    """
    earlier = found.contract
    if earlier is not None and not earlier.same_as(contract):
        message = (
            f"{found} is declared as {earlier} ({location(earlier.function)}) already; "
            f"{contract} ({location(contract.function)}) must take another name"
        )
        raise ContractError(message)
    found.contract = contract
    for problem in _mismatches(found):
        strict.warn(f"{problem}; it had connected before", ContractWarning)


def _mismatches(found: Signal[..., Any]) -> list[str]:
    contract = found.contract
    return [] if contract is None else found._misfits(contract)  # noqa: SLF001 - part of aldis.core


def _close_matches(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    return get_close_matches(name, list(names), n=1, cutoff=cutoff)


def _unsent(found: NamedSignal[..., Any], declared: list[str]) -> Finding:
    receivers = found._living_receivers()  # noqa: SLF001 - part of aldis.core
    who = ", ".join(describe(each) for each in receivers)
    closest = _close_matches(found.name, declared, cutoff=0.8)
    text = f"{who} listens to {found.name!r}, which no code declares or has sent"
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
# Its module is this one, whichever module imported this one first.
default_namespace.__module__ = __name__

#: Return the signal called ``name`` in the default namespace; make it if there is none.
signal: _SignalMaker = default_namespace.signal
