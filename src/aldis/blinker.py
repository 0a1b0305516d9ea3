"""Puts aldis in the place of blinker: every later ``import blinker`` returns aldis."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from aldis.core.inspection import ANY_ID, make_id, make_ref
from aldis.core.namespace import NamedSignal, Namespace, _SignalMaker, default_namespace, signal
from aldis.core.sender import ANY, Symbol
from aldis.core.signal import Signal
from aldis.errors import StandInError

__all__ = ["COMPATIBLE_VERSION", "install_as_blinker", "stands_in"]

#: The release of blinker whose API aldis has.
COMPATIBLE_VERSION: Final = "1.9.0"

_PUBLIC: Final[dict[str, Any]] = {
    "ANY": ANY,
    "NamedSignal": NamedSignal,
    "Namespace": Namespace,
    "Signal": Signal,
    "default_namespace": default_namespace,
    "signal": signal,
}

_UTILITIES: Final[dict[str, Any]] = {"Symbol": Symbol, "make_id": make_id, "make_ref": make_ref}

_CONTENTS: Final[dict[str, dict[str, Any]]] = {
    "blinker": {
        **_PUBLIC,
        "__all__": sorted(_PUBLIC),
        "__version__": COMPATIBLE_VERSION,
        "__path__": [],
    },
    "blinker.base": {
        **_PUBLIC,
        **_UTILITIES,
        "ANY_ID": ANY_ID,
        "_PNamespaceSignal": _SignalMaker,
    },
    "blinker._utilities": _UTILITIES,
}


def install_as_blinker() -> None:
    """Let every later ``import blinker`` return aldis. A second call does nothing.

    Call it before you import Flask or another user of blinker. ``import aldis.as_blinker`` does the
    same in one line.

    Raises:
        StandInError: blinker itself was imported already, so its signals would stay blinker's. The
            error names the modules that hold them.
    """
    if stands_in():
        return
    loaded = sys.modules.get("blinker")
    if loaded is not None:
        raise StandInError(_too_late(loaded))
    modules = {name: _module(name, contents) for name, contents in _CONTENTS.items()}
    modules["blinker"].__dict__.update(
        base=modules["blinker.base"], _utilities=modules["blinker._utilities"]
    )
    sys.modules.update(modules)


def stands_in() -> bool:
    """Return whether ``blinker`` is aldis in this process."""
    return getattr(sys.modules.get("blinker"), "Signal", None) is Signal


class _Loader:
    """Returns the modules that exist already. Without a loader, a module has no ``__spec__``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return sys.modules.get(spec.name)

    def exec_module(self, module: ModuleType) -> None:  # noqa: ARG002 - the protocol of loaders
        return None


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name, "aldis in the place of blinker: see aldis.install_as_blinker.")
    loader: Any = _Loader()  # its two methods are enough, and the base class costs an import
    spec = ModuleSpec(name, loader, origin="aldis", is_package="__path__" in contents)
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__package__ = "blinker"
    module.__dict__.update(contents)
    return module


def _too_late(loaded: ModuleType) -> str:
    users = _users_of(loaded)
    named = "; it is used by " + ", ".join(users) if users else ""
    return (
        f"aldis cannot stand in for blinker any more: blinker was imported before, from "
        f"{getattr(loaded, '__file__', None) or 'an unknown place'}{named}. Put `import "
        "aldis.as_blinker` above every other import of your program, or start it with "
        "`aldis run -- COMMAND`"
    )


def _users_of(loaded: ModuleType) -> list[str]:
    """Return the modules that hold an object of ``loaded``, in the order of their import."""
    users = []
    modules: list[tuple[str, Any]] = list(sys.modules.items())  # sys.modules may hold any object
    for name, module in modules:
        if not isinstance(module, ModuleType) or name.partition(".")[0] in ("blinker", "aldis"):
            continue
        held = list(vars(module).values())
        if any(each is loaded or _comes_from_blinker(each) for each in held):
            users.append(f"{name} ({getattr(module, '__file__', None) or 'built in'})")
    return users


def _comes_from_blinker(value: Any) -> bool:
    home: Any = value.__module__ if isinstance(value, type) else type(value).__module__
    return isinstance(home, str) and home.partition(".")[0] == "blinker"
