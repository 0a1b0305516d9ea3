"""Enables and disables plugins at run time."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, Final

from aldis.core.namespace import Finding, Namespace, namespaces
from aldis.core.process import ForkSafeLock
from aldis.plugins.check import check_names, check_prefixes, quoted
from aldis.plugins.finder import Finder
from aldis.plugins.mapping import ModeDecorator
from aldis.plugins.subscriptions import Subscriptions

__all__ = ["GROUP", "PluginManager"]

#: The default entry point group. An application may use another one.
GROUP: Final = "aldis.plugins"


class PluginManager:
    """Enables and disables plugins. All receivers of a plugin are connected as one unit.

    Receivers run in the order in which their plugins were enabled. A plugin may connect to a signal
    of another plugin that is enabled later, or never, because a namespace gives both plugins the
    same signal.

    Args:
        group: The entry point group of the plugins. An entry point names a plugin, or a class that
            can be instantiated without arguments; see :class:`aldis.plugins.ISignal`.
        delivery: A decorator such as :class:`aldis.receivers.robust`. It gives a delivery mode to
            the plugins' receivers that have none.
    """

    def __init__(self, group: str = GROUP, *, delivery: ModeDecorator | None = None) -> None:
        self._finder = Finder(group)
        self._delivery = delivery
        self._enabled: dict[str, Subscriptions] = {}
        self._changing = ForkSafeLock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all known plugins: the added ones, then the installed ones."""
        return self._finder.names

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names of the enabled plugins, in the order in which they were enabled."""
        return tuple(self._enabled)

    def add(self, name: str, plugin: object) -> None:
        """Add a plugin that is not installed.

        Args:
            name: The plugin's name. It hides an installed plugin of this name.
            plugin: The plugin, or a class that can be instantiated without arguments.

        Raises:
            PluginError: The name was added before, or ``plugin`` has no method
                ``get_signal_subscriptions()``.
        """
        with self._changing.lock:
            self._finder.add(name, plugin)

    def plugin(self, name: str) -> Any:
        """Return a plugin. It is loaded but not enabled.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
            PluginError: It cannot be loaded.
        """
        with self._changing.lock:
            return self._finder.load(name)

    def enable(self, *names: str) -> None:
        """Connect the receivers of these plugins, one plugin after the other.

        A plugin that is enabled already keeps its place. If one fails, the plugins that this call
        enabled are disabled again.

        Raises:
            UnknownPluginError: No plugin has one of the names. The error names the closest one.
            PluginError: A plugin cannot be loaded or connected. None of its receivers is connected.
        """
        with self._changing.lock:
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
        """Disconnect exactly the receivers that these plugins connected.

        A plugin that is not enabled is ignored.

        Raises:
            UnknownPluginError: No plugin has one of the names. The error names the closest one. All
                plugins stay enabled.
            Exception: A receiver of ``receiver_disconnected`` raised it. All plugins are disabled.
        """
        with self._changing.lock, ExitStack() as disconnecting:
            for name in names:
                if name not in self._enabled:
                    self._finder.require(name)
            # The stack continues after an error. It runs backwards.
            for name in reversed(names):
                unit = self._enabled.pop(name, None)
                if unit is not None:
                    disconnecting.callback(unit.disconnect)

    def reload(self, name: str) -> None:
        """Disable a plugin, load it again, and enable it. Its receivers then run last.

        The module of an installed plugin is reloaded. An added class is instantiated again. If this
        fails, the plugin is disabled.

        Raises:
            UnknownPluginError: No plugin has this name. The error names the closest one.
            PluginError: It cannot be loaded or connected any more. None of its receivers is
                connected.
        """
        with self._changing.lock:
            if name in self._enabled:
                self.disable(name)
            self._finder.unload(name)
            self.enable(name)

    def check(self, *shared: Namespace) -> list[Finding]:
        """Check the signals that plugins connect to and declare.

        Args:
            *shared: The namespaces that plugins share. The name of each signal there must begin
                with the name of the plugin that declares it.

        Returns:
            The findings of :meth:`Namespace.check` in every namespace, with the plugins that
            connected the receivers, and the signals without a plugin's name.
        """
        findings: list[Finding] = []
        for namespace in namespaces():
            findings += check_names(namespace)
        for namespace in shared:
            findings += check_prefixes(namespace, self.names)
        return findings

    def _connect(self, name: str) -> Subscriptions:
        plugin = self._finder.load(name)
        with self._finder.naming(name, "cannot be enabled"):
            unit = Subscriptions(
                plugin.get_signal_subscriptions(), plugin=name, delivery=self._delivery
            )
            unit.connect()
        return unit

    def __repr__(self) -> str:
        return (
            f"<PluginManager of {self._finder.group!r}: {quoted(self.enabled) or 'none enabled'}>"
        )
