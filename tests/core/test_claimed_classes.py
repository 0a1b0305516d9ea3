"""Senders and receivers whose ``__class__`` is not their type, or raises."""

from collections import deque
from enum import IntEnum, StrEnum
from functools import partial
from unittest.mock import MagicMock, Mock, NonCallableMock, create_autospec

import pytest
from werkzeug.local import LocalProxy

import aldis
from aldis.core.inspection import make_id
from aldis.core.sender import describe_sender
from aldis.durable import register_sender
from tests.core.support import Recorder, resend


def receive(sender, **extra):
    """Receive anything."""
    return "received"


class Claims:
    """Claims to be a str, without any attribute of one."""

    __class__ = str


class Raises:
    """Raises an error when code reads its ``__class__``."""

    @property
    def __class__(self):
        """Raise."""
        raise ZeroDivisionError

    def __call__(self, sender, **extra):
        """Receive."""
        return "received"


class RaisesEverything:
    """Raises an error when code reads any attribute, hashes it or compares it."""

    __hash__ = None

    def __getattribute__(self, name):
        raise ZeroDivisionError(name)

    def __eq__(self, other):
        raise ZeroDivisionError

    def __call__(self, sender, **extra):
        """Receive."""
        return "received"


class Unhashable(str):
    """A str that cannot be hashed or compared."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other):
        raise ZeroDivisionError


SENDERS = {
    "Mock(spec=str)": lambda: Mock(spec=str),
    "Mock(spec=int)": lambda: Mock(spec=int),
    "Mock(spec=bool)": lambda: Mock(spec=bool),
    "MagicMock(spec=str)": lambda: MagicMock(spec="north"),
    "NonCallableMock(spec=int)": lambda: NonCallableMock(spec=7),
    "create_autospec(str)": lambda: create_autospec(str, instance=True),
    "a class that claims": Claims,
    "a class that raises": Raises,
    "attributes that raise": RaisesEverything,
    "an unhashable list": lambda: ["north"],
    "an unhashable dict": lambda: {"north": 1},
}


class TestSenders:
    @pytest.mark.parametrize("make", SENDERS.values(), ids=SENDERS.keys())
    @pytest.mark.filterwarnings("ignore::aldis.errors.SenderWarning")  # one of them is a list
    def test_a_sender_is_matched_by_its_identity(self, signal, make):
        """The type of a sender decides, not its ``__class__``."""
        sender, other = make(), make()
        signal.connect(receive, sender)
        assert [(receive, "received")] == resend(signal, sender)
        assert [] == resend(signal, other)
        assert [] == resend(signal, "north")
        assert signal.has_receivers_for(sender)
        assert signal.explain(sender).rows[0].runs
        assert describe_sender(sender)
        assert make_id(sender) == id(sender)
        assert [id(sender)] == list(signal._by_sender)
        signal.disconnect(receive, sender)
        assert [] == resend(signal, sender)

    @pytest.mark.parametrize("make", SENDERS.values(), ids=SENDERS.keys())
    async def test_receivers_of_any_sender_get_the_sender(self, signal, make):
        """Every method that sends accepts the sender and passes it on."""
        heard, sender = Recorder(), make()
        signal.connect(heard)
        resend(signal, sender)
        signal.send_robust(sender)
        await signal.asend(sender)
        assert [True] * 5 == [each is sender for each in heard.senders]

    @pytest.mark.parametrize("value", ["north", 7, 0, -1, 2**70, ""])
    @pytest.mark.parametrize("kind", ["proxy", "subclass", "enum", "unhashable"])
    def test_a_proxy_or_subclass_of_a_value_is_matched_by_the_value(self, signal, kind, value):
        """A proxy of a str or int, and an instance of a subclass, count as the plain value."""
        base = type(value)
        enum = StrEnum if base is str else IntEnum
        sender = {
            "proxy": lambda: LocalProxy(lambda: value),
            "subclass": lambda: type("Value", (base,), {})(value),
            "enum": lambda: enum("Value", {"MEMBER": value}).MEMBER,
            "unhashable": lambda: type("Value", (base,), {"__hash__": None})(value),
        }[kind]()
        signal.connect(receive, sender)
        assert [(receive, "received")] == resend(signal, value)
        assert [(receive, "received")] == resend(signal, sender)
        signal.disconnect(receive, value)
        assert [] == resend(signal, sender)

    def test_an_unhashable_str_is_matched_by_its_text(self, signal):
        """A str without a hash whose ``__eq__`` raises counts as the plain text."""
        signal.connect(receive, Unhashable("north"))
        assert [(receive, "received")] == resend(signal, "north")

    @pytest.mark.parametrize("make", [*SENDERS.values()][:9], ids=[*SENDERS.keys()][:9])
    def test_a_sender_that_claims_to_be_a_str_can_be_registered(self, make):
        """An object that claims to be a str can get a name for durable receivers."""
        register_sender(f"claims {id(make)}", make())


RECEIVERS = {
    "Mock(spec=function)": lambda: Mock(spec=receive, return_value="received"),
    "Mock(spec=method)": lambda: Mock(spec=Recorder().__call__, return_value="received"),
    "Mock(spec=builtin)": lambda: Mock(spec=deque().append, return_value="received"),
    "Mock(spec=partial)": lambda: Mock(spec=partial(receive), return_value="received"),
    "Mock(spec=class)": lambda: Mock(spec=Recorder, return_value="received"),
    "Mock(spec=Signal.send)": lambda: Mock(spec=aldis.Signal().send, return_value="received"),
    "autospec of a method": lambda: create_autospec(Recorder().__call__, return_value="received"),
    "a class that raises": Raises,
}


class TestReceivers:
    @pytest.mark.parametrize("make", RECEIVERS.values(), ids=RECEIVERS.keys())
    def test_a_receiver_with_a_claimed_class_is_called(self, signal, make):
        """A receiver with a false ``__class__`` is connected and called like any object."""
        receiver = make()
        signal.connect(receiver)
        assert ["received"] == [value for _, value in resend(signal, "north")]
        assert "weak" in str(signal.explain())
        signal.disconnect(receiver)
        assert [] == resend(signal, "north")

    def test_a_receiver_without_a_readable_signature_fits_a_contract(self, shop):
        """A contract accepts a receiver whose signature cannot be read."""

        @shop.define
        def paid(sender, /, *, number: int) -> None:
            """Sent when an order is paid."""

        receiver = Raises()
        paid.connect(receiver)
        assert [(receiver, "received")] == paid.send("north", number=7)
