"""Finds plugins by their entry points. pluggy validates their method."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any, Final

from aldis._optional import needs
from aldis.errors import PluginError, UnknownPluginError
from aldis.plugins.installed import distribution_of, installed

with needs("aldis.plugins", "plugins", pluggy="pluggy"):
    import pluggy

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


class ErrorsOf:
    """A context manager that names a plugin in the errors of its code.

    A plugin that raises SystemExit must not end the application silently, so every error becomes a
    PluginError. A KeyboardInterrupt may come from a person. It stays one, and a note names the
    plugin.

    Args:
        describe: Returns the begin of the message.
        name: The plugin's name.
    """

    def __init__(self, describe: Callable[[], str], name: str) -> None:
        self._describe = describe
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"{self._describe()}: it was interrupted")
        elif error is not None:
            notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
            message = f"{self._describe()}: {type(error).__name__}: {error}{notes}"
            raise PluginError(message, plugin=self._name) from error


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
        names = [each.name for each in installed(self.group).entries]
        return tuple(dict.fromkeys([*self._added, *names]))

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
        with self.naming(name, "cannot be reloaded"):
            _reload_module(self._entry_point(name))

    def require(self, name: str) -> None:
        """Raise an error unless there is a plugin called ``name``.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
        """
        if name not in self._added and self._entry_point(name) is None:
            raise self._unknown(name)

    def naming(self, name: str, problem: str) -> ErrorsOf:
        """Return a context manager that names the plugin in the errors of its code.

        Args:
            name: The plugin's name.
            problem: The text between its name and the error, such as "cannot be loaded".
        """
        return ErrorsOf(lambda: f"{self.describe(name)} {problem}", name)

    def describe(self, name: str) -> str:
        """Return the plugin's name, its entry point and its distribution."""
        entry = None if name in self._added else self._entry_point(name)
        if entry is None:
            return f"plugin {name!r}"
        dist = distribution_of(entry)
        return f"plugin {name!r} ({entry.value}{f' of {dist}' if dist else ''})"

    def _take(self, name: str, find: Callable[[_PluggyRegistry], object]) -> Any:
        # One registry for each plugin, because pluggy scans all of a registry at every change.
        registry = _PluggyRegistry("aldis")
        registry.add_hookspecs(_Spec)
        with self.naming(name, "cannot be loaded"):
            found = find(registry)
        if not found:
            raise self._unknown(name)
        self._loaded[name] = registry.get_plugin(name)
        return self._loaded[name]

    def _load_installed(self, registry: _PluggyRegistry, name: str) -> str | None:
        entry = self._entry_point(name)
        if entry is None:
            return None
        _module_of(entry)  # raises for a malformed one, which Python does not report well
        # pluggy's `load_setuptools_entrypoints` fails if any distribution is damaged.
        return registry.register(entry.load(), name)

    def _entry_point(self, name: str) -> EntryPoint | None:
        entries = installed(self.group).entries
        return next((each for each in entries if each.name == name), None)

    def _unknown(self, name: str) -> UnknownPluginError:
        names = self.names
        closest = get_close_matches(name, names, n=1)
        if closest:
            hint = f"did you mean {closest[0]!r}?"
        else:
            there = ", ".join(repr(each) for each in names) or "none"
            hint = f"installed in the entry point group {self.group!r}: {there}"
        damaged = "".join(f"; {each}" for each in installed(self.group).damaged)
        return UnknownPluginError(f"no plugin is called {name!r}; {hint}{damaged}", plugin=name)


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
