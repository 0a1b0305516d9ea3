"""Plugins whose receivers are connected as one unit. You enable and disable them by name."""

from __future__ import annotations

from aldis.plugins.check import check_names, check_prefixes
from aldis.plugins.interface import ISignal, Listener, SignalMapping
from aldis.plugins.manager import GROUP, PluginManager
from aldis.plugins.origins import Origin, origin_of, origins
from aldis.plugins.subscriptions import Subscriptions

__all__ = [
    "GROUP",
    "ISignal",
    "Listener",
    "Origin",
    "PluginManager",
    "SignalMapping",
    "Subscriptions",
    "check_names",
    "check_prefixes",
    "origin_of",
    "origins",
]
