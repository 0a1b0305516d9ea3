"""Subscriptions as a unit."""

import gc
import weakref
from functools import partial
from threading import Thread

import pytest

from aldis import Signal
from aldis.errors import ContractError, ReceiverError
from aldis.plugins import Subscriptions
from aldis.receivers import once, robust


def values(results):
    """Return what the receivers returned."""
    return [value for _, value in results]


def audit(sender, **kwargs):
    """Answer."""
    return "audit"


def restock(sender, **kwargs):
    """Answer otherwise."""
    return "restock"


def test_callables_and_dicts_are_connected_as_connect_would(shop):
    """A callable receives from every sender, a dict from the sender that it names."""
    paid = shop.signal("paid")
    mapping = {paid: [audit, {"receiver": restock, "sender": "north", "weak": False}]}
    with Subscriptions(mapping):
        assert ["audit"] == values(paid.send("south"))
        assert ["audit", "restock"] == values(paid.send("north"))
    assert [] == paid.send("north")


def test_receivers_come_in_the_mappings_order(shop):
    """Receivers run in the order of the mapping."""
    paid = shop.signal("paid")
    calls = []
    receivers = [lambda sender, n=n, **kwargs: calls.append(n) for n in range(5)]
    with Subscriptions({paid: receivers}):
        paid.send()
    assert [0, 1, 2, 3, 4] == calls


@pytest.mark.parametrize("collect", [list, tuple, iter, lambda items: (item for item in items)])
def test_any_iterable_of_receivers_will_do(shop, collect):
    """Lists, tuples and generators are read once."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: collect([audit, restock])})
    for _ in range(2):
        with unit:
            assert ["audit", "restock"] == values(paid.send())


def test_lambdas_and_partials_live_as_long_as_the_unit(shop):
    """A receiver without another reference lives until the unit is disconnected."""
    paid = shop.signal("paid")
    receiver = partial(lambda answer, sender, **kwargs: answer, 7)
    died = weakref.ref(receiver)
    unit = Subscriptions({paid: [receiver, lambda sender, **kwargs: 8]})
    del receiver
    unit.connect()
    gc.collect()
    assert [7, 8] == values(paid.send())
    unit.disconnect()
    del unit
    gc.collect()
    assert died() is None
    assert not paid.receivers


def test_an_entry_decides_whether_it_is_weak(shop):
    """``weak`` is passed on to ``connect``, with the same default."""
    paid = shop.signal("paid")
    with Subscriptions({paid: [audit, {"receiver": restock, "weak": False}]}):
        assert ["weak", "strong"] == [row.strength for row in paid.explain().rows]


def test_a_failing_entry_leaves_nothing_connected(shop):
    """If an entry fails, the entries before it are undone, and the error names the entry."""
    paid, sent = shop.signal("paid"), shop.signal("sent")
    unhashed = [].append  # a list allows no weak references
    with pytest.warns(match="add \\*\\*kwargs"):
        unit = Subscriptions({paid: [audit], sent: [restock, unhashed]})
    with pytest.raises(ReceiverError) as caught:
        unit.connect()
    assert "entry 2 of 'sent'" in caught.value.__notes__[0]
    assert not paid.receivers
    assert not sent.receivers
    assert not unit.connected


def test_a_contract_refuses_the_whole_unit(shop):
    """One receiver that does not fit its contract prevents all connections of the unit."""

    @shop.define
    def paid(sender: str, /, *, order_id: int) -> None: ...

    def wrong(sender, invoice_id, **kwargs): ...

    unit = Subscriptions({shop.signal("sent"): [audit], paid: [wrong]})
    with pytest.raises(ContractError, match="invoice_id"):
        unit.connect()
    assert not shop.signal("sent").receivers


def test_a_listener_of_receiver_connected_can_refuse(shop):
    """If a receiver of ``receiver_connected`` raises, nothing stays connected."""
    paid = shop.signal("paid")

    def refuse(signal, /, receiver, **kwargs):
        if receiver is restock:
            raise KeyboardInterrupt

    paid.receiver_connected.connect(refuse)
    with pytest.raises(KeyboardInterrupt):
        Subscriptions({paid: [audit, restock]}).connect()
    assert not paid.receivers


def test_disconnecting_undoes_exactly_what_was_connected(shop):
    """A receiver that the program also connected stays, in its place."""
    paid = shop.signal("paid")
    paid.connect(audit)
    with Subscriptions({paid: [restock, audit]}):
        assert ["audit", "restock"] == values(paid.send())
    assert ["audit"] == values(paid.send())


def test_two_units_that_share_a_receiver_do_not_disconnect_each_other(shop):
    """A shared receiver is called once, until both units are disconnected."""
    paid = shop.signal("paid")
    first, second = (Subscriptions({paid: [audit]}) for _ in range(2))
    first.connect()
    second.connect()
    assert ["audit"] == values(paid.send())
    first.disconnect()
    assert ["audit"] == values(paid.send())
    second.disconnect()
    assert [] == paid.send()


def test_a_plugin_may_make_new_closures_at_each_call(shop):
    """``disconnect`` removes the connected closures, not those of a new call."""
    paid = shop.signal("paid")

    class Plugin:
        def get_signal_subscriptions(self):
            return {paid: [lambda sender, **kwargs: "closure"]}

    plugin = Plugin()
    unit = Subscriptions(plugin.get_signal_subscriptions())
    unit.connect()
    plugin.get_signal_subscriptions()
    unit.disconnect()
    assert not paid.receivers


def test_connecting_nests(shop):
    """A unit is disconnected when the outermost block ends."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [audit]})
    with unit:
        with unit:
            assert ["audit"] == values(paid.send())
        assert unit.connected
        assert ["audit"] == values(paid.send())
    assert not unit.connected
    assert [] == paid.send()
    unit.disconnect()
    with unit:
        assert ["audit"] == values(paid.send())


def test_a_block_that_raises_disconnects(shop):
    """A block that raises disconnects its unit."""
    paid = shop.signal("paid")
    with pytest.raises(ZeroDivisionError), Subscriptions({paid: [audit]}):
        raise ZeroDivisionError
    assert not paid.receivers


def test_all_are_disconnected_although_an_announcement_raises(shop):
    """An error of a ``receiver_disconnected`` receiver is raised after all are disconnected."""
    paid = shop.signal("paid")

    def complain(signal, /, receiver, **kwargs):
        raise ValueError(receiver.__name__)

    paid.receiver_disconnected.connect(complain)
    unit = Subscriptions({paid: [audit, restock]})
    unit.connect()
    with pytest.raises(ValueError, match="restock"):
        unit.disconnect()
    assert not paid.receivers


def test_a_receiver_disconnected_by_hand_is_no_error(shop):
    """Disconnecting a unit ignores receivers that the program disconnected."""
    paid = shop.signal("paid")
    with Subscriptions({paid: [audit, restock]}):
        paid.disconnect(audit)
        assert ["restock"] == values(paid.send())
    assert not paid.receivers


def test_a_receiver_keeps_its_delivery(shop, caplog):
    """Decorated receivers keep their delivery mode in a unit."""
    paid = shop.signal("paid")

    @robust
    def failing(sender, **kwargs):
        raise ValueError

    @once
    def first(sender, **kwargs):
        return "first"

    with Subscriptions({paid: [failing, first]}):
        assert [None, "first"] == values(paid.send())
        assert [None] == values(paid.send())
    assert 2 == caplog.text.count("robust receiver")


def test_a_mapping_hands_out_the_same_objects_at_every_call(shop):
    """A second call returns identical receivers and senders, in new dicts."""
    paid = shop.signal("paid")
    branch = object()
    closure = lambda sender, **kwargs: None
    unit = Subscriptions({paid: (closure, {"receiver": audit, "sender": branch, "weak": False})})
    first, second = unit.mapping(), unit.mapping()
    assert [paid] == list(first) == list(second)
    assert closure is first[paid][0]
    assert closure is second[paid][0]
    assert {"receiver": audit, "sender": branch, "weak": False} == first[paid][1]
    assert first[paid][1] is not second[paid][1]
    assert not paid.receivers


def test_a_framework_may_take_weak_out_of_the_mapping(shop):
    """CKAN removes entries from the dicts at an unload. The next load has them again."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [{"receiver": audit, "weak": False}]})
    for _ in range(2):
        for options in unit.mapping()[paid]:
            paid.connect(**options)
        assert ["strong"] == [row.strength for row in paid.explain().rows]
        for options in unit.mapping()[paid]:
            options.pop("weak", None)
            paid.disconnect(**options)
        assert not paid.receivers


def test_a_signal_that_takes_any_option_gets_it():
    """A signal whose ``subscribe`` takes ``**options`` gets the options of the dict."""

    class Open(Signal):
        def subscribe(self, receiver, **options):
            self.options = options
            return super().subscribe(receiver)

    paid = Open()
    with Subscriptions({paid: [{"receiver": audit, "whatever": 1}]}):
        assert {"whatever": 1} == paid.options


def test_a_unit_says_what_it_is(shop):
    """The repr shows the count, the plugin and the state. An empty unit is true."""
    paid, sent = shop.signal("paid"), shop.signal("sent")
    unit = Subscriptions({paid: [audit, restock], sent: [audit]}, plugin="ledger")
    assert "<Subscriptions of plugin 'ledger': 3, not connected>" == repr(unit)
    assert (paid, sent) == unit.signals
    with Subscriptions({}) as empty:
        assert "<Subscriptions of no plugin: 0, connected>" == repr(empty)
        assert empty


def test_a_signal_with_more_options_gets_them(shop):
    """The dict may have any option that the signal's ``subscribe`` takes."""

    class Noted(Signal):
        def subscribe(self, receiver, sender=Signal.ANY, weak=True, *, note=""):
            self.note = note
            return super().subscribe(receiver, sender, weak)

    paid = Noted()
    with Subscriptions({paid: [{"receiver": audit, "note": "first"}]}):
        assert "first" == paid.note
    with pytest.raises(ReceiverError, match="no option 'noet'; did you mean 'note'"):
        Subscriptions({paid: [{"receiver": audit, "noet": "first"}]})


def test_a_unit_can_give_its_receivers_a_delivery(shop, caplog):
    """Receivers without a delivery get the unit's; a receiver with one keeps its own."""
    paid = shop.signal("paid")

    def failing(sender, **kwargs):
        raise ValueError

    only_first = once(lambda sender, **kwargs: "first")
    unit = Subscriptions({paid: [failing, {"receiver": only_first}]}, delivery=robust)
    with unit:
        assert ["robust", "once"] == [row.delivery for row in paid.explain().rows]
        assert [None, "first"] == values(paid.send())
    assert "robust receiver" in caplog.text
    assert unit.mapping()[paid][0] is unit.mapping()[paid][0]
    assert unit.mapping()[paid][0].__wrapped__ is failing


def test_threads_may_connect_and_disconnect_at_once(shop):
    """Whatever threads do to a unit at the same time, nothing is connected twice or left behind."""
    paid = shop.signal("paid")
    unit = Subscriptions({paid: [audit, restock]})
    counts = set()

    def work():
        for _ in range(200):
            with unit:
                counts.add(len(paid.send()))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {2} == counts
    assert not unit.connected
    assert not paid.receivers
