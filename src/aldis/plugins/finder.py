"""Finds plugins: pluggy loads their entry points and validates their method."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from aldis.errors import MissingExtraError, PluginError, UnknownPluginError

try:
    import pluggy
except ModuleNotFoundError as _missing:
    if _missing.name != "pluggy":
        raise
    _message = "aldis.plugins needs pluggy, which is not installed: pip install 'aldis[plugins]'"
    raise MissingExtraError(_message, name="pluggy") from _missing

__all__ = ["Finder"]

_METHOD: Final = "get_signal_subscriptions"

_hookspec = pluggy.HookspecMarker("aldis")


class _Spec:
    """The specification of ``ISignal`` for pluggy: the method has no argument except ``self``."""

    @_hookspec
    def get_signal_subscriptions(self) -> Any:
        """Return a mapping of signals to receivers."""


class _PluggyRegistry(pluggy.PluginManager):
    """Recognises the method by its name, without a marker, and instantiates classes."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:  # noqa: ARG002 - pluggy's signature
        """Declare the method of ``ISignal`` a hook, and no other attribute."""
        return {} if name == _METHOD else None

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register ``plugin``. If it is a class, register an instance of it."""
        made = plugin() if isinstance(plugin, type) else plugin
        if not callable(getattr(made, _METHOD, None)):
            message = f"{made!r} has no method {_METHOD}"
            raise TypeError(message)
        return super().register(made, name)


class Finder:
    """Finds plugins by name among the added ones and those of an entry point group.

    Args:
        group: The entry point group.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self._loaded: dict[str, Any] = {}
        self._added: dict[str, object] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all known plugins: the added ones, then the installed ones."""
        installed = sorted(each.name for each in entry_points(group=self.group))
        return tuple(dict.fromkeys([*self._added, *installed]))

    def add(self, name: str, plugin: object) -> None:
        """Add a plugin that is not installed: an object, or a class to instantiate.

        Raises:
            PluginError: The name was added or loaded before, or ``plugin`` lacks the method.
        """
        if name in self._loaded:
            message = f"there is a plugin {name!r} already"
            raise PluginError(message, plugin=name)
        self._take(name, lambda registry: registry.register(plugin, name))
        self._added[name] = plugin

    def load(self, name: str) -> Any:
        """Return the plugin called ``name``. It is loaded once.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
            PluginError: It cannot be imported or instantiated, or it lacks the method.
        """
        if name in self._loaded:
            return self._loaded[name]
        if name in self._added:
            return self._take(name, lambda each: each.register(self._added[name], name))
        return self._take(name, lambda each: self._load_installed(each, name))

    def unload(self, name: str) -> None:
        """Unload the plugin and reload its module, so that it can be loaded again.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
            PluginError: Its module cannot be imported again.
        """
        self.require(name)
        self._loaded.pop(name, None)
        if name in self._added:
            return
        try:
            _reload_module(self._entry_point(name))
        except Exception as error:
            raise self.error(name, "cannot be reloaded", error) from error

    def require(self, name: str) -> None:
        """Raise an error unless there is a plugin called ``name``.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
        """
        if name not in self._added and self._entry_point(name) is None:
            raise self._unknown(name)

    def error(self, name: str, problem: str, cause: BaseException) -> PluginError:
        """Return an error with the plugin's name, its entry point and the cause."""
        entry = None if name in self._added else self._entry_point(name)
        where = f" ({entry.value}{_distribution(entry)})" if entry else ""
        notes = "".join(f"; {note}" for note in getattr(cause, "__notes__", ()))
        why = f"{type(cause).__name__}: {cause}{notes}"
        return PluginError(f"plugin {name!r}{where} {problem}: {why}", plugin=name)

    def _take(self, name: str, find: Callable[[_PluggyRegistry], object]) -> Any:
        # One registry for each plugin, because pluggy scans all of a registry at every change.
        registry = _PluggyRegistry("aldis")
        registry.add_hookspecs(_Spec)
        try:
            found = find(registry)
        except Exception as error:
            raise self.error(name, "cannot be loaded", error) from error
        if not found:
            raise self._unknown(name)
        self._loaded[name] = registry.get_plugin(name)
        return self._loaded[name]

    def _load_installed(self, registry: _PluggyRegistry, name: str) -> int:
        entry = self._entry_point(name)
        if entry is not None:
            _module_of(entry)  # raises for a malformed one, which pluggy does not report well
        return registry.load_setuptools_entrypoints(self.group, name)

    def _entry_point(self, name: str) -> EntryPoint | None:
        return next(iter(entry_points(group=self.group, name=name)), None)

    def _unknown(self, name: str) -> UnknownPluginError:
        names = self.names
        closest = get_close_matches(name, names, n=1)
        if closest:
            hint = f"did you mean {closest[0]!r}?"
        else:
            there = ", ".join(repr(each) for each in names) or "none"
            hint = f"installed in the entry point group {self.group!r}: {there}"
        return UnknownPluginError(f"no plugin is called {name!r}; {hint}", plugin=name)


def _reload_module(entry: EntryPoint | None) -> None:
    module = sys.modules.get(_module_of(entry)) if entry else None
    if module is None:
        return
    importlib.invalidate_caches()
    try:
        importlib.reload(module)
    except BaseException:
        # The module is half new and half old. The next import must load all of it or fail.
        sys.modules.pop(module.__name__, None)
        raise


def _module_of(entry: EntryPoint) -> str:
    """Return the module that an entry point names.

    Raises:
        ValueError: The entry point is malformed.
    """
    try:
        return entry.module
    except (AttributeError, AssertionError) as error:  # depends on the version of Python
        message = (
            f"its entry point is malformed: {entry.value!r} is not of the form 'package.module' or "
            "'package.module:Plugin'"
        )
        raise ValueError(message) from error


def _distribution(entry: EntryPoint) -> str:
    dist = entry.dist
    return f" of {dist.name} {dist.version}" if dist is not None else ""
