"""Test fixtures can empty, save and restore the dict ``signal.receivers``, as on blinker."""

import copy
import gc
from collections import deque
from unittest.mock import patch
from weakref import ReferenceType, WeakMethod, ref

import pytest

import aldis
from aldis.errors import ReceiverError
from aldis.receivers import robust
from tests.core.support import Recorder, Sender, exactly, line_of


def first(sender, **extra):
    """Receive anything."""
    return "first"


def second(sender, **extra):
    """Receive anything."""
    return "second"


@robust
def isolated(sender, **extra):
    """Receive anything."""
    return "isolated"


def values(results):
    """Return what the receivers returned."""
    return [value for _, value in results]


def send(signal, sender=None):
    """Send twice, by the slow path and in the call loop, and return the values."""
    once, again = values(signal.send(sender)), values(signal.send(sender))
    assert once == again
    return once


@pytest.fixture
def north():
    """Give a sender."""
    return Sender()


@pytest.fixture
def connected(signal, north):
    """Give a signal with receivers for different senders."""
    signal.connect(first, north)
    signal.connect(second, weak=False)
    signal.connect(first, "south", weak=False)
    assert ["first", "second"] == send(signal, north)
    return signal


def assert_as_before(signal, north):
    """Assert that the signal has the connections of the fixture ``connected``."""
    assert {id(first), id(second)} == set(signal.receivers)
    assert {"first", "second"} == set(send(signal, north))
    assert {"first", "second"} == set(send(signal, "south"))
    assert ["second"] == send(signal, "east")
    rows = {(row.receiver, row.strength) for row in signal.explain().rows}
    assert {("first", "weak"), ("second", "strong"), ("first", "strong")} == rows


#: Ways to save the receivers, and ways to restore them.
SAVES = {
    "copy": lambda table: table.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "dict": dict,
    "unpacking": lambda table: {**table},
    "union": lambda table: table | {},
    "union from the right": lambda table: {} | table,
    "items": lambda table: dict(list(table.items())),
    "keys": lambda table: {key: table[key] for key in table},
}

EMPTIES = {
    "clear": lambda table: table.clear(),
    "pop": lambda table: [table.pop(key) for key in list(table)],
    "popitem": lambda table: [table.popitem() for _ in range(len(table))],
    "del": lambda table: [table.__delitem__(key) for key in table],
}


def _put(table, saved):
    for key, value in saved.items():
        table[key] = value


def _set_defaults(table, saved):
    for key, value in saved.items():
        assert value is table.setdefault(key, value) or table.setdefault(key, value)


def _join(table, saved):
    table |= saved


FILLS = {
    "update": lambda table, saved: table.update(saved),
    "update with pairs": lambda table, saved: table.update(list(saved.items())),
    "assignment": _put,
    "setdefault": _set_defaults,
    "|=": _join,
}


class TestSavingAndRestoring:
    @pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS.keys())
    @pytest.mark.parametrize("empty", EMPTIES.values(), ids=EMPTIES.keys())
    @pytest.mark.parametrize("save", SAVES.values(), ids=SAVES.keys())
    def test_a_saved_copy_restores_the_connections(self, connected, north, save, empty, fill):
        """Each receiver has its senders and its strength again."""
        saved = save(connected.receivers)
        empty(connected.receivers)
        assert not connected.receivers
        assert [] == send(connected, north)
        connected.connect(Recorder("other"), weak=False)
        empty(connected.receivers)
        fill(connected.receivers, saved)
        assert_as_before(connected, north)

    def test_a_saved_copy_restores_the_order(self, signal):
        """Receivers run in their old order, although they have several connections."""
        third = Recorder("third")
        signal.connect(second, "north")
        signal.connect(first, "north")
        signal.connect(third, "north")
        signal.connect(second)
        for save in SAVES.values():
            saved = save(signal.receivers)
            signal.receivers.clear()
            signal.receivers.update(saved)
            assert ["second", "first", "third"] == send(signal, "north")

    def test_a_copy_restores_disconnected_receivers(self, connected, north):
        """``copy()`` keeps the senders, even after ``disconnect`` or ``_clear_state``."""
        saved = connected.receivers.copy()
        connected.disconnect(first)
        connected._clear_state()
        connected.receivers.update(saved)
        assert_as_before(connected, north)

    def test_mock_patch_dict(self, connected, north):
        """``patch.dict(signal.receivers, clear=True)`` empties the table for a while."""
        with patch.dict(connected.receivers, clear=True):
            assert [] == send(connected, north)
            connected.connect(Recorder("patched"), weak=False)
            assert ["patched"] == send(connected, north)
        assert_as_before(connected, north)

    @pytest.mark.parametrize("replacement", [{}, {id(first): first}], ids=["empty", "another"])
    def test_mock_patch_object(self, connected, north, replacement):
        """``patch.object(signal, "receivers", {})`` replaces the table for a while."""
        table = connected.receivers
        with patch.object(connected, "receivers", replacement):
            assert len(replacement) == len(connected.receivers)
            connected.connect(Recorder("patched"), weak=False)
            assert ["patched"] == send(connected, north)[-1:]
        assert table is connected.receivers
        assert_as_before(connected, north)

    def test_monkeypatch(self, connected, north, monkeypatch):
        """Pytest's ``monkeypatch.setattr`` replaces the table for a while."""
        with monkeypatch.context() as patching:
            patching.setattr(connected, "receivers", {})
            assert [] == send(connected, north)
        assert_as_before(connected, north)

    @pytest.mark.parametrize("save", SAVES.values(), ids=SAVES.keys())
    def test_assigning_a_saved_copy(self, connected, north, save):
        """``signal.receivers = {}`` and later ``signal.receivers = saved``."""
        saved = save(connected.receivers)
        connected.receivers = {}
        assert not connected.receivers
        connected.connect(Recorder("other"), weak=False)
        connected.receivers = saved
        assert_as_before(connected, north)

    def test_assigning_the_table_itself(self, connected, north):
        """``signal.receivers = signal.receivers`` changes nothing."""
        connected.receivers = connected.receivers
        assert_as_before(connected, north)

    def test_settings_stay_with_another_table(self, connected):
        """A signal with another table continues after errors and is muted as before."""
        connected.continue_on_error = True
        with connected.muted():
            connected.receivers = {}
            connected.connect(first)
            assert [] == connected.send()
        assert connected.continue_on_error
        assert ["first"] == send(connected)

    def test_a_receiver_that_died_is_not_restored(self, signal):
        """A saved copy keeps no weak receiver alive."""
        receiver, sender = Recorder(), Sender()
        signal.connect(receiver)
        signal.connect(first, sender)
        saved, plain = signal.receivers.copy(), dict(signal.receivers)
        died = ref(receiver), ref(sender)
        signal.receivers.clear()
        del receiver, sender
        assert (None, None) == (died[0](), died[1]())
        signal.receivers.update(saved)
        signal.receivers.update(plain)
        assert [] == list(signal.receivers)

    def test_another_object_at_the_address_of_a_removed_receiver(self, signal):
        """A new object at that address does not get the senders of the removed receiver."""
        for _ in range(50):
            receiver = Recorder()
            signal.connect(receiver, "north")
            key = id(receiver)
            signal.receivers.clear()
            del receiver
            others = [Recorder() for _ in range(20)]
            for each in others:
                if id(each) == key:
                    signal.receivers[key] = each
                    assert [None] == send(signal, "south")
                    return
        pytest.skip("no new object got the address")

    def test_handles_work_after_a_restoration(self, connected, north):
        """A subscription and a ``connected_to`` block end their connection after a restoration."""
        receiver = Recorder("mine")
        handle = connected.subscribe(receiver, "south")
        with connected.connected_to(receiver, north):
            saved = dict(connected.receivers)
            connected.receivers.clear()
            assert not handle.active
            connected.receivers.update(saved)
            assert handle.active
            assert "mine" in send(connected, north)
        assert "mine" not in send(connected, north)
        assert "mine" in send(connected, "south")
        handle.cancel()
        assert_as_before(connected, north)

    def test_handles_of_a_replaced_table(self, connected, north):
        """A handle of a table that was replaced acts on that table."""
        handle = connected.subscribe(Recorder("mine"), weak=False)
        table = connected.receivers
        connected.receivers = {}
        handle.cancel()
        connected.receivers = table
        assert_as_before(connected, north)

    def test_removed_receivers_use_no_memory(self, signal):
        """The memory of removed receivers does not grow."""
        for _ in range(500):
            signal.connect(Recorder(), Sender(), weak=False)
            signal.receivers.clear()
        assert len(signal._registry.removed) < 50

    def test_a_removed_receiver_dies(self, signal):
        """A strong receiver that was removed by its key is released."""
        receiver = Recorder()
        died = ref(receiver)
        signal.connect(receiver, weak=False)
        del receiver
        assert died()
        signal.receivers.clear()
        gc.collect()
        assert died() is None

    def test_disconnecting_a_removed_receiver(self, signal):
        """A receiver that was removed and disconnected is not connected for that sender again."""
        signal.connect(first, "north")
        signal.connect(first, "south")
        saved = dict(signal.receivers)
        signal.receivers.clear()
        signal.disconnect(first, "north")
        signal.receivers.update(saved)
        assert ([], ["first"]) == (send(signal, "north"), send(signal, "south"))


class TestValues:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: first,
            Recorder,
            lambda: Recorder().__call__.__self__.__call__,
            lambda: deque().append,
            lambda: isolated,
            lambda: [].append,
        ],
        ids=["function", "object", "method", "C method", "delivery mode", "C method of a list"],
    )
    def test_a_reference_returns_the_receiver(self, signal, make):
        """The value of a weak receiver is a reference to the receiver, also to a method."""
        receiver = make()
        weak = getattr(
            type(receiver), "__name__", ""
        ) != "builtin_function_or_method" or isinstance(receiver.__self__, deque)
        signal.connect(receiver, "north", weak=weak)
        [value] = signal.receivers.values()
        assert isinstance(value, ReferenceType) is weak
        assert receiver == (value() if weak else value)
        saved = dict(signal.receivers)
        signal.receivers.clear()
        signal.receivers.update(saved)
        assert signal.has_receivers_for("north")
        assert not signal.has_receivers_for("south")

    def test_a_weak_method_is_a_weak_method_object(self, signal):
        """The value of a weak method is a WeakMethod, as on blinker."""
        receiver = Recorder()
        signal.connect(receiver.__call__)
        assert [WeakMethod(receiver.__call__)] == list(signal.receivers.values())

    def test_putting_a_new_receiver(self, signal):
        """A receiver that was never connected is connected for any sender."""
        signal.receivers[id(first)] = first
        signal.receivers.setdefault(id(second), ref(second))
        assert ["first", "second"] == send(signal, "north")
        assert [True, False] == [row.strength == "strong" for row in signal.explain().rows]

    def test_changing_the_strength(self, connected):
        """A new value for a connected receiver changes its strength only."""
        receiver = Recorder("mine")
        connected.connect(receiver, "north", weak=False)
        key = id(receiver)
        connected.receivers[key] = ref(receiver)
        assert ["second", "mine"] == send(connected, "north")
        del receiver
        assert key not in connected.receivers

    def test_a_key_of_another_receiver(self, signal):
        """The message names the right key."""
        text = (
            f"the key of first ({line_of(first)}) in signal.receivers is {id(first)}, not 'first'"
        )
        with pytest.raises(ValueError, match=exactly(text)):
            signal.receivers["first"] = first

    def test_a_value_that_is_not_callable(self, signal):
        """A value that is not callable is refused."""
        with pytest.raises(ReceiverError):
            signal.receivers[7] = "first"


class TestDictSurface:
    def test_it_is_a_dict(self, connected):
        """``isinstance`` and comparisons with dicts work."""
        table = connected.receivers
        assert isinstance(table, dict)
        assert table == dict(table) == table.copy()
        assert dict(table) == table
        assert (table != dict(table)) is False
        assert table != {}
        assert {} != table
        connected.receivers.clear()
        assert table == {}
        assert {} == table

    def test_reading(self, connected):
        """Every reading method of a dict returns the receivers."""
        table = connected.receivers
        keys = [id(first), id(second)]
        assert keys == list(table) == list(table.keys()) == sorted(table, key=keys.index)
        assert keys[::-1] == list(reversed(table))
        assert 2 == len(table)
        assert bool(table)
        assert second is table[id(second)] is table.get(id(second)) is dict(table)[id(second)]
        assert table.get(7) is None
        assert "x" == table.get(7, "x")
        assert 7 not in table
        assert id(first) in table
        assert keys == [key for key, _ in table.items()]
        assert second in table.values()
        assert keys == list(table | {}) == list({} | table)
        assert {7: 8} == (table | {7: 8}).__class__.fromkeys([7], 8)
        assert "receivers" in repr(table)

    def test_missing_keys(self, signal):
        """A missing key raises, or gives the default."""
        table = signal.receivers
        for missing in (lambda: table[7], lambda: table.pop(7), table.popitem):
            with pytest.raises(KeyError):
                missing()
        with pytest.raises(KeyError):
            del table[7]
        assert "x" == table.pop(7, "x")

    def test_pop_and_popitem(self, connected):
        """``pop`` and ``popitem`` return the values. ``popitem`` removes the last receiver."""
        assert (id(second), second) == connected.receivers.popitem()
        assert first is connected.receivers.pop(id(first))
        assert [] == send(connected, "south")

    def test_removing_while_iterating(self, connected, north):
        """A loop over the table may disconnect."""
        for key in connected.receivers:
            connected.disconnect(key)
        assert [] == send(connected, north)

    def test_a_table_is_live(self, connected):
        """A reference to the table shows later changes."""
        table = connected.receivers
        assert table is connected.receivers
        connected.disconnect(first)
        assert [id(second)] == list(table)

    def test_vars(self, connected):
        """``vars(signal)`` has the table, as on blinker."""
        assert vars(connected)["receivers"] is connected.receivers


class TestDisconnectByKey:
    @pytest.mark.parametrize(
        "make",
        [lambda: first, Recorder, lambda: Recorder().__call__, lambda: deque().append],
        ids=["function", "object", "method", "C method"],
    )
    @pytest.mark.parametrize("by", ["key", "value"])
    def test_a_key_and_a_value_of_receivers(self, connected, make, by):
        """``disconnect`` takes a key or a value of ``receivers`` for the receiver."""
        receiver = make()
        connected.disconnect(first)
        connected.connect(receiver, "north")
        heard = Recorder()
        connected.receiver_disconnected.connect(heard)
        key, value = list(connected.receivers.items())[-1]
        connected.disconnect(key if by == "key" else value)
        assert [id(second)] == list(connected.receivers)
        assert [{"receiver": receiver, "sender": aldis.ANY}] == heard.payloads

    def test_for_one_sender(self, connected, north):
        """With a sender, only that connection ends."""
        connected.disconnect(id(first), north)
        assert ["second"] == send(connected, north)
        assert {"first", "second"} == set(send(connected, "south"))

    @pytest.mark.parametrize("key", [7, "first", (1, 2), None, ref(Recorder), True, ([], 1)])
    def test_an_unknown_key_is_ignored(self, connected, north, key):
        """``disconnect`` ignores a value that is not a key and not a receiver."""
        connected.disconnect(key)
        assert_as_before(connected, north)


class TestPrivateTables:
    def test_blinkers_four_clears(self, connected, north):
        """A fixture that clears all four tables of blinker disconnects everything."""
        connected.receivers.clear()
        connected._by_sender.clear()
        connected._by_receiver.clear()
        connected._weak_senders.clear()
        assert [] == send(connected, north)

    @pytest.mark.parametrize("table", ["_by_sender", "_by_receiver"])
    def test_clearing_one_table(self, connected, north, table):
        """Clearing one of the private tables is enough."""
        getattr(connected, table).clear()
        assert not getattr(connected, table)
        assert [] == send(connected, north)

    def test_weak_senders(self, connected, north):
        """``_weak_senders`` has the senders that allow weak references."""
        assert [(id(north), north)] == [
            (key, value()) for key, value in connected._weak_senders.items()
        ]

    def test_by_sender(self, connected, north):
        """Removing a sender disconnects its receivers. A missing sender has an empty set."""
        assert {0: {id(second)}, id(north): {id(first)}, "south": {id(first)}} == (
            connected._by_sender
        )
        assert set() == connected._by_sender["east"]
        assert connected._by_sender.get("east") is None
        assert {id(first), id(second)} == connected._by_sender[0] | connected._by_sender["south"]
        assert {id(first)} == connected._by_sender.pop(id(north))
        assert ["second"] == send(connected, north)
        del connected._by_sender["south"]
        assert ["second"] == send(connected, "south")
        with pytest.raises(KeyError):
            del connected._by_sender["south"]

    def test_buckets(self, connected, north):
        """Removing an identifier from a set disconnects. Adding an identifier raises."""
        connected._by_sender[id(north)].discard(id(first))
        connected._by_sender[id(north)].discard(7)
        assert ["second"] == send(connected, north)
        connected._by_receiver[id(second)].remove(0)
        assert [] == send(connected, north)
        connected._by_sender["south"].clear()
        assert not connected.receivers
        with pytest.raises(TypeError, match=r"call signal\.connect"):
            connected._by_sender["south"].add(id(first))
        with pytest.raises(TypeError, match=r"call signal\.connect"):
            connected._by_sender["south"] = {id(first)}
