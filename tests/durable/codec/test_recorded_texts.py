"""The recorded text of each kind of value stays the same from version to version.

These texts were recorded by the first version that wrote them. A change here means that deliveries
that wait in a database can no longer be read.
"""

import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Literal

import pytest

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
from tests.durable.codec.signals import Rows, codec_of
from tests.durable.codec.test_values import typed

address = Address("High St", 7)
address.lines.append("c/o")

RECORDED = [
    (None, None, "null"),
    (bool, True, "true"),
    (int, -(2**70), "-1180591620717411303424"),
    (float, 1.5, "1.5"),
    (float, 2, "2"),
    (str, "Größe", '"Größe"'),
    (bytes, b"\xff\x00", '"/wA="'),
    (Decimal, Decimal("9.90"), '"9.90"'),
    (Decimal, Decimal("-Infinity"), '"-Infinity"'),
    (date, date(2026, 3, 1), '"2026-03-01"'),
    (time, time(12, 30, tzinfo=timezone(timedelta(seconds=-7201))), '"12:30:00-02:00:01"'),
    (timedelta, timedelta(days=-1, seconds=5, microseconds=7), "[-1,5,7]"),
    (
        datetime,
        datetime(2026, 3, 1, 12, tzinfo=BERLIN),
        '"2026-03-01T12:00:00+01:00[Europe/Berlin]"',
    ),
    (
        datetime,
        datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(seconds=-7201))),
        '"2026-03-01T12:00:00-02:00:01"',
    ),
    (uuid.UUID, uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    (Colour, Colour.RED, '"red"'),
    (Mixed, Mixed.PAIR, '"PAIR"'),
    (Status, Status.PAID, '"paid"'),
    (Level, Level.HIGH, "2"),
    (Rights, Rights.READ | Rights.WRITE, "3"),
    (Mode, Mode(8), "8"),
    (Literal["a", 1, True], True, "true"),
    (int | float | str, 7, "7"),
    (bool | int | list[int], [1], "[1]"),
    (Line, Line("a", Decimal("1.50"), {"x"}), '{"sku":"a","price":"1.50","tags":["x"]}'),
    (
        Basket,
        Basket((Line("a", Decimal("1.50")),)),
        '{"lines":[{"sku":"a","price":"1.50","tags":[]}],"total":"1.50"}',
    ),
    (Stamped, Stamped(1), '{"count":2}'),
    (Tree, Tree("a", [Tree("b", [])]), '{"name":"a","children":[{"name":"b","children":[]}]}'),
    (Address, address, '{"street":"High St","_code":7,"lines":["c/o"]}'),
    (Shouted, Shouted("hi"), '{"word":"HI"}'),
    (Point, Point(1, 2.5), '{"x":1,"y":2.5}'),
    (Cash | Card | None, Card("4000"), '{"type":"card","number":"4000"}'),
    (Pair, Pair(1, "x"), '{"left":1,"right":"x"}'),
    (Options, {"gift": True, "note": "x"}, '{"gift":true,"note":"x"}'),
    (
        More,
        {"gift": True, "when": datetime(2026, 1, 1, tzinfo=UTC)},
        '{"gift":true,"when":"2026-01-01T00:00:00+00:00"}',
    ),
    (
        Customer,
        Customer(name="Ann", born=date(1990, 1, 1)),
        '{"name":"Ann","born":"1990-01-01","address":{}}',
    ),
    (Aliased, Aliased(Name="Ann"), '{"name":"Ann"}'),
    (Numbers, Numbers([1, 2]), "[1,2]"),
    (list[Line | None], [None, Line("a", Decimal(1))], '[null,{"sku":"a","price":"1","tags":[]}]'),
    (list[Decimal], [Decimal(1)] * 8, '["1","1","1","1","1","1","1","1"]'),
    (set[uuid.UUID], {uuid.UUID(int=5)}, '["00000000-0000-0000-0000-000000000005"]'),
    (frozenset[Level], frozenset({Level.LOW}), "[1]"),
    (tuple[int, str], (1, "a"), '[1,"a"]'),
    (tuple[()], (), "[]"),
    (tuple[Decimal, ...], (Decimal(1), Decimal("2.0")), '["1","2.0"]'),
    (dict[str, list[int]], {"a": [1, 2]}, '{"a":[1,2]}'),
    (dict[Status, int], {Status.PAID: 1}, '{"paid":1}'),
    (
        dict[uuid.UUID, Pair],
        {uuid.UUID(int=5): Pair(1)},
        '{"00000000-0000-0000-0000-000000000005":{"left":1,"right":""}}',
    ),
    (dict[int | None, str], {None: "a", 1: "b"}, '[[null,"a"],[1,"b"]]'),
    (Mapping[tuple[int, int], bool], {(1, 2): True}, "[[[1,2],true]]"),
    (Sequence[int], [1], "[1]"),
    (Sequence[int], (1, 2), '{"tuple":[1,2]}'),
    (AbstractSet[str], {"a"}, '["a"]'),
    (AbstractSet[str], frozenset({"a"}), '{"frozenset":["a"]}'),
    (list[int], list(range(20)), "[" + ",".join(map(str, range(20))) + "]"),
    (
        dict[str, int],
        {str(i): i for i in range(9)},
        '{"0":0,"1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8}',
    ),
]


def text_around(raw):
    """Return the recorded text of a send with one argument."""
    return f'{{"sender":null,"payload":{{"value":{raw}}}}}'


@pytest.mark.parametrize(("kind", "value", "raw"), RECORDED, ids=lambda each: str(each)[:50])
def test_a_recorded_text_is_read(kind, value, raw):
    """A text that an older version recorded gives the value that was sent, types included."""
    _, arrived = codec_of(kind).decode(text_around(raw), Rows())

    assert typed(value) == typed(arrived["value"])


@pytest.mark.parametrize(("kind", "value", "raw"), RECORDED, ids=lambda each: str(each)[:50])
def test_the_same_text_is_written(kind, value, raw):
    """During a deployment, an older worker can read the text that a newer sender records."""
    assert text_around(raw) == codec_of(kind).encode(None, {"value": value})
