"""The call loop never walks an outdated plan."""

import aldis


class Sender:
    """An object that can be weakly referenced."""


def values_of_send(signal, sender):
    """Send, and return the values of the receivers."""
    return [value for _, value in signal.send(sender)]


def test_connecting_for_any_sender_renews_the_plan_of_each_sender():
    """After a connect for any sender, a send of each sender calls the new receiver."""
    signal, one, other = aldis.Signal(), Sender(), Sender()
    signal.connect(lambda sender: "one's", one, weak=False)
    signal.connect(lambda sender: "the other's", other, weak=False)
    assert ["one's"] == values_of_send(signal, one) == values_of_send(signal, one)
    assert ["the other's"] == values_of_send(signal, other) == values_of_send(signal, other)

    def receive_any(sender):
        return "everyone's"

    signal.connect(receive_any)
    assert ["one's", "everyone's"] == values_of_send(signal, one) == values_of_send(signal, one)
    assert ["the other's", "everyone's"] == values_of_send(signal, other)

    signal.disconnect(receive_any)
    assert ["one's"] == values_of_send(signal, one) == values_of_send(signal, one)
    assert ["the other's"] == values_of_send(signal, other)


def test_an_object_at_the_address_of_a_dead_sender_does_not_use_its_plan():
    """If a new object gets the memory of a dead sender, it is not mistaken for the sender."""
    signal, met = aldis.Signal(), 0
    for _ in range(100):
        sender = Sender()
        address = id(sender)
        signal.connect(lambda sender: "its own", sender, weak=False)
        assert ["its own"] == values_of_send(signal, sender) == values_of_send(signal, sender)
        del sender
        other = Sender()
        met += id(other) == address
        assert [] == values_of_send(signal, other)
    assert met > 0
