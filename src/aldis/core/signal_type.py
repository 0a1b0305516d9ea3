"""The class of the class ``Signal``. It lets tools patch signals as they patch those of blinker.

Tools such as mock, wrapt and tracers replace methods on the class ``Signal`` after signals exist.
Two things would go wrong without this module:

- A send reads the links that the registry has published, and does not look at ``receivers_for``. If
  a tool replaces it on a class, each living signal of the class chooses its path of a send again.
- In the C engine, ``send`` is not a function of Python, so the ``autospec`` of mock and the module
  ``inspect`` cannot use it. Therefore the *class* shows a function of Python. A look-up on a signal
  does not come here, and finds the method of the C engine.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from aldis.core._native import COMPILED, Emitter
from aldis.core.process import lock_holders
from aldis.core.registry import Registry

__all__ = ["SignalType"]

#: The methods of the C engine.
_IN_C: Final[dict[str, Any]] = (
    {name: vars(Emitter)[name] for name in ("send", "send_robust")} if COMPILED else {}
)


def send(
    self: Any,
    sender: Any = None,
    /,
    *,
    _async_wrapper: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> list[tuple[Any, Any]]:
    """Call the receivers of ``sender``, and those of any sender, in connection order."""
    results: list[tuple[Any, Any]] = _IN_C["send"](
        self, sender, _async_wrapper=_async_wrapper, **kwargs
    )
    return results


def send_robust(
    self: Any,
    sender: Any = None,
    /,
    *,
    _async_wrapper: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Call every receiver, even if one raises. Log the errors and return them."""
    outcomes: list[Any] = _IN_C["send_robust"](
        self, sender, _async_wrapper=_async_wrapper, **kwargs
    )
    return outcomes


#: The functions of Python that the class shows.
_IN_PYTHON: Final[dict[str, FunctionType]] = (
    {"send": send, "send_robust": send_robust} if COMPILED else {}  # type: ignore[dict-item]
)
for _name, _function in _IN_PYTHON.items():
    _function.__module__ = "aldis.core.signal"  # where pickle finds it
    _function.__qualname__ = f"Signal.{_name}"

if TYPE_CHECKING:
    _Meta = ABCMeta
else:
    _Meta = type(Protocol)  # so that a subclass of Signal may also be a protocol or an ABC


class SignalType(_Meta):
    """The class of :class:`Signal <aldis.core.signal.Signal>`."""

    # A subclass of ABCMeta asks its registry of virtual subclasses. Signals have none.
    __instancecheck__: Any = type.__instancecheck__
    __subclasscheck__: Any = type.__subclasscheck__

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _IN_PYTHON and value is _IN_PYTHON[name]:
            self._restore(name)
        else:
            super().__setattr__(name, value)
        if name == "receivers_for":
            self._choose_paths()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name == "receivers_for":
            self._choose_paths()

    def _restore(self, name: str) -> None:
        """Let the signals of the class have the method of the C engine again."""
        if name in type.__getattribute__(self, "__dict__"):
            super().__delattr__(name)
        if type.__getattribute__(self, name) is not _IN_C[name]:  # another class replaces it
            super().__setattr__(name, _IN_C[name])

    def _choose_paths(self) -> None:
        """Let each living signal of the class choose the path of its sends again."""
        for each in lock_holders():
            signal: Any = each.signal_ref() if isinstance(each, Registry) else None
            if signal is not None and self in type(signal).__mro__:
                signal._choose_path()  # noqa: SLF001 - part of aldis.core

    if COMPILED:

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name in _IN_PYTHON:
                return _IN_PYTHON[name] if value is _IN_C[name] else value
            if name == "__dict__" and Emitter in super().__getattribute__("__bases__"):
                # mock reads the methods of a class here.
                return MappingProxyType({**_IN_PYTHON, **value})
            return value
