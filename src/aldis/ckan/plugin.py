"""A base for CKAN plugins that listen to signals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from aldis.ckan.namespaces import theirs
from aldis.core.receiver import receiver_key
from aldis.plugins.interface import SignalMapping
from aldis.plugins.subscriptions import Subscriptions
from aldis.receivers import Delivered, robust

__all__ = ["Plugin", "SignalPlugin", "isolate", "isolated", "propagating"]

P = ParamSpec("P")
R = TypeVar("R")


class propagating(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Let what a listener of a :class:`SignalPlugin` raises reach the sender.

    For a signal that collects what its receivers return, or wants to be stopped by them.
    """

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return what a signal calls: the receiver."""
        return self.__wrapped__


class isolated(robust[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Log what a listener raises, where CKAN's configuration of logging shows it.

    That configuration switches off every logger that it does not name and that was there before,
    as aldis's own is.
    """

    logger: ClassVar[logging.Logger] = logging.getLogger("ckanext.aldis")


#: One for each listener, so that two plugins that share a listener have it called once.
_isolated: WeakValueDictionary[object, isolated[..., Any]] = WeakValueDictionary()


def isolate(listener: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``listener`` with its errors logged instead of raised; the same one at each call."""
    # The key holds as long as the value does, which holds the listener.
    return _isolated.setdefault(receiver_key(listener), isolated(listener))


if TYPE_CHECKING or theirs is None:

    class Plugin:
        """What a plugin is where there is no CKAN.

        Args:
            name: What it is called; the name of its class unless given.
        """

        def __init__(self, *_: Any, name: str | None = None, **__: Any) -> None:
            self.name: str = name or type(self).__name__

else:
    _ckan_plugins = import_module("ckan.plugins")

    class Plugin(_ckan_plugins.SingletonPlugin):
        """CKAN's base of plugins, with the interface for signals."""

        _ckan_plugins.implements(_ckan_plugins.ISignal)


class SignalPlugin(Plugin):
    """A CKAN plugin whose listeners cannot break the action that they listen to.

    Write CKAN's mapping in :meth:`listeners`, and nothing else. A listener without a delivery is
    isolated: what it raises is logged and nobody else notices. A listener with one, of whatever
    kind, keeps it; :class:`propagating` is the one that lets errors through.

    CKAN asks for the mapping when it loads the plugin, and again when it unloads it. It gets the
    same receivers both times, held by the plugin: lambdas and partials work. CKAN sends nothing but
    synchronously, so that an async listener is refused then; :attr:`subscriptions` takes one, for
    those who await what they send.
    """

    def listeners(self) -> SignalMapping:
        """Return CKAN's mapping of signals to listeners; to be overridden."""
        raise NotImplementedError

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """The plugin's subscriptions as a unit, for tests without a CKAN; async ones are taken.

        Raises:
            ReceiverError: An entry of the mapping cannot be connected.
        """
        return Subscriptions(self.listeners(), plugin=self.name, delivery=isolate)

    def get_signal_subscriptions(self) -> dict[Any, list[Any]]:
        """Return what CKAN connects and disconnects.

        Raises:
            ReceiverError: An entry of the mapping cannot be connected, or is an async
                listener, with which nothing that CKAN sends would reach anybody.
        """
        return self.subscriptions.mapping()
