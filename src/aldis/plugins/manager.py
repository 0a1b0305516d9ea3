"""Plugins that come and go at run time."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from threading import RLock
from typing import Any, Final

from aldis.core.namespace import Finding, Namespace, namespaces
from aldis.plugins.check import check_names, check_prefixes, quoted
from aldis.plugins.finder import Finder
from aldis.plugins.mapping import Delivery
from aldis.plugins.subscriptions import Subscriptions

__all__ = ["GROUP", "PluginManager"]

#: The entry point group of plugins, unless an application has one of its own.
GROUP: Final = "aldis.plugins"


class PluginManager:
    """Enables and disables plugins: what they subscribe to is connected as a unit.

    The order of enabling is the order of receiving. A plugin may subscribe to a signal of another
    one that is enabled later, or never: a namespace gives both the same signal.

    Args:
        group: The entry point group to look for plugins in. An entry point names a plugin, or a
            class that makes one without arguments; see :class:`aldis.plugins.ISignal`.
        delivery: What gives a delivery to the plugins' receivers that have none, such as
            :class:`aldis.receivers.robust`.
    """

    def __init__(self, group: str = GROUP, *, delivery: Delivery | None = None) -> None:
        self._finder = Finder(group)
        self._delivery = delivery
        self._enabled: dict[str, Subscriptions] = {}
        self._lock = RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that could be enabled: those added by hand, then those installed."""
        return self._finder.names

    @property
    def enabled(self) -> tuple[str, ...]:
        """The plugins that are enabled, in the order of enabling."""
        return tuple(self._enabled)

    def add(self, name: str, plugin: object) -> None:
        """Add a plugin that no distribution installs.

        Args:
            name: What it is called from now on. It hides an installed plugin of that name.
            plugin: The plugin, or a class that makes one without arguments.

        Raises:
            PluginError: The name was added before, or ``plugin`` has no method
                ``get_signal_subscriptions()``.
        """
        with self._lock:
            self._finder.add(name, plugin)

    def plugin(self, name: str) -> Any:
        """Return the plugin itself, loaded but not enabled by this.

        Raises:
            UnknownPluginError: There is none; the error names the closest.
            PluginError: It cannot be loaded.
        """
        with self._lock:
            return self._finder.load(name)

    def enable(self, *names: str) -> None:
        """Connect what these plugins subscribe to, one after the other.

        One that is enabled already keeps its place. When one of them fails, those that this call
        enabled are disabled again.

        Raises:
            UnknownPluginError: There is no such plugin; the error names the closest.
            PluginError: The plugin cannot be loaded or connected; the error says which and why.
                Nothing of it is connected.
        """
        with self._lock:
            done: list[str] = []
            try:
                for name in names:
                    if name not in self._enabled:
                        self._enabled[name] = self._connect(name)
                        done.append(name)
            except BaseException:
                with suppress(Exception):
                    self.disable(*reversed(done))
                raise

    def disable(self, *names: str) -> None:
        """Disconnect exactly what enabling these plugins connected.

        One that is not enabled is left as it is.

        Raises:
            UnknownPluginError: There is no such plugin; the error names the closest, and all the
                others stay enabled.
            Exception: What a receiver of ``receiver_disconnected`` raised; all are disabled.
        """
        with self._lock, ExitStack() as disconnecting:
            for name in names:
                if name not in self._enabled:
                    self._finder.require(name)
            # The stack goes on after an error, and runs backwards.
            for name in reversed(names):
                unit = self._enabled.pop(name, None)
                if unit is not None:
                    disconnecting.callback(unit.disconnect)

    def reload(self, name: str) -> None:
        """Disable a plugin, load it anew, and enable it: it receives after all the others then.

        The module of an installed plugin is imported anew; a class that was added by hand makes a
        new plugin. When that fails the plugin is disabled.

        Raises:
            UnknownPluginError: There is no such plugin; the error names the closest.
            PluginError: It cannot be loaded or connected any more. Nothing of it is connected.
        """
        with self._lock:
            if name in self._enabled:
                self.disable(name)
            self._finder.unload(name)
            self.enable(name)

    def check(self, *shared: Namespace) -> list[Finding]:
        """Look for what is wrong with the signals that plugins listen to and declare.

        Args:
            *shared: The namespaces that plugins share, whose signals have to begin with the
                name of the plugin that declares them.

        Returns:
            What :meth:`Namespace.check` finds in every namespace, with the plugins that listen, and
            the signals without a plugin's name.
        """
        findings: list[Finding] = []
        for namespace in namespaces():
            findings += check_names(namespace)
        for namespace in shared:
            findings += check_prefixes(namespace, self.names)
        return findings

    def _connect(self, name: str) -> Subscriptions:
        plugin = self._finder.load(name)
        try:
            unit = Subscriptions(
                plugin.get_signal_subscriptions(), plugin=name, delivery=self._delivery
            )
            unit.connect()
        except Exception as error:
            raise self._finder.error(name, "cannot be enabled", error) from error
        return unit

    def __repr__(self) -> str:
        return (
            f"<PluginManager of {self._finder.group!r}: {quoted(self.enabled) or 'none enabled'}>"
        )
