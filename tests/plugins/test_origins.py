"""Which plugin a receiver came from."""

import gc

from aldis.plugins import PluginManager, Subscriptions, origin_of, origins


def audit(sender, **kwargs):
    """Listen."""


def restock(sender, **kwargs):
    """Listen too."""


def shown(signal):
    """Return the receivers' names with the plugins they came from."""
    return [(each.row.receiver, each.plugins) for each in origins(signal)]


def test_receivers_are_shown_with_their_plugins(shop):
    """Every subscription is listed in connection order, with who connected it, if a plugin did."""
    paid = shop.signal("paid")
    paid.connect(restock)
    with Subscriptions({paid: [audit]}, plugin="a"), Subscriptions({paid: [audit]}, plugin="b"):
        assert [("restock", ()), ("audit", ("a", "b"))] == shown(paid)
        assert ("a", "b") == origin_of(paid, audit)
        assert () == origin_of(paid, restock)
    assert [("restock", ())] == shown(paid)
    assert () == origin_of(paid, audit)


def test_the_sender_is_part_of_a_subscription(shop):
    """The same receiver for two senders may come from two plugins."""
    paid = shop.signal("paid")
    branch = object()
    first = Subscriptions({paid: [{"receiver": audit, "sender": branch}]}, plugin="a")
    second = Subscriptions({paid: [{"receiver": audit, "sender": "north"}]}, plugin="b")
    with first, second:
        assert ("a",) == origin_of(paid, audit, branch)
        assert ("b",) == origin_of(paid, audit, "north")
        assert () == origin_of(paid, audit)
        assert [("audit", ("a",)), ("audit", ("b",))] == shown(paid)


def test_a_unit_without_a_name_is_nobodys(shop):
    """Only plugins are shown."""
    paid = shop.signal("paid")
    with Subscriptions({paid: [audit]}):
        assert [("audit", ())] == shown(paid)


def test_a_managers_plugins_are_shown_by_their_names(shop):
    """What enabling connected is shown until it is disabled."""
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


def test_what_a_framework_connected_is_shown_too(shop):
    """Receivers that CKAN took from ``mapping()`` have the plugin's name as well."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [audit, {"receiver": restock, "sender": "x"}]}, plugin="a")
    for receiver in unit.mapping()[paid]:
        paid.connect(**(receiver if isinstance(receiver, dict) else {"receiver": receiver}))
    assert [("audit", ("a",)), ("restock", ("a",))] == shown(paid)


def test_an_unbound_sender_hides_nothing_else(shop):
    """A proxy that stands for nothing at the moment keeps the others from being shown no more."""

    class Proxy:
        def _get_current_object(self):
            raise RuntimeError

    paid = shop.signal("paid")
    unit = Subscriptions({paid: [{"receiver": restock, "sender": Proxy()}, audit]}, plugin="a")
    unit.mapping()
    paid.connect(audit)
    assert [("audit", ("a",))] == shown(paid)


def test_a_unit_that_is_gone_is_not_remembered(shop):
    """Nothing is kept alive, or shown, of a unit that was dropped while it was connected."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [{"receiver": audit, "weak": False}]}, plugin="a")
    unit.connect()
    del unit
    gc.collect()
    assert [("audit", ())] == shown(paid)
