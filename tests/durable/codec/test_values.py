"""Values of every supported type arrive unchanged."""

import base64
import uuid
from collections.abc import Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Literal, LiteralString, NewType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldis.errors import PayloadError
from tests.durable.codec.kinds import (
    BERLIN,
    Address,
    Aliased,
    Basket,
    Card,
    Cash,
    Colour,
    Customer,
    Level,
    Line,
    Link,
    Mixed,
    Mode,
    More,
    Numbers,
    Options,
    Pair,
    Point,
    Rights,
    Shouted,
    Stamped,
    Status,
    Tree,
)
from tests.durable.codec.signals import codec_of, travel, typed

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


@pytest.mark.parametrize("kind", CASES, ids=str)
@given(data=st.data())
def test_arrives_unchanged(kind, data):
    """Every value of a type arrives with equal parts of equal types."""
    value = data.draw(CASES[kind])

    assert typed(value) == typed(travel(kind, value, max_bytes=10**6))


@given(value=st.datetimes(timezones=zones))
def test_a_datetime_keeps_its_clock_and_its_zone(value):
    """The wall clock, the offset and the zone's name arrive."""
    arrived = travel(datetime, value)

    assert value.replace(tzinfo=None) == arrived.replace(tzinfo=None)
    assert value.utcoffset() == arrived.utcoffset()
    assert value.tzinfo == arrived.tzinfo


def test_an_hour_that_occurs_twice_keeps_its_fold():
    """When clocks go back, the first and the second 02:30 stay apart."""
    for fold in (0, 1):
        value = datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=fold)
        assert value.timestamp() == travel(datetime, value).timestamp()


def test_a_zone_whose_rules_have_changed_keeps_the_instant():
    """If the zone no longer has the recorded offset, the instant stays."""
    codec = codec_of(datetime)
    text = '{"sender":null,"payload":{"value":"2026-03-01T12:00:00+05:00[Europe/Berlin]"}}'
    _, arrived = codec.decode(text, None)

    assert datetime(2026, 3, 1, 8, tzinfo=BERLIN) == arrived["value"]


def test_a_private_attribute_of_attrs_and_one_outside_the_constructor_arrive():
    """Fields are read by attribute, even if the constructor's parameters have other names."""
    address = Address("High St", 7)
    address.lines.append("c/o")

    assert address == travel(Address, address)


def test_a_model_with_aliases_arrives():
    """The aliases of a pydantic model do not matter."""
    customer = Aliased(Name="Ann")

    assert customer == travel(Aliased, customer)


def test_an_inherited_typed_dict_has_the_keys_of_both():
    """An inherited typed dict requires its base's required keys only."""
    value = {"gift": True, "when": datetime(2026, 1, 1, tzinfo=UTC)}

    assert value == travel(More, value)
    assert {"gift": True} == travel(More, {"gift": True})
    with pytest.raises(PayloadError, match="'value' has no key 'gift', which More requires"):
        travel(More, {"when": value["when"]})


def nested(depth):
    """Return a tree of the given depth."""
    tree = Tree("leaf", [])
    for _ in range(depth):
        tree = Tree('[{"', [tree])
    return tree


def test_a_deeply_nested_payload():
    """A payload of more than 100 levels is refused; brackets in text do not count."""
    assert nested(48) == travel(Tree, nested(48))
    assert ["[" * 300] == travel(list[str], ["[" * 300])
    with pytest.raises(PayloadError, match="the payload is nested more than 100 levels deep"):
        travel(Tree, nested(50))


def test_a_payload_of_almost_100_levels_arrives():
    """A payload within the limit can be read even if the worker's stack is deep already."""
    chain = None
    for _ in range(98):
        chain = Link(chain)

    def travel_below(frames):
        return travel_below(frames - 1) if frames else travel(Link, chain)

    arrived, links = travel_below(150), 0
    while arrived is not None:
        arrived, links = arrived.next, links + 1

    assert 98 == links


def test_a_type_alias_is_resolved():
    """An alias, such as ``type Amount = Decimal`` of Python 3.12, is resolved."""
    from typing_extensions import TypeAliasType

    amount = TypeAliasType("amount", Decimal)

    assert Decimal(1) == travel(amount | None, Decimal(1))


def test_bytes_are_base64_and_a_decimal_keeps_its_zeros():
    """Bytes are written as base64, and a decimal keeps its zeros."""
    assert base64.b64encode(b"\xff").decode() in codec_of(bytes).encode(None, {"value": b"\xff"})
    assert str(Decimal("9.90")) == str(travel(Decimal, Decimal("9.90")))


def test_a_default_of_none_may_be_sent():
    """An argument with the default None can be None."""
    from aldis import Namespace
    from aldis.durable.codec import PayloadCodec

    def noted(sender, /, *, note: str = None): ...  # noqa: RUF013 - that is what is tested

    codec = PayloadCodec(lambda sender, **extra: None, Namespace().define(noted))

    assert (None, {"note": None}) == codec.decode(codec.encode(None, {"note": None}), None)
