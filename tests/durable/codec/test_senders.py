"""Senders that can be encoded, and the errors about the others."""

import sys
from enum import IntEnum, StrEnum

import pytest
from flask import Blueprint, Flask, current_app
from hypothesis import given
from hypothesis import strategies as st

from aldis.durable.codec import add_app, register_sender
from aldis.errors import (
    InvalidNameError,
    PayloadError,
    PayloadMismatchError,
    PayloadTypeError,
)
from tests.durable.codec.signals import Rows, codec_of

CODEC = codec_of(int)


class Plain:
    """A plain object."""


class Asgi:
    """An app that is not a Flask app."""

    async def __call__(self, scope, receive, send):
        """Serve nothing."""


class Slotted:
    __slots__ = ()


class Branch(StrEnum):
    NORTH = "north"


class Floor(IntEnum):
    THIRD = 3


REGISTERED = Plain()
register_sender("tests.plain", REGISTERED)


def text_of(sender):
    """Return the text of a send by the given sender."""
    return CODEC.encode(sender, {"value": 1})


def arrive(sender, rows=None):
    """Return the sender that the worker sees."""
    arrived, payload = CODEC.decode(text_of(sender), rows or Rows())
    assert {"value": 1} == payload
    return arrived


@given(sender=st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])))
def test_none_str_and_int_arrive(sender):
    """None, str and int arrive unchanged."""
    arrived = arrive(sender)
    assert (type(sender), sender) == (type(arrived), arrived)


@pytest.mark.parametrize(("sender", "value"), [(Branch.NORTH, "north"), (Floor.THIRD, 3)])
def test_members_of_enums_arrive_by_value(sender, value):
    """A StrEnum or IntEnum member arrives as its value."""
    arrived = arrive(sender)
    assert (type(value), value) == (type(arrived), arrived)


def test_a_flask_app_becomes_the_app_of_the_worker():
    """The receiver gets the worker's app, and ``current_app`` counts as the app."""
    app, workers = Flask("shop"), Flask("shop")

    assert '{"sender":{"app":"shop"},"payload":{"value":1}}' == text_of(app)
    assert workers is arrive(app, Rows(app=workers))
    with app.app_context():
        assert text_of(app) == text_of(current_app)


def test_a_blueprint_is_not_an_app():
    """A blueprint is not an app, although it has an import name."""
    with pytest.raises(PayloadError, match="the sender is a Blueprint, which cannot be encoded"):
        text_of(Blueprint("b", "shop"))


def test_another_app_is_declared():
    """``add_app`` declares another app without keeping it alive."""
    app = Asgi()
    with pytest.raises(PayloadError, match="the sender is an Asgi, which cannot be encoded"):
        text_of(app)
    add_app(app)
    count = sys.getrefcount(app)
    add_app(app)

    assert '"sender":{"app":"Asgi"}' in text_of(app)
    assert count == sys.getrefcount(app)


def test_an_app_that_cannot_be_held_weakly():
    """An app that cannot be weakly referenced is refused with a remedy."""
    with pytest.raises(PayloadTypeError, match=r"call register_sender\(name, app\) instead"):
        add_app(Slotted())


def test_a_worker_without_an_app():
    """A sender that was the app cannot be loaded by a worker without an app."""
    message = "the sender is the app, but the worker has no app: start it with --app"
    with pytest.raises(PayloadMismatchError, match=message):
        arrive(Flask("shop"))


def test_a_registered_object_arrives():
    """A registered object arrives as itself."""
    assert '"sender":{"object":"tests.plain"}' in text_of(REGISTERED)
    assert REGISTERED is arrive(REGISTERED)


def test_a_second_name_is_read_and_not_written():
    """After a renaming, texts with the old name can still be decoded."""
    register_sender("tests.old-name", REGISTERED)

    assert '"tests.plain"' in text_of(REGISTERED)
    old = text_of(REGISTERED).replace("tests.plain", "tests.old-name")
    assert REGISTERED is CODEC.decode(old, Rows())[0]


def test_a_name_twice():
    """A name can be registered again for its object, but not for another one."""
    register_sender("tests.plain", REGISTERED)
    message = "the sender 'tests.plain' is already <.*Plain object at .*>, not <.*Plain object"
    with pytest.raises(InvalidNameError, match=message):
        register_sender("tests.plain", Plain())


@pytest.mark.parametrize("sender", [None, "shop", 7, True, Branch.NORTH])
def test_senders_that_need_no_name(sender):
    """None, str and int cannot be registered."""
    with pytest.raises(InvalidNameError, match="needs no name: None, str and int are recorded"):
        register_sender("tests.value", sender)


def test_an_empty_name():
    """A name must not be empty."""
    with pytest.raises(InvalidNameError, match="the name of a sender is empty"):
        register_sender("", Plain())


@pytest.mark.parametrize("sender", [True, 1.5, b"x", [], Plain(), Plain, sys])
def test_any_other_sender(sender):
    """The error about any other sender names the remedy."""
    message = (
        r"signal 'shop_changed' cannot be recorded for receipt \(.*\): the sender is an? "
        r"[\w.]+, which cannot be encoded: send None, a str or an int, or name it with "
        "aldis.durable.register_sender"
    )
    with pytest.raises(PayloadError, match=message):
        text_of(sender)


def test_a_sender_that_is_not_valid_unicode():
    """A sender with a lone surrogate is refused."""
    with pytest.raises(PayloadError, match="the sender holds text that is not valid Unicode"):
        text_of("\ud800")


def test_an_unregistered_name():
    """An unregistered name is a mismatch with a remedy."""
    text = text_of(REGISTERED).replace("tests.plain", "gone")
    message = "the sender is the object 'gone', which is not registered here: import the module"
    with pytest.raises(PayloadMismatchError, match=message):
        CODEC.decode(text, Rows())


def test_an_undeclared_row():
    """A recorded class name is never looked up: it must be declared."""
    text = '{"sender":{"row":"Order","key":[1]},"payload":{"value":1}}'
    message = "the sender is a row of 'Order', which the sender's annotation does not name"
    with pytest.raises(PayloadMismatchError, match=message):
        CODEC.decode(text, Rows())
