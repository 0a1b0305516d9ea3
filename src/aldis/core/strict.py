"""Strict mode: warnings, each with a location, for uses of a signal that are probably mistakes.

Only the slow path uses this module. In strict mode, a signal takes the slow path if it has a
contract, or a weak receiver that was not called yet and may die by accident.
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final
from warnings import warn_explicit

from aldis.core.conformity import fits, type_name
from aldis.core.contract import Contract
from aldis.core.frames import OWN_FOLDER
from aldis.core.process import is_set, lock_holders
from aldis.core.receiver import describe, describe_signal
from aldis.core.registry import Registry
from aldis.core.sender import describe_sender
from aldis.errors import AldisWarning, StrictWarning

__all__ = ["is_strict", "loss_message", "set_strict", "warn", "warn_lost", "watch_payload"]

_enabled = False

#: Files whose frames do not belong to the user: aldis, and the frame of a ``with`` block.
_NOT_THE_USERS: Final = (
    OWN_FOLDER,
    contextlib.suppress.__init__.__code__.co_filename,
)

_CONTAINERS: Final = (dict, list, set, bytearray)


def set_strict(enabled: bool = True) -> bool:
    """Switch strict mode on or off for the process. ``ALDIS_STRICT=1`` does it at import.

    Returns:
        Whether strict mode was on before.
    """
    global _enabled
    before, _enabled = _enabled, enabled
    for holder in lock_holders():
        signal = holder.signal_ref() if isinstance(holder, Registry) else None
        if signal is not None:
            signal._choose_path()  # noqa: SLF001 - part of aldis.core
    return before


def is_strict() -> bool:
    """Return whether strict mode is on."""
    return _enabled


def warn(text: str, category: type[AldisWarning] = StrictWarning) -> None:
    """Warn at the innermost line that is not in aldis."""
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


# -- receivers that die before their first call ----------------------------------------------------


def loss_message(receiver: Any, *, weak: bool) -> str | None:
    """Return the warning for the case that ``receiver`` dies before its first call.

    Returns:
        ``None`` if strict mode is off, if the signal holds the receiver strongly, or if the
        receiver is not of a kind that dies by accident.
    """
    if not _enabled or not weak:
        return None
    if issubclass(type(receiver), partial):
        kind = "a partial"
    elif type(receiver) is MethodType:
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


def warn_lost(name: str, messages: list[str]) -> None:
    """Warn about the receivers of a signal that died before their first call.

    Args:
        name: The signal, as text.
        messages: The results of :func:`loss_message`. This empties the list.
    """
    while True:
        try:
            message = messages.pop(0)
        except IndexError:  # another thread may have taken the last one
            return
        if _enabled:
            warn(f"{name}: {message}")


# -- payloads --------------------------------------------------------------------------------------


class PayloadWatch:
    """Notices when a receiver changes a built-in container of the payload."""

    def __init__(self, signal: Any, payload: dict[str, Any]) -> None:
        self._signal = signal
        self._payload = payload
        self._before = {name: _snapshot(value) for name, value in payload.items()}

    def compare(self, receiver: Any) -> None:
        """Warn about the changes that ``receiver``, which has just run, made."""
        for name, value in self._payload.items():
            now = _snapshot(value)
            if now != self._before[name]:
                self._before[name] = now
                warn(
                    f"{describe_signal(self._signal)}: receiver {describe(receiver)} "
                    f"changed the {type(value).__name__} {name!r} that it was handed; work on a "
                    "copy, or declare the signal with define(mutable=True)"
                )


def watch_payload(signal: Any, sender: Any, payload: dict[str, Any]) -> PayloadWatch | None:
    """Warn where a send breaks the signal's contract, and watch its payload during the send.

    Returns:
        ``None`` if strict mode is off, or if receivers may change the payload, or if the signal has
        no contract.
    """
    contract: Contract | None = signal.contract
    if not _enabled or contract is None:
        return None
    for problem in (*_wrong_sender(contract, sender), *_broken(contract, payload)):
        warn(f"{describe_signal(signal)} was sent {problem}; its contract is {contract}")
    return None if contract.mutable else PayloadWatch(signal, payload)


def _wrong_sender(contract: Contract, sender: Any) -> list[str]:
    if contract.accepts_sender(sender):
        return []
    if sender is None:
        return ["without a sender"]
    expected = type_name(contract.sender_type)
    found = describe_sender(sender, address=False)
    return [f"by the sender {found}, which is not of type {expected}"]


def _broken(contract: Contract, payload: dict[str, Any]) -> list[str]:
    missing = sorted(contract.required - payload.keys())
    unknown = [] if contract.open else sorted(payload.keys() - contract.payload.keys())
    problems = [f"without {name!r}" for name in missing]
    problems += [f"with an undeclared {name!r}" for name in unknown]
    for name, expected in contract.types.items():
        if name in payload and not fits(payload[name], expected):
            found = type(payload[name]).__qualname__
            problems.append(f"with {name!r} of type {found} instead of {type_name(expected)}")
    return problems


def _snapshot(value: Any, depth: int = 4) -> Any:
    """Copy the built-in containers in ``value``. Other objects count by their identity."""
    kind = type(value)
    if kind not in _CONTAINERS or depth == 0:
        return id(value) if kind not in (int, str, bytes, float, bool) else (kind, value)
    if kind is bytearray:
        return bytes(value)
    # copy() is one step. During a loop, another thread may change a container that threads share.
    value = value.copy()
    if kind is dict:
        return [(_snapshot(key, 0), _snapshot(item, depth - 1)) for key, item in value.items()]
    items = [_snapshot(item, depth - 1) for item in value]
    return sorted(items, key=repr) if kind is set else items


if is_set("ALDIS_STRICT"):
    set_strict()
