"""Put aldis in blinker's place: ``import blinker`` then gets aldis."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from aldis.core.inspection import ANY_ID, make_id, make_ref
from aldis.core.namespace import NamedSignal, Namespace, _SignalMaker, default_namespace, signal
from aldis.core.sender import ANY, Symbol
from aldis.core.signal import Signal
from aldis.errors import StandInError

__all__ = ["COMPATIBLE_VERSION", "install_as_blinker", "install_under_aldis_run", "stands_in"]

#: The release of blinker whose API aldis has.
COMPATIBLE_VERSION: Final = "1.9.0"

#: The origin of the modules that aldis puts in blinker's place.
_ORIGIN: Final = "aldis"

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
    """Put aldis in blinker's place: every later ``import blinker`` gets aldis.

    If blinker is already imported, its signals and namespaces work on aldis from now on, in every
    module that holds them, with the receivers that they have. A second call does nothing.

    Raises:
        StandInError: A receiver is connected to a blinker signal, and aldis cannot take it over
            exactly. The error names the receiver. Nothing has changed then.
    """
    if stands_in():
        return
    installed = next((each for each in sys.meta_path if isinstance(each, _Finder)), None)
    if _is_loaded():
        from aldis import _loaded_blinker  # noqa: PLC0415 - it takes 6 ms, and few programs need it

        _loaded_blinker.move()
    if installed is None:
        installed = _Finder()
        sys.meta_path.insert(0, installed)
    sys.modules.update(installed.modules)


def install_under_aldis_run() -> None:
    """Put aldis in blinker's place if ``aldis run`` has started this Python.

    Another ``sitecustomize``, or an option such as -I, may hide the one that imports aldis first.
    """
    if os.environ.get("ALDIS_RUN_PREFIX") == sys.prefix:
        try:
            install_as_blinker()
        except StandInError as error:
            sys.stderr.write(f"aldis run: {error}\n")


def stands_in() -> bool:
    """Tell whether ``blinker`` is aldis in this process."""
    return getattr(sys.modules.get("blinker"), "Signal", None) is Signal


def _is_loaded() -> bool:
    """Tell whether the real blinker is loaded, or has been, and does not work on aldis yet."""
    spec = getattr(sys.modules.get("blinker"), "__spec__", None)
    # A folder with the name blinker is a package without an origin.
    if getattr(spec, "origin", None) not in (None, _ORIGIN):
        return True
    # A program may have removed it from `sys.modules`.
    return any(
        (each.__module__, each.__name__) == ("blinker.base", "Namespace")
        and "_aldis_signal" not in vars(each)  # see aldis._loaded_blinker
        for each in type.__subclasses__(dict)
    )


class _Finder:
    """Finds aldis's modules for blinker, even after a program removed them from ``sys.modules``."""

    def __init__(self) -> None:
        self.modules = {name: self._module(name) for name in _CONTENTS}
        vars(self.modules["blinker"]).update(
            base=self.modules["blinker.base"], _utilities=self.modules["blinker._utilities"]
        )

    def _module(self, name: str) -> ModuleType:
        module = ModuleType(name, "aldis in blinker's place: see aldis.install_as_blinker.")
        loader: Any = self  # a subclass of importlib.abc.Loader would cost an import
        spec = ModuleSpec(name, loader, origin=_ORIGIN, is_package=name == "blinker")
        module.__spec__ = spec
        module.__loader__ = spec.loader
        module.__package__ = "blinker"
        vars(module).update(_CONTENTS[name])
        return module

    def find_spec(
        self,
        name: str,
        path: object = None,  # noqa: ARG002 - the protocol of finders
        target: object = None,  # noqa: ARG002 - the protocol of finders
    ) -> ModuleSpec | None:
        module = self.modules.get(name)
        return None if module is None else module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module is complete."""
