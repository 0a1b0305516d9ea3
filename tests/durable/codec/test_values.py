"""Values of every supported type arrive as they were sent."""

import base64
import math
import uuid
from collections.abc import Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from typing import Annotated, Literal, LiteralString, NamedTuple, NewType, NotRequired, TypedDict
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.errors import PayloadError
from tests.durable.codec.signals import codec_of, travel

BERLIN = ZoneInfo("Europe/Berlin")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Mixed(Enum):
    PAIR = (1, 2)
    SINGLE = 1


class Status(StrEnum):
    PAID = "paid"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Rights(Flag):
    READ = 1
    WRITE = 2


class Mode(IntFlag):
    A = 1
    B = 4


@dataclass
class Line:
    sku: str
    price: Decimal
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Basket:
    lines: tuple[Line, ...]
    total: Decimal = field(init=False, default=Decimal(0))

    def __post_init__(self):
        object.__setattr__(self, "total", sum((line.price for line in self.lines), Decimal(0)))


@dataclass
class Stamped:
    """Its constructor does not give back what it was given."""

    count: int

    def __post_init__(self):
        self.count += 1


@dataclass
class Tree:
    name: str
    children: list["Tree"]


@attrs.define
class Address:
    street: str
    _code: int = 0
    lines: list[str] = attrs.field(factory=list, init=False)


@attrs.frozen
class Shouted:
    word: str = attrs.field(converter=str.upper)


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float = 0.0


class Cash(msgspec.Struct, tag="cash"):
    amount: Decimal


class Card(msgspec.Struct, tag="card"):
    number: str


class Pair(NamedTuple):
    left: int
    right: str = ""


class Options(TypedDict):
    gift: bool
    note: NotRequired[str]


class More(Options, total=False):
    when: datetime


class Customer(pydantic.BaseModel):
    name: str
    born: date | None = None
    address: dict[str, int] = {}


class Aliased(pydantic.BaseModel):
    name: str = pydantic.Field(validation_alias="Name", serialization_alias="nom")


class Numbers(pydantic.RootModel[list[int]]):
    pass


ENDLESS = Tree("a", [])
ENDLESS.children.append(ENDLESS)

OrderId = NewType("OrderId", int)

zones = st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), timezone(timedelta(hours=-3))])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
decimals = st.decimals(allow_nan=False)
floats = st.floats(allow_nan=False, allow_infinity=False)
prices = st.decimals(allow_nan=False, allow_infinity=False)
lines = st.builds(Line, texts, prices, st.sets(texts, max_size=3))

CASES = {
    None: st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: floats | st.integers(),
    str: texts,
    bytes: st.binary(max_size=40),
    Decimal: decimals,
    date: st.dates(),
    time: st.times(timezones=st.none() | st.just(timezone(timedelta(seconds=-7201)))).map(
        lambda value: value.replace(fold=0)
    ),
    timedelta: st.timedeltas(),
    uuid.UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    Mixed: st.sampled_from(Mixed),
    Status: st.just(Status.PAID),
    Level: st.sampled_from(Level),
    Rights: st.sampled_from([Rights(0), Rights.READ, Rights.READ | Rights.WRITE]),
    Mode: st.sampled_from([Mode(0), Mode.A, Mode.A | Mode.B, Mode(8)]),
    Literal["a", 1, True] | None: st.sampled_from(["a", 1, True, None]),
    OrderId: st.integers(),
    Annotated[str, "a note"]: texts,
    LiteralString: texts,
    int | None: st.none() | st.integers(),
    int | float | str: st.integers() | floats | texts,
    bool | int | list[int]: st.booleans() | st.integers() | st.lists(st.integers()),
    Line: lines,
    Basket: st.builds(Basket, st.lists(lines, max_size=2).map(tuple)),
    Stamped: st.builds(Stamped, st.integers()),
    Tree: st.recursive(
        st.builds(Tree, texts, st.just([])),
        lambda inner: st.builds(Tree, texts, st.lists(inner, max_size=2)),
        max_leaves=5,
    ),
    Shouted: st.builds(Shouted, texts),
    Point: st.builds(Point, floats, floats),
    Cash | Card | None: st.none() | st.builds(Cash, decimals) | st.builds(Card, texts),
    Pair: st.builds(Pair, st.integers(), texts),
    Options: st.fixed_dictionaries({"gift": st.booleans()}, optional={"note": texts}),
    Customer: st.builds(Customer, name=texts, born=st.none() | st.dates()),
    Numbers: st.builds(Numbers, st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3)),
    list[Line | None]: st.lists(st.none() | lines, max_size=3),
    set[uuid.UUID]: st.sets(st.uuids(), max_size=3),
    frozenset[Level]: st.frozensets(st.sampled_from(Level)),
    tuple[int, str]: st.tuples(st.integers(), texts),
    tuple[()]: st.just(()),
    tuple[Decimal, ...]: st.lists(decimals, max_size=3).map(tuple),
    dict[str, list[int]]: st.dictionaries(texts, st.lists(st.integers(), max_size=3), max_size=3),
    dict[Status, int]: st.dictionaries(st.just(Status.PAID), st.integers()),
    dict[uuid.UUID, Pair]: st.dictionaries(st.uuids(), st.builds(Pair, st.integers()), max_size=3),
    dict[int | None, str]: st.dictionaries(st.none() | st.integers(), texts, max_size=3),
    Mapping[tuple[int, int], bool]: st.dictionaries(
        st.tuples(st.integers(), st.integers()), st.booleans(), max_size=3
    ),
    Sequence[int]: st.lists(st.integers()) | st.lists(st.integers()).map(tuple),
    MutableSequence[str]: st.lists(texts, max_size=3),
    AbstractSet[str]: st.sets(texts, max_size=3) | st.frozensets(texts, max_size=3),
}


def typed(value):
    """Return ``value`` with the types of all that is in it, so that ``1`` is not ``True``."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, map(typed, value)))
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    if isinstance(value, float):
        return float, value.hex()
    return type(value), value


@pytest.mark.parametrize("kind", CASES, ids=str)
@given(data=st.data())
def test_arrives_as_it_was(kind, data):
    """Whatever a sender may give for a type, the worker gets the same, types included."""
    value = data.draw(CASES[kind])

    assert typed(value) == typed(travel(kind, value, max_bytes=10**6))


@given(value=st.datetimes(timezones=zones))
def test_a_datetime_keeps_its_clock_and_its_zone(value):
    """The wall clock, the offset and the zone's name arrive."""
    arrived = travel(datetime, value)

    assert value.replace(tzinfo=None) == arrived.replace(tzinfo=None)
    assert value.utcoffset() == arrived.utcoffset()
    assert value.tzinfo == arrived.tzinfo


def test_a_clock_in_the_hour_that_comes_twice_keeps_its_turn():
    """When clocks go back, the first and the second 02:30 stay apart."""
    for fold in (0, 1):
        value = datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=fold)
        assert value.timestamp() == travel(datetime, value).timestamp()


def test_a_zone_whose_rules_have_changed_keeps_the_instant():
    """An offset that the zone does not have (any more) there is believed, and converted."""
    codec = codec_of(datetime)
    text = '{"sender":null,"payload":{"value":"2026-03-01T12:00:00+05:00[Europe/Berlin]"}}'
    _, arrived = codec.decode(text, None)

    assert datetime(2026, 3, 1, 8, tzinfo=BERLIN) == arrived["value"]


def test_a_private_attribute_of_attrs_and_one_outside_the_constructor_arrive():
    """Fields travel by attribute, whatever the constructor calls them."""
    address = Address("High St", 7)
    address.lines.append("c/o")

    assert address == travel(Address, address)


def test_a_model_that_is_read_and_written_by_other_names_arrives():
    """The aliases of a pydantic model are for others."""
    customer = Aliased(Name="Ann")

    assert customer == travel(Aliased, customer)


def test_an_inherited_typed_dict_has_the_keys_of_both():
    """What the base requires is required, what the class does not is not."""
    value = {"gift": True, "when": datetime(2026, 1, 1, tzinfo=UTC)}

    assert value == travel(More, value)
    assert {"gift": True} == travel(More, {"gift": True})
    with pytest.raises(PayloadError, match="'value' has no key 'gift', which More requires"):
        travel(More, {"when": value["when"]})


def nested(depth):
    """Return a tree of so many levels."""
    tree = Tree("leaf", [])
    for _ in range(depth):
        tree = Tree('[{"', [tree])
    return tree


def test_what_is_nested_deeply():
    """Only as deep as the worker can read for certain; brackets in text do not count."""
    assert nested(48) == travel(Tree, nested(48))
    assert ["[" * 300] == travel(list[str], ["[" * 300])
    with pytest.raises(PayloadError, match="the payload is nested more than 100 levels deep"):
        travel(Tree, nested(50))


def test_an_alias_is_what_it_stands_for():
    """As ``type Amount = Decimal`` of Python 3.12."""
    from typing_extensions import TypeAliasType

    amount = TypeAliasType("amount", Decimal)

    assert Decimal(1) == travel(amount | None, Decimal(1))


def test_bytes_are_base64_and_a_decimal_keeps_its_zeros():
    """The text is one that other programs could read."""
    assert base64.b64encode(b"\xff").decode() in codec_of(bytes).encode(None, {"value": b"\xff"})
    assert str(Decimal("9.90")) == str(travel(Decimal, Decimal("9.90")))


def test_a_default_of_none_may_be_sent():
    """``note: str = None`` takes None, as everybody reads it."""
    from aldis import Namespace
    from aldis.durable.codec import Codec

    def noted(sender, /, *, note: str = None): ...  # noqa: RUF013 - that is what is tested

    codec = Codec.of(lambda sender, **extra: None, Namespace().define(noted))

    assert (None, {"note": None}) == codec.decode(codec.encode(None, {"note": None}), None)


class TestRefused:
    """What would not arrive as it was is refused, and the error says what to do."""

    @dataclass
    class Late:
        """Its field is not set."""

        lazy: int = field(init=False)

    class Markup(str):
        """As in MarkupSafe."""

        __slots__ = ()

    class Grown(dict):
        """A dict that may know more."""

    @dataclass
    class LongLine(Line):
        """A line with more to it."""

        comment: str = ""

    class Naughty(pydantic.BaseModel):
        """Says nothing about its field."""

        name: object

    @pytest.mark.parametrize(
        ("kind", "value", "message"),
        [
            (float, math.nan, "is the float nan, which JSON cannot express: send None"),
            (float, -math.inf, "is the float -inf, which JSON cannot express: send None"),
            (list[float], [1.0, math.inf], r"'value'\[1\] is the float inf"),
            (int, True, "is a bool, which would arrive as an int: send an int, or declare a bool"),
            (int, 1.0, "is a float, and int is declared: send that, or declare a float"),
            (int, Level.LOW, "is a Level, which would arrive as an int"),
            (int, 10**1000, "is an int of more than 1,000 digits"),
            (bool, 1, "is an int, and bool is declared"),
            (str, Status.PAID, "is a Status, which would arrive as a str"),
            (str, Markup("<b>"), r"is a TestRefused\.Markup, which would arrive as a str"),
            (str, "\ud800", "argument 'value' holds text that is no valid Unicode"),
            (dict[str, int], {"\ud800": 1}, "argument 'value' holds text that is no valid Unicode"),
            (bytes, bytearray(b"x"), "is a bytearray, and bytes is declared"),
            (date, datetime(2026, 1, 1, tzinfo=UTC), "is a datetime, which would arrive as a date"),
            (datetime, datetime(2026, 1, 1), "is a datetime without a zone"),  # noqa: DTZ001
            (time, time(1, tzinfo=BERLIN), "is a time whose zone has no offset without a date"),
            (time, time(1, fold=1), "or that has a fold"),
            (Colour, "red", "is a str, and Colour is declared"),
            (Rights, 3, "is an int, and Rights is declared"),
            (Literal["a", 1], "b", r"is none of Literal\['a', 1\]"),
            (Literal[1], True, "is a bool, which would arrive as an int"),
            (list[int], (1,), r"is a tuple, and list\[int\] is declared"),
            (tuple[int, int], (1,), r"is a tuple of 1, and tuple\[int, int\] is declared"),
            (tuple[int, str], Pair(1), "is a Pair, which would arrive as a tuple"),
            (dict[str, int], Grown(), r"is a TestRefused\.Grown, which would arrive as a dict"),
            (dict[str, int], {1: 1}, r"'value'\[1\] is an int, and str is declared"),
            (Sequence[str], "abc", "is a str, and .* is declared"),
            (Line, LongLine("a", Decimal(1)), "LongLine, which would arrive as a Line"),
            (list[Line], [Line("a", 1.0)], r"'value'\[0\]\.price is a float, and Decimal"),
            (Late, Late(), r"'value'\.lazy has no 'lazy': it was never set"),
            (Options, {"gift": True, "x": 1}, "has the key 'x', which Options does not have"),
            (Options, {"gift": 1}, r"'value'\['gift'\] is an int, and bool is declared"),
            (Customer, {"name": "Ann"}, "is a dict, and Customer is declared"),
            (Naughty, Naughty(name=Decimal(1)), "does not come back from JSON as it was"),
            (list[Naughty], [Naughty(name=[{1: 1}])], "does not come back from JSON as it was"),
            (timedelta, 1, "is an int, and timedelta is declared"),
            (dict[int, int], [(1, 1)], r"is a list, and dict\[int, int\] is declared"),
            (dict[int, int], {1: True}, r"'value'\[0\]\[1\] is a bool, which would arrive as"),
            (Options, Pair(1), "is a Pair, and Options is declared"),
            (Naughty, Naughty(name=len), "cannot be written and read"),
            (int | str, 1.5, r"is a float, and int \| str is declared"),
            (Tree, ENDLESS, "contains itself"),
        ],
    )
    def test_at_send(self, kind, value, message):
        """The error names the argument, the place in it, the type and the remedy."""
        codec = codec_of(kind)
        with pytest.raises(PayloadError, match=message) as caught:
            codec.encode(None, {"value": value})
        assert "signal 'shop_changed' cannot be recorded for receipt (" in str(caught.value)
        assert "argument 'value'" in str(caught.value)


def test_no_library_of_classes_is_imported():
    """Who uses neither pydantic nor attrs does not load them."""
    from tests.fresh import run

    run(
        "import sys\n"
        "from tests.durable.codec.signals import travel\n"
        "assert 7 == travel(int, 7)\n"
        "assert not {'pydantic', 'attr', 'attrs'} & set(sys.modules)\n"
    )


def test_without_msgspec():
    """The error names the extra."""
    from tests.fresh import run

    run(
        "import sys\n"
        "sys.modules['msgspec'] = None\n"
        "from aldis.errors import MissingExtraError\n"
        "try:\n"
        "    import aldis.durable.codec\n"
        "except MissingExtraError as error:\n"
        "    assert \"pip install 'aldis[durable]'\" in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )
