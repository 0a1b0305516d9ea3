"""The plugin that connected a receiver."""

import gc

from aldis.plugins import PluginManager, Subscriptions, origin_of, origins


def audit(sender, **kwargs):
    """Receive."""


def restock(sender, **kwargs):
    """Receive, too."""


def shown(signal):
    """Return the names of the receivers and of the plugins that connected them."""
    return [(each.row.receiver, each.plugins) for each in origins(signal)]


def test_receivers_are_shown_with_their_plugins(shop):
    """Every subscription is listed in connection order, with its plugin if it has one."""
    paid = shop.signal("paid")
    paid.connect(restock)
    with Subscriptions({paid: [audit]}, plugin="a"), Subscriptions({paid: [audit]}, plugin="b"):
        assert [("restock", ()), ("audit", ("a", "b"))] == shown(paid)
        assert ("a", "b") == origin_of(paid, audit)
        assert () == origin_of(paid, restock)
    assert [("restock", ())] == shown(paid)
    assert () == origin_of(paid, audit)


def test_the_sender_is_part_of_a_subscription(shop):
    """Two plugins may connect the same receiver for two senders."""
    paid = shop.signal("paid")
    branch = object()
    first = Subscriptions({paid: [{"receiver": audit, "sender": branch}]}, plugin="a")
    second = Subscriptions({paid: [{"receiver": audit, "sender": "north"}]}, plugin="b")
    with first, second:
        assert ("a",) == origin_of(paid, audit, branch)
        assert ("b",) == origin_of(paid, audit, "north")
        assert () == origin_of(paid, audit)
        assert [("audit", ("a",)), ("audit", ("b",))] == shown(paid)


def test_a_unit_without_a_name_is_not_shown(shop):
    """Only plugins are shown."""
    paid = shop.signal("paid")
    with Subscriptions({paid: [audit]}):
        assert [("audit", ())] == shown(paid)


def test_a_managers_plugins_are_shown_by_their_names(shop):
    """The receivers of an enabled plugin are shown until it is disabled."""
    paid = shop.signal("paid")

    class Plugin:
        def get_signal_subscriptions(self):
            return {paid: [audit]}

    manager = PluginManager()
    manager.add("ledger", Plugin)
    manager.enable("ledger")
    assert ("ledger",) == origin_of(paid, audit)
    manager.disable("ledger")
    paid.connect(audit)
    assert () == origin_of(paid, audit)


def test_receivers_that_a_framework_connected_are_shown(shop):
    """Receivers that CKAN took from ``mapping()`` are shown with the plugin's name."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [audit, {"receiver": restock, "sender": "x"}]}, plugin="a")
    for receiver in unit.mapping()[paid]:
        paid.connect(**(receiver if isinstance(receiver, dict) else {"receiver": receiver}))
    assert [("audit", ("a",)), ("restock", ("a",))] == shown(paid)


def test_an_unbound_sender_hides_nothing_else(shop):
    """A proxy without an object does not hide the other subscriptions."""

    class Proxy:
        def _get_current_object(self):
            raise RuntimeError

    paid = shop.signal("paid")
    unit = Subscriptions({paid: [{"receiver": restock, "sender": Proxy()}, audit]}, plugin="a")
    unit.mapping()
    paid.connect(audit)
    assert [("audit", ("a",))] == shown(paid)


def test_a_dropped_unit_is_forgotten(shop):
    """A unit that was dropped while it was connected is not kept alive and not shown."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [{"receiver": audit, "weak": False}]}, plugin="a")
    unit.connect()
    del unit
    gc.collect()
    assert [("audit", ())] == shown(paid)
