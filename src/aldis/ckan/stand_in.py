"""Replaces the part of CKAN that plugins import to connect to signals."""

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
    """A plugin class with a single instance."""

    _instance: ClassVar[Any]

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Return the single instance."""
        if "_instance" not in cls.__dict__:
            cls._instance = super().__new__(cls)
        found: Self = cls._instance
        return found


def _implements(interface: type[Any], inherit: bool = False) -> None:
    """Do nothing. A plugin implements an interface by its methods."""


_PLUGINS: Final = {
    "ISignal": ISignal,
    "Plugin": Plugin,
    "SingletonPlugin": _SingletonPlugin,
    "implements": _implements,
}


def install_as_ckan() -> None:
    """Replace ``ckan`` by the part of it that plugins need for signals, for tests without CKAN.

    A test can then import an extension's ``plugin.py`` and connect its listeners, in milliseconds
    and without a database. The replacement has ``ckan.lib.signals``, ``ckan.plugins`` with
    ``SingletonPlugin``, ``implements``, ``ISignal`` and ``toolkit.signals``, ``ckan.types`` with
    ``SignalMapping``, and ``ckantoolkit.signals``. A second call does nothing.

    Raises:
        StandInError: CKAN is installed.
    """
    if theirs is not None:
        message = (
            "CKAN is installed, so aldis does not replace it: remove the call of install_as_ckan()"
        )
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
    module = ModuleType(name, "aldis replaces CKAN here: see aldis.ckan.install_as_ckan.")
    module.__dict__.update(contents, __path__=[])
    return module
