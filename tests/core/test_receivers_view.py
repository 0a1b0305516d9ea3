"""The live views of a signal's tables: ``receivers``, ``_by_sender``, ``_by_receiver``."""

from collections import UserDict
from weakref import ReferenceType

import pytest

import aldis
from tests.core.support import Recorder, Sender


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestReceivers:
    def test_weak_receivers_are_references(self, signal):
        """The value of a weakly connected receiver is a weak reference to it."""
        signal.connect(receive)
        [(key, value)] = signal.receivers.items()
        assert id(receive) == key
        assert isinstance(value, ReferenceType)
        assert receive is value()

    def test_strong_receivers_are_themselves(self, signal):
        """One strong connection makes the value the receiver itself."""
        signal.connect(receive, "north")
        signal.connect(receive, "south", weak=False)
        assert [receive] == list(signal.receivers.values())

    def test_one_entry_for_each_receiver(self, signal):
        """The size counts receivers, not their senders."""
        for sender in ("north", "south", aldis.ANY):
            signal.connect(receive, sender)
        other = Recorder()
        signal.connect(other.__call__)
        assert 2 == len(signal.receivers)
        assert [id(receive), (id(Recorder.__call__), id(other))] == list(signal.receivers)

    def test_look_up_by_identifier(self, signal):
        """A receiver is found under its identifier. Another identifier raises KeyError."""
        signal.connect(receive, weak=False)
        view = signal.receivers
        assert receive is view[id(receive)]
        assert id(receive) in view
        assert view.get("nobody") is None
        with pytest.raises(KeyError):
            view["nobody"]

    def test_dead_receivers_are_not_in_a_view(self, signal):
        """No view contains a receiver that died."""
        receiver = Recorder()
        signal.connect(receiver)
        view, key = signal.receivers, id(receiver)
        del receiver
        assert not view
        assert ([], 0) == (list(view.values()), len(view))
        with pytest.raises(KeyError):
            view[key]

    def test_clear_disconnects_every_receiver(self, signal):
        """``signal.receivers.clear()``, which test fixtures call, disconnects every receiver."""
        signal.connect(receive)
        signal.connect(receive, "north", weak=False)
        signal.receivers.clear()
        assert [] == signal.send("north")
        assert not signal.receivers

    def test_repr(self, signal):
        """The representation shows identifiers and receivers."""
        signal.connect(receive, weak=False)
        assert f"<receivers: {{{id(receive)}: {receive!r}}}>" == repr(signal.receivers)

    def test_a_receiver_may_die_during_an_iteration(self, signal):
        """An iteration over the values continues after receivers died."""
        receivers = [Recorder() for _ in range(3)]
        for receiver in receivers:
            signal.connect(receiver)
        del receiver
        seen = 0
        for _ in signal.receivers.values():
            receivers.clear()
            seen += 1
        assert 3 == seen


class TestTables:
    def test_by_sender(self, signal):
        """``_by_sender`` maps a sender's identifier to the identifiers of its receivers."""
        sender, other = Sender(), Recorder()
        for each in (aldis.ANY, "north", 7, sender):
            signal.connect(receive, each)
        signal.connect(other, "north")
        assert {
            0: {id(receive)},
            "north": {id(receive), id(other)},
            7: {id(receive)},
            id(sender): {id(receive)},
        } == signal._by_sender

    def test_by_receiver(self, signal):
        """``_by_receiver`` maps a receiver's identifier to the identifiers of its senders."""
        sender = Sender()
        for each in (aldis.ANY, "north", sender):
            signal.connect(receive, each)
        assert {id(receive): {0, "north", id(sender)}} == signal._by_receiver

    def test_set_class_can_be_patched_at_run_time(self, signal, monkeypatch):
        """The tables use ``set_class``, which Pelican sets on the class."""

        class Ordered(UserDict):
            def add(self, item):
                self[item] = None

        monkeypatch.setattr(aldis.Signal, "set_class", Ordered)
        signal.connect(receive, "north")
        assert Ordered is type(signal._by_sender["north"])
        assert [(receive, "north")] == signal.send("north")
