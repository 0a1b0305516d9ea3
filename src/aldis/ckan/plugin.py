"""A base class for CKAN plugins with receivers for signals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from aldis.ckan.namespaces import theirs
from aldis.core.process import cached_property
from aldis.core.receiver import receiver_key
from aldis.plugins.interface import SignalMapping
from aldis.plugins.subscriptions import Subscriptions
from aldis.receivers import Delivered, robust

__all__ = ["Plugin", "SignalPlugin", "isolate", "isolated", "propagating"]

P = ParamSpec("P")
R = TypeVar("R")


class propagating(Delivered[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Let the errors of a :class:`SignalPlugin`'s listener reach the sender.

    Use it for a signal whose sender collects return values, or lets receivers stop it.
    """

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the receiver itself."""
        return self.__wrapped__


class isolated(robust[P, R]):  # noqa: N801 - a decorator, in lower case like property
    """Log the errors of a listener with a logger that CKAN's logging configuration shows.

    That configuration disables all loggers that exist already and that it does not name, such as
    aldis's logger.
    """

    logger: ClassVar[logging.Logger] = logging.getLogger("ckanext.aldis")


#: One for each listener, so that a listener of two plugins is called only once.
_isolated: WeakValueDictionary[object, isolated[..., Any]] = WeakValueDictionary()


def isolate(listener: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``listener`` with its errors logged. Each call returns the same object."""
    # The key is valid as long as the value lives, because the value holds the listener.
    return _isolated.setdefault(receiver_key(listener), isolated(listener))


if TYPE_CHECKING or theirs is None:

    class Plugin:
        """The base of plugins without CKAN.

        Args:
            name: The name of the plugin. The default is the name of its class.
        """

        def __init__(self, *_: Any, name: str | None = None, **__: Any) -> None:
            self.name: str = name or type(self).__name__

else:
    import ckan.plugins as _ckan_plugins

    class Plugin(_ckan_plugins.SingletonPlugin):
        """CKAN's base of plugins, with its interface for signals."""

        _ckan_plugins.implements(_ckan_plugins.ISignal)


class SignalPlugin(Plugin):
    """A CKAN plugin whose listeners cannot break the action that sends the signal.

    Return CKAN's mapping from :meth:`listeners`. The errors of a listener without a delivery mode
    are logged and do not reach the sender. A listener with a delivery mode keeps it;
    :class:`propagating` is a mode that lets errors through.

    CKAN calls the plugin for the mapping when it loads the plugin, and again when it unloads it.
    Both times it gets the same receivers, and the plugin holds them, so lambdas and partials work.
    CKAN only sends synchronously, so it gets no async listeners: they are an error.
    :attr:`subscriptions` accepts async listeners for your own awaited sends.
    """

    def listeners(self) -> SignalMapping:
        """Return CKAN's mapping of signals to listeners. Override this method."""
        raise NotImplementedError

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """The plugin's subscriptions as a unit, for tests without CKAN. Listeners may be async.

        Raises:
            ReceiverError: An entry of the mapping cannot be connected.
        """
        return Subscriptions(self.listeners(), plugin=self.name, delivery=isolate)

    def get_signal_subscriptions(self) -> dict[Any, list[Any]]:
        """Return the mapping that CKAN connects and disconnects.

        Raises:
            ReceiverError: An entry of the mapping cannot be connected, or a listener is async. With
                an async listener, CKAN's sends would reach no listener.
        """
        return self.subscriptions.mapping()
