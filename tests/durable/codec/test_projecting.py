"""``payload=``, ``upgrade=``, undeclared arguments and the size limit."""

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypedDict

import attrs
import msgspec
import pytest

from aldis import Namespace, signal
from aldis.durable.codec import PayloadCodec
from aldis.errors import PayloadError, PayloadMismatchError
from tests.durable.codec.signals import Rows, receipt

shop = Namespace()


@shop.define
def order_paid(sender, /, *, order_id: int, total: Decimal, note: str = "", **extra) -> None:
    """Sent once an order is paid."""


@shop.define
def order_lost(sender, /, *, order_id: int) -> None:
    """Sent once an order is lost."""


class Typed(TypedDict):
    total: Decimal


@dataclass
class Data:
    total: Decimal
    note: str = ""


@attrs.define
class Attrs:
    total: Decimal


class Struct(msgspec.Struct):
    total: Decimal


def travel(codec, **payload):
    """Encode and decode a send."""
    return codec.decode(codec.encode("shop", payload), Rows())


class TestArguments:
    """Arguments that are declared, undeclared or left out."""

    codec = PayloadCodec(receipt, order_paid)

    def test_optional_argument_left_out(self):
        """An argument with a default can be left out, and the receiver's default applies."""
        payload = {"order_id": 7, "total": Decimal("9.90")}
        assert ("shop", payload) == travel(self.codec, **payload)

    def test_required_argument_left_out(self):
        """A send without a required argument is refused."""
        message = "argument 'total' is missing, but the signal's contract requires it"
        with pytest.raises(PayloadError, match=message):
            self.codec.encode("shop", {"order_id": 7})

    @pytest.mark.parametrize("value", [None, True, 1, 1.5, "x", [1, [None]], {"a": {"b": [1]}}])
    def test_undeclared_argument(self, value):
        """An undeclared argument arrives unchanged if it is plain JSON."""
        payload = {"order_id": 7, "total": Decimal(1), "more": value}
        assert ("shop", payload) == travel(self.codec, **payload)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (Decimal(1), "argument 'more' is of type Decimal, and no type is declared: send None"),
            ([(1,)], r"argument 'more'\[0\] is of type tuple, and no type is declared"),
            ({"a": {1: 2}}, r"argument 'more'\['a'\]\[1\] is an int, but str is decl"),
            ([float("nan")], r"argument 'more'\[0\] is the float nan"),
        ],
    )
    def test_undeclared_argument_that_is_not_json(self, value, message):
        """An undeclared argument that JSON would change is refused."""
        with pytest.raises(PayloadError, match=message):
            self.codec.encode("shop", {"order_id": 7, "total": Decimal(1), "more": value})

    def test_undeclared_argument_that_the_receiver_does_not_take(self):
        """An undeclared argument that the receiver does not take is refused at the send."""

        def strict(sender, *, order_id): ...

        message = "argument 'more' is not declared, and the receiver does not take it"
        with pytest.raises(PayloadError, match=message):
            PayloadCodec(strict, order_lost).encode("shop", {"order_id": 7, "more": 1})

    def test_argument_that_the_contract_lost(self):
        """An argument that the contract lost goes as JSON to a receiver that takes it."""
        text = PayloadCodec(receipt, order_paid).encode(
            "shop", {"order_id": 7, "total": Decimal("9.90")}
        )

        def by_name(sender, *, order_id, total=None): ...

        def without(sender, *, order_id): ...

        for receiver, expected in [
            (receipt, {"order_id": 7, "total": "9.90"}),
            (by_name, {"order_id": 7, "total": "9.90"}),
            (without, {"order_id": 7}),
        ]:
            codec = PayloadCodec(receiver, order_lost)
            assert ("shop", expected) == codec.decode(text, Rows())

    def test_too_many_bytes(self):
        """The error names the size and the limit."""
        codec = PayloadCodec(receipt, order_lost, max_bytes=100)
        assert 100 == len(codec.encode("shop", {"order_id": 7, "more": "x" * 48}))
        message = r"the payload takes 101 bytes, and the limit is 100: give durable a payload="
        with pytest.raises(PayloadError, match=message):
            codec.encode("shop", {"order_id": 7, "more": "ä" * 24 + "x"})

    def test_a_receiver_without_a_signature(self):
        """A receiver without a readable signature gets every argument."""
        codec = PayloadCodec(dict.update, order_lost)
        assert ("shop", {"order_id": 7}) == travel(codec, order_id=7)


class TestProjection:
    """A ``payload=`` function gets the send's arguments and returns the values to record."""

    @pytest.mark.parametrize("kind", [Typed, Data, Attrs, Struct])
    def test_with_types(self, kind):
        """The fields of its result become the receiver's arguments."""

        def project(sender, *, order):
            assert "shop" == sender
            return kind(total=order)

        project.__annotations__["return"] = kind
        codec = PayloadCodec(receipt, signal("untyped"), project=project)
        note = {"note": ""} if kind is Data else {}

        assert ("shop", {"total": Decimal("9.90"), **note}) == travel(codec, order=Decimal("9.90"))

    def test_any_callable(self):
        """The annotations of a partial, a method and a callable object are used."""

        class Caller:
            def __call__(self, sender, *, order) -> Typed:
                """Return the order."""
                return {"total": order}

            def method(self, sender, *, order) -> Typed:
                """Return the order."""
                return {"total": order}

        caller = Caller()
        for project in (caller, caller.method, partial(caller.method)):
            codec = PayloadCodec(receipt, signal("untyped"), project=project)
            assert ("shop", {"total": Decimal(1)}) == travel(codec, order=Decimal(1))

    def test_with_a_value_of_another_type(self):
        """A field of another type than declared is refused."""

        def project(sender, *, order) -> Data:
            return Data(order)

        codec = PayloadCodec(receipt, signal("untyped"), project=project)
        message = r"the result of payload=.*project .*\.total is a float, but Decimal is decl"
        with pytest.raises(PayloadError, match=message):
            codec.encode("shop", {"order": 1.5})

    @pytest.mark.parametrize("hint", [None, dict, dict[str, Any], dict[str, object], Any])
    def test_without_types(self, hint):
        """Without a type, its result is plain JSON."""

        def project(sender, **payload):
            return payload

        if hint is not None:
            project.__annotations__["return"] = hint
        codec = PayloadCodec(receipt, signal("untyped"), project=project)

        assert ("shop", {"a": [1]}) == travel(codec, a=[1])
        message = "argument 'a' is of type Decimal, and no type is declared"
        with pytest.raises(PayloadError, match=message):
            codec.encode("shop", {"a": Decimal(1)})

    def test_with_one_type_for_all(self):
        """``dict[str, T]`` declares the type of every value."""

        def project(sender, **payload) -> dict[str, Decimal]:
            return payload

        codec = PayloadCodec(receipt, signal("untyped"), project=project)

        assert ("shop", {"a": Decimal(1)}) == travel(codec, a=Decimal(1))
        with pytest.raises(PayloadError, match="argument 'a' is an int, but Decimal is declared"):
            codec.encode("shop", {"a": 1})

    @pytest.mark.parametrize("result", [None, 7, Data(Decimal(1)), {1: 2}])
    def test_returns_another_type(self, result):
        """A result without an annotation must be a dict."""
        codec = PayloadCodec(receipt, signal("untyped"), project=lambda sender: result)
        message = "returned .*, not a dict with keys of str: return such a dict"
        with pytest.raises(PayloadError, match=message):
            codec.encode("shop", {})

    def test_raises(self):
        """An error of the function is named, and is the cause."""
        codec = PayloadCodec(
            receipt, signal("untyped"), project=lambda sender, **more: more["order"]
        )
        message = r"payload=.*<lambda> \(.*\) raised KeyError: 'order'"
        with pytest.raises(PayloadError, match=message) as caught:
            codec.encode("shop", {})
        assert isinstance(caught.value.__cause__, KeyError)


class TestUpgrade:
    """``upgrade=`` changes a payload that an older contract recorded."""

    text = '{"sender":"shop","payload":{"id":7,"sum":"9.90"}}'

    def test_without(self):
        """Without it, the error names the argument, the problem and the remedy."""
        message = (
            r"the payload of signal 'order_paid' recorded for receipt \(.*\) does not fit: "
            "argument 'order_id' is missing, but required; "
            "give durable an upgrade= function that returns a payload that fits"
        )
        with pytest.raises(PayloadMismatchError, match=message):
            PayloadCodec(receipt, order_paid).decode(self.text, Rows())

    def test_with(self):
        """It gets plain JSON values, and its result is decoded in their place."""
        seen = []

        def upgrade(payload):
            seen.append(dict(payload))
            return {"order_id": payload.pop("id"), "total": payload.pop("sum")}

        codec = PayloadCodec(receipt, order_paid, upgrade=upgrade)

        assert ("shop", {"order_id": 7, "total": Decimal("9.90")}) == codec.decode(
            self.text, Rows()
        )
        assert [{"id": 7, "sum": "9.90"}] == seen

    def test_with_values_that_json_can_write(self):
        """Its result is read as JSON, so it can contain values that JSON can write."""
        codec = PayloadCodec(
            receipt, order_paid, upgrade=lambda payload: {"order_id": 7, "total": Decimal("9.90")}
        )

        expected = {"order_id": 7, "total": Decimal("9.90")}
        assert ("shop", expected) == codec.decode(self.text, Rows())

    def test_not_called_for_what_fits(self):
        """It is not called for a payload that fits."""
        codec = PayloadCodec(receipt, order_lost, upgrade=lambda payload: pytest.fail("called"))

        assert ("shop", {"order_id": 7}) == travel(codec, order_id=7)

    @pytest.mark.parametrize(
        ("upgrade", "message"),
        [
            (lambda payload: payload["nope"], "its upgrade= raised KeyError: 'nope'"),
            (lambda payload: None, "its upgrade= returned NoneType, not a dict"),
            (lambda payload: {"order_id": "7"}, "argument 'order_id' is a string, not an int"),
            (lambda payload: {1: 2}, "'order_id' is missing.*, after upgrade= has changed it"),
            (lambda payload: {"order_id": {1, 2}}, "argument 'order_id' is .*, not an int"),
        ],
    )
    def test_with_a_result_that_does_not_fit(self, upgrade, message):
        """If its result does not fit either, the error is a mismatch with its cause."""
        codec = PayloadCodec(receipt, order_paid, upgrade=upgrade)
        with pytest.raises(PayloadMismatchError, match=message):
            codec.decode(self.text, Rows())
