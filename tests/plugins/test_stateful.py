"""Any sequence of enabling, disabling, reloading and failing, against a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aldis import ANY, Namespace
from aldis.errors import PluginError
from aldis.plugins import PluginManager, origin_of
from tests.sizes import sized

NAMES = ("audit", "mail", "stock", "web")
SIGNALS = ("paid", "sent")
SENDERS = (ANY, "north")

#: A subscription of the model: the receiver and its sender.
Key = tuple[str, object]


class Unreferenceable:
    """A receiver that cannot be held weakly, which only ``connect`` finds out."""

    __slots__ = ()

    def __call__(self, sender: object, **kwargs: object) -> None:
        """Do nothing."""


@dataclass
class Entry:
    """One receiver of a plugin: a new one, or the receiver that all plugins share."""

    signal: str
    shared: bool
    sender: object
    weak: bool

    def key(self, plugin: str, number: int) -> Key:
        """Return the key of the subscription in its signal."""
        return ("shared" if self.shared else f"{plugin} {number}"), self.sender


@dataclass
class Plugin:
    """Makes new closures at each call, and fails at the chosen entry."""

    name: str
    machine: Plugins
    entries: list[Entry] = field(default_factory=list)
    failure: str | None = None

    def get_signal_subscriptions(self):
        """Return a new mapping of new receivers."""
        if self.failure == "raise":
            raise OSError
        mapping: dict[object, list[object]] = {}
        for number, entry in enumerate(self.entries):
            receiver = partial(self.machine.hear, f"{self.name} {number}")
            options = {"receiver": self.machine.shared if entry.shared else receiver}
            options |= {"sender": entry.sender, "weak": entry.weak}
            mapping.setdefault(self.machine.shop.signal(entry.signal), []).append(options)
        if self.failure == "entry":
            mapping.setdefault(self.machine.shop.signal("sent"), []).append(7)
        if self.failure == "connect":
            refused = {"receiver": Unreferenceable(), "weak": True}
            mapping.setdefault(self.machine.shop.signal("paid"), []).append(refused)
        return mapping


class Plugins(RuleBasedStateMachine):
    """The model: for each signal its subscriptions in order, each with its owners."""

    def __init__(self) -> None:
        super().__init__()
        self.shop = Namespace()
        self.manager = PluginManager("aldis.tests.none")
        self.heard: list[str] = []
        self.shared = partial(self.hear, "shared")
        self.plugins = {name: Plugin(name, self) for name in NAMES}
        for name, plugin in self.plugins.items():
            self.manager.add(name, plugin)
        self.enabled: dict[str, list[tuple[str, Key]]] = {}
        self.links: dict[str, dict[Key, set[str]]] = {name: {} for name in SIGNALS}

    def hear(self, who: str, sender: object, **kwargs: object) -> None:
        """Record the receiver that was called."""
        self.heard.append(who)

    # -- the steps -----------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(NAMES),
        entries=st.lists(
            st.builds(
                Entry,
                st.sampled_from(SIGNALS),
                st.booleans(),
                st.sampled_from(SENDERS),
                st.booleans(),
            ),
            max_size=4,
        ),
        failure=st.sampled_from([None, None, None, "raise", "entry", "connect"]),
    )
    def change(self, name, entries, failure):
        """A plugin will return something else from now on."""
        self.plugins[name].entries = entries
        self.plugins[name].failure = failure

    @rule(name=st.sampled_from(NAMES))
    def enable(self, name):
        """Enabling a plugin connects all of its receivers or none."""
        if name in self.enabled or not self.plugins[name].failure:
            self.manager.enable(name)
            self.model_enable(name)
        else:
            with pytest.raises(PluginError, match=f"plugin '{name}'"):
                self.manager.enable(name)

    @rule(names=st.permutations(NAMES))
    def enable_all(self, names):
        """Enabling several connects all of them or none."""
        if any(self.plugins[name].failure for name in names if name not in self.enabled):
            before = dict(self.enabled)
            links = {name: dict(each) for name, each in self.links.items()}
            with pytest.raises(PluginError):
                self.manager.enable(*names)
            assert before == self.enabled
            assert links == self.links
        else:
            self.manager.enable(*names)
            for name in names:
                self.model_enable(name)

    @rule(name=st.sampled_from(NAMES))
    def disable(self, name):
        """Disabling disconnects what enabling connected."""
        self.manager.disable(name)
        self.model_disable(name)

    @rule(name=st.sampled_from(NAMES))
    def reload(self, name):
        """Reloading disconnects the old receivers and connects all new ones or none."""
        self.model_disable(name)
        if self.plugins[name].failure:
            with pytest.raises(PluginError, match=f"plugin '{name}'"):
                self.manager.reload(name)
        else:
            self.manager.reload(name)
            self.model_enable(name)

    @rule(signal=st.sampled_from(SIGNALS))
    def connect_by_hand(self, signal):
        """The program connects the shared receiver without a plugin."""
        self.shop.signal(signal).connect(self.shared)
        self.links[signal].setdefault(("shared", ANY), set()).add("hand")

    @precondition(lambda self: any(self.links.values()))
    @rule(signal=st.sampled_from(SIGNALS))
    def disconnect_by_hand(self, signal):
        """The program disconnects the shared receiver, even if a plugin connected it."""
        self.shop.signal(signal).disconnect(self.shared)
        for key in [key for key in self.links[signal] if key[0] == "shared"]:
            del self.links[signal][key]

    # -- the model -----------------------------------------------------------------------------

    def model_enable(self, name):
        """Add the plugin as an owner of its subscriptions; append new ones."""
        if name in self.enabled:
            return
        entries = self.plugins[name].entries
        keys = [(entry.signal, entry.key(name, n)) for n, entry in enumerate(entries)]
        for signal, key in keys:
            self.links[signal].setdefault(key, set()).add(name)
        self.enabled[name] = keys

    def model_disable(self, name):
        """Remove the plugin as an owner; remove subscriptions without an owner."""
        for signal, key in self.enabled.pop(name, []):
            owners = self.links[signal].get(key, set())
            owners.discard(name)
            if not owners:
                self.links[signal].pop(key, None)

    # -- what holds always ---------------------------------------------------------------------

    @invariant()
    def the_same_are_enabled(self):
        """The manager and the model have the same enabled plugins, in the same order."""
        assert tuple(self.enabled) == self.manager.enabled

    @invariant()
    def the_same_receive_in_the_same_order(self):
        """No receiver is left over, none is lost, and each is called once."""
        for signal in SIGNALS:
            for sender in ("north", "south"):
                self.heard.clear()
                self.shop.signal(signal).send(sender)
                due = [who for who, whose in self.links[signal] if whose in (ANY, sender)]
                assert list(dict.fromkeys(due)) == self.heard

    @invariant()
    def nothing_else_is_connected(self):
        """The signal has the subscriptions of the model, with the same plugins."""
        for signal in SIGNALS:
            found = self.shop.signal(signal)
            assert len(self.links[signal]) == len(found.explain().rows)
            for (who, sender), owners in self.links[signal].items():
                if who == "shared":
                    assert owners - {"hand"} == set(origin_of(found, self.shared, sender))

    def teardown(self):
        """After all plugins are disabled, only the program's connections are left."""
        self.manager.disable(*NAMES)
        for signal in SIGNALS:
            hands = [owners for owners in self.links[signal].values() if "hand" in owners]
            assert len(hands) == len(self.shop.signal(signal).receivers)


Plugins.TestCase.settings = settings(
    max_examples=sized(30, 500), stateful_step_count=30, deadline=None
)
TestPlugins = Plugins.TestCase
