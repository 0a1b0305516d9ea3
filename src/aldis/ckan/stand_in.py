"""As much of CKAN as the plugins of an extension import to listen to signals."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, ClassVar, Final, Self

from aldis.ckan import signals
from aldis.ckan.namespaces import theirs
from aldis.ckan.plugin import Plugin
from aldis.core.signal import Signal
from aldis.errors import StandInError
from aldis.plugins.interface import ISignal, SignalMapping

__all__ = ["install_as_ckan"]


class _SingletonPlugin(Plugin):
    """A plugin of which each class makes one."""

    _instance: ClassVar[Any]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Make the one, or return it."""
        if "_instance" not in cls.__dict__:
            cls._instance = super().__new__(cls)
        found: Self = cls._instance
        return found


def _implements(interface: type[Any], inherit: bool = False) -> None:
    """Say what a plugin implements; here it shows by its methods."""


_PLUGINS: Final = {
    "ISignal": ISignal,
    "Plugin": Plugin,
    "SingletonPlugin": _SingletonPlugin,
    "implements": _implements,
}


def install_as_ckan() -> None:
    """Let every later ``import ckan`` give what plugins need to listen to signals, without CKAN.

    For the tests of an extension: its ``plugin.py`` can be imported and its listeners connected,
    in milliseconds and without a database. There are ``ckan.lib.signals``, ``ckan.plugins`` with
    ``SingletonPlugin``, ``implements``, ``ISignal`` and ``toolkit.signals``, ``ckan.types`` with
    ``SignalMapping``, and ``ckantoolkit.signals``. A second call does nothing.

    Raises:
        StandInError: CKAN itself is installed; use it.
    """
    if theirs is not None:
        message = "CKAN itself is installed here; aldis does not stand in for it"
        raise StandInError(message)
    if "ckan" in sys.modules:
        return
    toolkit = _module("ckan.plugins.toolkit", signals=signals)
    interfaces = _module("ckan.plugins.interfaces", ISignal=ISignal)
    plugins = _module("ckan.plugins", **_PLUGINS, toolkit=toolkit, interfaces=interfaces)
    lib = _module("ckan.lib", signals=signals)
    types = _module("ckan.types", SignalMapping=SignalMapping, Signal=Signal)
    modules = [_module("ckan", lib=lib, plugins=plugins, types=types), lib, plugins, types]
    modules += [toolkit, interfaces, _module("ckantoolkit", signals=signals)]
    sys.modules.update({module.__name__: module for module in modules})
    sys.modules["ckan.lib.signals"] = signals


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name, "aldis in CKAN's place: see aldis.ckan.install_as_ckan.")
    module.__dict__.update(contents, __path__=[])
    return module
