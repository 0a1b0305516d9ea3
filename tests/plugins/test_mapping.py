"""The entries that a mapping may have, and the errors for the others."""

import subprocess
import sys
import warnings
from functools import partial, wraps
from unittest.mock import Mock

import pytest

from aldis import Namespace
from aldis.errors import ContractWarning, ReceiverError
from aldis.plugins import Subscriptions
from aldis.receivers import robust

shop = Namespace()
paid = shop.signal("paid")


def audit(sender, **kwargs):
    """Take any arguments."""


@robust
def isolated(sender, **kwargs):
    """Take any arguments, with a delivery mode."""


@wraps(isolated)
def hiding(sender, **kwargs):
    """Bypass a delivery mode."""
    return isolated(sender, **kwargs)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ([paid], "a mapping of signals to receivers, not list"),
        (None, "a mapping of signals to receivers, not NoneType"),
        ({"paid": [audit]}, "'paid' is a name, not a signal; use namespace.signal('paid')"),
        ({7: [audit]}, "int 7 is not a signal"),
        ({paid: audit}, "'paid' needs a list of receivers, not one receiver"),
        ({paid: {"receiver": audit}}, "'paid' needs a list of receivers, not dict"),
        ({paid: "audit"}, "'paid' needs a list of receivers, not str"),
        ({paid: None}, "'paid' needs a list of receivers, not NoneType"),
        ({paid: [audit, 7]}, "entry 2 of 'paid': a receiver must be a callable or a dict with"),
        ({paid: [{}]}, "entry 1 of 'paid': it is a dict without 'receiver'"),
        ({paid: [{"reciever": audit}]}, "no option 'reciever'; did you mean 'receiver'?"),
        (
            {paid: [{"receiver": audit, "zzz": 1}]},
            "there are 'dispatch_uid', 'receiver', 'sender', 'senders', 'subclasses', 'weak'",
        ),
        ({paid: [{"receiver": 7}]}, "entry 1 of 'paid': a receiver must be callable, not int"),
        ({paid: [audit, hiding]}, "entry 2 of 'paid': isolated (test_mapping.py"),
    ],
)
def test_a_mistake_is_named_with_its_place(mapping, words):
    """An entry that cannot be connected is refused first, with its place in the mapping."""
    with pytest.raises(ReceiverError) as caught:
        Subscriptions(mapping)
    assert words.partition("(")[0] in str(caught.value)
    assert not paid.receivers


def test_all_mistakes_are_named_at_once():
    """The error lists all mistakes of the mapping."""
    with pytest.raises(ReceiverError) as caught:
        Subscriptions({paid: [7, audit, {}], "sent": []})
    assert "entry 1 of 'paid'" in str(caught.value)
    assert "entry 3 of 'paid'" in str(caught.value)
    assert "'sent' is a name" in str(caught.value)


def test_a_signal_of_blinker_itself_is_refused_with_the_remedy():
    """The error for a signal of blinker explains how to run on aldis."""
    code = """if True:
        import blinker
        from aldis.errors import ReceiverError
        from aldis.plugins import Subscriptions
        try:
            Subscriptions({blinker.Namespace().signal("paid"): [print]})
        except ReceiverError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "import aldis.as_blinker" in done.stdout


class Listener:
    def __call__(self, sender, **kwargs):
        """Take any arguments."""

    def method(self, sender, **kwargs):
        """Take any arguments."""

    def narrow(self, sender):
        """Take the sender only."""


@pytest.mark.parametrize(
    "receiver",
    [
        audit,
        isolated,
        Listener(),
        Listener().method,
        partial(audit, extra=1),
        lambda *args, **kwargs: None,
        Mock(),
        max,
    ],
    ids=lambda receiver: type(receiver).__name__,
)
def test_a_receiver_that_takes_any_arguments_is_not_reported(receiver):
    """A receiver needs a sender and ``**kwargs``. A callable without a signature is accepted."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Subscriptions({paid: [{"receiver": receiver, "weak": False}]})


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        (lambda sender: None, "add **kwargs"),
        (lambda sender, order_id=0: None, "add **kwargs"),
        (Listener().narrow, "add **kwargs"),
        (robust(lambda sender: None), "add **kwargs"),
        (lambda **kwargs: None, "make its first parameter the sender"),
        (lambda *, order_id=0, **kwargs: None, "make its first parameter the sender"),
    ],
)
def test_a_receiver_that_takes_too_few_arguments_is_reported(receiver, words):
    """A receiver without ``**kwargs`` is connected, with a warning that names its line."""
    with pytest.warns(ContractWarning) as caught:
        unit = Subscriptions({paid: [receiver]})
    (warning,) = caught
    assert words in str(warning.message)
    assert "entry 1 of 'paid'" in str(warning.message)
    assert "test_mapping.py:" in str(warning.message)
    assert __file__ == warning.filename
    with unit:
        assert 1 == len(paid.receivers)


class Model:
    """Is a sender."""


class Order(Model):
    """Is a sender, too."""


def test_the_options_of_connect():
    """An entry may have several senders, a class with its subclasses, and a ``dispatch_uid``."""
    signal = Namespace().signal("options")

    def listen(sender, **extra):
        return sender

    def newer(sender, **extra):
        return "newer"

    unit = Subscriptions(
        {
            signal: [
                {"receiver": listen, "senders": ["a", "b"], "dispatch_uid": "x"},
                {"receiver": listen, "sender": Model, "subclasses": True},
            ]
        }
    )
    with unit:
        assert [1, 1, 0, 1] == [len(signal.send(each)) for each in ("a", "b", "c", Order)]
        signal.connect(newer, "a", dispatch_uid="x")
        assert [(newer, "newer")] == signal.send("a")
    assert [(newer, "newer")] == signal.send("a")
    assert [] == signal.send(Order)


def test_a_mistake_in_the_senders():
    """The error names the entry."""
    signal = Namespace().signal("options")

    def listen(sender, **extra):
        """Receive."""

    with pytest.raises(ReceiverError, match="entry 1 of 'options': senders= must be a list"):
        Subscriptions({signal: [{"receiver": listen, "senders": "ab"}]})
