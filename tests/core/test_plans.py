"""The call loop never walks an outdated plan."""

import aldis


class Sender:
    """An object that can be weakly referenced."""


def heard_by(signal, sender):
    """Send, and return the values of the receivers."""
    return [value for _, value in signal.send(sender)]


def test_a_receiver_of_any_sender_reaches_every_senders_own_plan():
    """After a connect for any sender, the plans of all senders are renewed, not only the first."""
    signal, one, other = aldis.Signal(), Sender(), Sender()
    signal.connect(lambda sender: "one's", one, weak=False)
    signal.connect(lambda sender: "the other's", other, weak=False)
    assert ["one's"] == heard_by(signal, one) == heard_by(signal, one)
    assert ["the other's"] == heard_by(signal, other) == heard_by(signal, other)

    def everyones(sender):
        return "everyone's"

    signal.connect(everyones)
    assert ["one's", "everyone's"] == heard_by(signal, one) == heard_by(signal, one)
    assert ["the other's", "everyone's"] == heard_by(signal, other)

    signal.disconnect(everyones)
    assert ["one's"] == heard_by(signal, one) == heard_by(signal, one)
    assert ["the other's"] == heard_by(signal, other)


def test_a_stranger_at_a_dead_senders_address_hears_nothing():
    """A sender that died, and whose place in memory another one got, is not taken for that one."""
    signal, met = aldis.Signal(), 0
    for _ in range(100):
        sender = Sender()
        address = id(sender)
        signal.connect(lambda sender: "its own", sender, weak=False)
        assert ["its own"] == heard_by(signal, sender) == heard_by(signal, sender)
        del sender
        stranger = Sender()
        met += id(stranger) == address
        assert [] == heard_by(signal, stranger)
    assert met > 0
