"""Strict mode: the "never"s and "should"s of signals, as warnings that say where.

Off, it costs nothing: what it looks at is only reached when the observers is awake.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final
from warnings import warn_explicit

from aldis._compat import is_protocol
from aldis.core import observers
from aldis.core.contract import Contract
from aldis.core.process import is_set
from aldis.core.receiver import describe
from aldis.errors import AldisWarning, StrictWarning

__all__ = [
    "is_strict",
    "loss_message",
    "lost_receivers",
    "set_strict",
    "warn_lost",
    "watch_payload",
]

_enabled = False

#: Whose frames are not the user's: aldis's own, and the one between a ``with`` block and aldis.
_NOT_THE_USERS: Final = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,  # noqa: PTH100, PTH120
    contextlib.__file__,
)

_CONTAINERS: Final = (dict, list, set, bytearray)


def set_strict(enabled: bool = True) -> bool:
    """Turn strict mode on or off for the whole process; ``ALDIS_STRICT=1`` does it at import.

    Returns:
        Whether it was on before.
    """
    global _enabled
    before, _enabled = _enabled, enabled
    observers.enable("strict mode", wanted=enabled)
    return before


def is_strict() -> bool:
    """Tell whether strict mode is on."""
    return _enabled


def warn(text: str, category: type[AldisWarning] = StrictWarning) -> None:
    """Warn at the innermost line that is not aldis's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        frame = frame.f_back
    warn_explicit(
        text,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


# -- receivers that die lost --------------------------------------------------------------------


def loss_message(receiver: Any, *, weak: bool) -> str | None:
    """Describe ``receiver`` if it is of a kind that is easily lost, as an obituary would.

    Returns:
        ``None`` outside strict mode, and for what is held strongly or has a name to live by.
    """
    if not _enabled or not weak:
        return None
    if isinstance(receiver, partial):
        kind = "a partial"
    elif isinstance(receiver, MethodType):
        kind = "a method of a temporary object"
    elif type(receiver) is not FunctionType:
        kind = "a temporary object"
    elif receiver.__name__ == "<lambda>":
        kind = "a lambda"
    elif "<locals>" in receiver.__qualname__:
        kind = "a local function"
    else:
        return None
    return (
        f"{describe(receiver)}, {kind}, was connected weakly and died "
        "before it was ever called; keep a reference to it or connect it with weak=False"
    )


def lost_receivers(signal: Any) -> list[str]:
    """Return the obituaries of the receivers of ``signal`` that died lost since the last one.

    They are written in strict mode only. A send reports them, after which they are forgotten here.
    """
    registry = signal._registry  # noqa: SLF001 - part of the same engine
    registry.sweep()
    return list(registry.lost)


def warn_lost(signal: Any, origins: list[str]) -> None:
    """Report the receivers of ``signal`` that died lost, and forget them."""
    while True:
        try:
            origin = origins.pop(0)
        except IndexError:  # also when another thread has just reported the last
            return
        if _enabled:
            warn(f"{signal!r}: {origin}")


# -- payloads --------------------------------------------------------------------------------------


class PayloadWatch:
    """Notices a receiver that changes the built-in containers it was handed."""

    def __init__(self, signal: Any, payload: dict[str, Any]) -> None:
        self._signal = signal
        self._payload = payload
        self._before = {name: _picture(value) for name, value in payload.items()}

    def compare(self, receiver: Any) -> None:
        """Warn of what ``receiver``, which has just run, has changed."""
        for name, value in self._payload.items():
            now = _picture(value)
            if now != self._before[name]:
                self._before[name] = now
                warn(
                    f"{self._signal!r}: receiver {describe(receiver)} "
                    f"changed the {type(value).__name__} {name!r} that it was handed; work on a "
                    "copy, or declare the signal with define(mutable=True)"
                )


def watch_payload(signal: Any, payload: dict[str, Any]) -> PayloadWatch | None:
    """Check ``payload`` against the signal's contract, and watch over it during the send.

    Returns:
        ``None`` outside strict mode, without a contract, and where receivers may change things.
    """
    contract: Contract | None = signal.contract
    if not _enabled or contract is None:
        return None
    for problem in _broken(contract, payload):
        warn(f"{signal!r} was sent {problem}; its contract is {contract}")
    return None if contract.mutable else PayloadWatch(signal, payload)


def _broken(contract: Contract, payload: dict[str, Any]) -> list[str]:
    missing = sorted(contract.required - payload.keys())
    unknown = [] if contract.open else sorted(payload.keys() - contract.payload.keys())
    problems = [f"without {name!r}" for name in missing]
    problems += [f"with an undeclared {name!r}" for name in unknown]
    for name, expected in contract.types.items():
        if name in payload and not _may_be(payload[name], expected):
            found = type(payload[name]).__qualname__
            problems.append(f"with {name!r} of type {found} instead of {expected.__qualname__}")
    return problems


def _may_be(value: Any, expected: Any) -> bool:
    """Check plain classes only: what typing knows beyond them is a type checker's work."""
    if not isinstance(expected, type) or is_protocol(expected):
        return True
    if expected is float:  # PEP 484: an int will do
        return isinstance(value, (int, float))
    try:
        return isinstance(value, expected)
    except TypeError:
        return True


def _picture(value: Any, depth: int = 4) -> Any:
    """Copy the built-in containers in ``value``; everything else is told by its identity."""
    kind = type(value)
    if kind not in _CONTAINERS or depth == 0:
        return id(value) if kind not in (int, str, bytes, float, bool) else (kind, value)
    if kind is bytearray:
        return bytes(value)
    # Of a copy, made in one step, which a loop is not, be it in C: the collector may let another
    # thread in, and that may be changing a container that threads share.
    value = value.copy()
    if kind is dict:
        return [(_picture(key, 0), _picture(item, depth - 1)) for key, item in value.items()]
    items = [_picture(item, depth - 1) for item in value]
    return sorted(items, key=repr) if kind is set else items


if is_set("ALDIS_STRICT"):
    set_strict()
