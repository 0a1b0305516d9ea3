"""Standing in for blinker: whoever imports ``blinker`` from now on gets aldis."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from aldis.core import namespace, sender
from aldis.core.namespace import Namespace, default_namespace
from aldis.core.signal import NamedSignal, Signal
from aldis.errors import StandInError

__all__ = ["COMPATIBLE_VERSION", "install_as_blinker", "stands_in"]

#: The release of blinker whose API is provided.
COMPATIBLE_VERSION: Final = "1.9.0"

_PUBLIC: Final[dict[str, Any]] = {
    "ANY": sender.ANY,
    "NamedSignal": NamedSignal,
    "Namespace": Namespace,
    "Signal": Signal,
    "default_namespace": default_namespace,
    "signal": namespace.signal,
}

_CONTENTS: Final[dict[str, dict[str, Any]]] = {
    "blinker": {
        **_PUBLIC,
        "__all__": sorted(_PUBLIC),
        "__version__": COMPATIBLE_VERSION,
        "__path__": [],
    },
    "blinker.base": {
        **_PUBLIC,
        "ANY_ID": sender.ANY_ID,
        "_PNamespaceSignal": namespace._SignalMaker,  # noqa: SLF001 - named as blinker's is
        "Symbol": sender.Symbol,
        "make_id": sender.make_id,
        "make_ref": sender.make_ref,
    },
    "blinker._utilities": {
        "Symbol": sender.Symbol,
        "make_id": sender.make_id,
        "make_ref": sender.make_ref,
    },
}


def install_as_blinker() -> None:
    """Let every later ``import blinker`` give aldis. A second call does nothing.

    Call it before Flask, or anything else that uses blinker, is imported; ``import
    aldis.as_blinker`` does the same in one line.

    Raises:
        StandInError: blinker itself has been imported already. The signals that were made with it
            would stay blinker's; the error names the modules that hold them.
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
    """Tell whether ``blinker`` is aldis in this process."""
    return getattr(sys.modules.get("blinker"), "Signal", None) is Signal


class _Loader:
    """Says that the modules are made already: a module without a loader has no ``__spec__``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return sys.modules.get(spec.name)

    def exec_module(self, module: ModuleType) -> None:  # noqa: ARG002 - the protocol of loaders
        return None


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name, "aldis in blinker's place: see aldis.install_as_blinker.")
    loader: Any = _Loader()  # all that is asked of one; the base class costs an import
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
    """Name the modules that hold something of ``loaded``, in the order of their import."""
    users = []
    modules: list[tuple[str, Any]] = list(sys.modules.items())  # what is there may be anything
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
