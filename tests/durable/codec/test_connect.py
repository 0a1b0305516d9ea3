"""Types that cannot be encoded are refused when the receiver connects."""

import collections
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass
from decimal import Decimal
from typing import Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from aldis import Namespace, signal
from aldis.durable.codec import PayloadCodec
from aldis.errors import PayloadTypeError
from tests.durable.codec.signals import Rows, codec_of, receipt, signal_of

T = TypeVar("T")


class Widget:
    """A class without declared fields."""


@dataclass
class Holder:
    widgets: list[Widget]


@dataclass
class Seeded:
    seed: InitVar[int]


@dataclass
class Left:
    x: int


@dataclass
class Box(Generic[T]):
    content: T


class Red(msgspec.Struct, tag="red"):
    x: int


class AlsoRed(msgspec.Struct, tag="red"):
    x: int


class Loose(NamedTuple):
    it: object


class Keyed(TypedDict):
    it: Any


class Model(pydantic.BaseModel):
    x: int


REMEDY = "give durable a payload= function that returns other values to record"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Any, "argument 'value' is Any, which can be anything"),
        (object, "argument 'value' is object, which can be anything"),
        (list[Any], "argument 'value' is Any, which can be anything"),
        (Widget, "argument 'value' is Widget, which cannot be encoded"),
        (Holder, r"argument 'value'\.widgets is Widget, which cannot be encoded"),
        (dict[str, Widget | None], "argument 'value' is Widget, which cannot be encoded"),
        (Loose, r"argument 'value'\.it is object"),
        (Keyed, r"argument 'value'\.it is Any"),
        (collections.namedtuple("Bare", "x"), r"argument 'value'\.x has no annotation"),  # noqa: PYI024 - that is tested
        (list, "is list without the type of its values"),
        (dict, "is dict without the type of its values"),
        (collections.OrderedDict[str, int], r"OrderedDict\[str, int\], which cannot be encoded"),
        (Iterable[int], r"Iterable\[int\], which cannot be encoded"),
        (Callable[[], None], "Callable.*, which cannot be encoded"),
        (type[Widget], "type.*Widget.*, which cannot be encoded"),
        (complex, "is complex, which cannot be encoded"),
        (Box[int], r"Box\[int\], which cannot be encoded"),
        (T, "is ~T, which cannot be encoded"),
        (Literal[b"x"], "has the value b'x' in Literal, which is not None, a bool, int or str"),
        (Seeded, "is a Seeded, which its fields alone cannot make .*'seed'"),
        (Decimal | str, "is a union of Decimal and str, which look alike in JSON"),
        (Left | Holder, "is Widget, which cannot be encoded"),
        (Left | Model, "Left and Model, which look alike in JSON"),
        (Left | dict[str, int], r"Left and dict\[str, int\], which look alike in JSON"),
        (Red | AlsoRed, "Red and AlsoRed, which look alike in JSON"),
        (list[int] | set[int], r"list\[int\] and set\[int\], which look alike in JSON"),
        ("Nowhere", "is Nowhere, which cannot be resolved at run time .*name 'Nowhere'"),
    ],
    ids=str,
)
def test_a_type_that_cannot_be_encoded(kind, message):
    """The error names the receiver, the signal, the argument, the type and the remedy."""
    with pytest.raises(PayloadTypeError, match=message) as caught:
        codec_of(kind)
    assert "receiver receipt (" in str(caught.value)
    assert "cannot be durable for signal 'shop_changed'" in str(caught.value)
    assert str(caught.value).endswith(REMEDY)


def test_an_argument_without_an_annotation():
    """An argument without an annotation is refused."""

    def shop_changed(sender, /, *, value): ...

    with pytest.raises(PayloadTypeError, match=f"argument 'value' has no annotation; {REMEDY}"):
        PayloadCodec(receipt, Namespace().define(shop_changed))


def test_a_signal_without_a_contract():
    """A signal without a contract needs a ``payload=`` function."""
    message = f"the signal has no contract that gives its arguments types; {REMEDY}"
    with pytest.raises(PayloadTypeError, match=message):
        PayloadCodec(receipt, signal("untyped"))


def test_an_unresolvable_sender_annotation_is_ignored():
    """A sender's annotation that cannot be resolved is ignored: the sender may be the app."""
    codec = codec_of(int, "Flask")

    assert ("shop", {"value": 1}) == codec.decode(codec.encode("shop", {"value": 1}), Rows())


@pytest.mark.parametrize("kind", [dict, list[int], float | bool, Decimal])
def test_a_type_that_no_sender_can_have(kind):
    """A sender cannot be of a type that is not None, str or int and has no identity."""
    message = "the sender is .*, which cannot be encoded: a sender is None, a str, an int, the app"
    with pytest.raises(PayloadTypeError, match=message):
        codec_of(int, kind)


@pytest.mark.parametrize("kind", [None, str, int, str | dict, Widget, object, Any])
def test_a_type_that_a_sender_can_have(kind):
    """A sender of any class is accepted: it may be registered, or be the app."""
    codec = codec_of(int, kind)

    assert ("shop", {"value": 1}) == codec.decode(codec.encode("shop", {"value": 1}), Rows())


@pytest.mark.parametrize("depth", [200, 5000])  # typing itself cannot follow 5000 levels
def test_a_type_that_never_ends(depth):
    """A type that contains itself outside of a class is refused in finite time."""
    kind = list[int]
    for _ in range(depth):
        kind = list[kind]
    with pytest.raises(PayloadTypeError, match="has a type that contains itself without end"):
        codec_of(kind)


class TestProjection:
    """The result of a ``payload=`` function must be encodable and fit the receiver."""

    def of(self, project, receiver=receipt):
        """Connect a receiver with a ``payload=`` function."""
        return PayloadCodec(receiver, signal_of(Widget), project=project)

    def test_async(self):
        """An async function is refused, because a send cannot await it."""

        async def project(sender, *, value): ...

        message = r"payload=.*project \(.*\) is async, but a send cannot await it"
        with pytest.raises(PayloadTypeError, match=message):
            self.of(project)

    def test_not_callable(self):
        """An object that cannot be called is refused."""
        with pytest.raises(PayloadTypeError, match=r"payload=.* is not a function"):
            self.of({"value": 1})

    def test_returns_something_else(self):
        """A result without named fields is refused, because the fields become arguments."""

        def project(sender, *, value) -> int: ...

        with pytest.raises(PayloadTypeError, match="returns int: it must return a dict, TypedDict"):
            self.of(project)

    def test_returns_a_dict_without_names(self):
        """A dict whose keys are not str is refused, because arguments have names."""

        def project(sender, *, value) -> dict[int, str]: ...

        with pytest.raises(PayloadTypeError, match="returns a dict with keys of int"):
            self.of(project)

    def test_returns_a_type_that_cannot_be_encoded(self):
        """A field of a type that cannot be encoded is refused at connect."""

        def project(sender, *, value) -> Holder: ...

        with pytest.raises(PayloadTypeError, match=r"payload=.*\.widgets is Widget, which cannot"):
            self.of(project)

    def test_returns_a_field_that_the_receiver_does_not_take(self):
        """Fields that the receiver does not take are refused at connect."""

        def project(sender, *, value) -> Left: ...

        def picky(sender, *, y): ...

        message = "does not return the arguments that the receiver takes: .*picky .* does not fit"
        with pytest.raises(PayloadTypeError, match=message) as caught:
            self.of(project, picky)
        assert "it requires 'y', which this signal does not carry" in str(caught.value)
