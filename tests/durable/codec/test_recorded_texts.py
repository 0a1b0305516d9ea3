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

from tests.durable.codec import kinds
from tests.durable.codec.signals import Rows, codec_of, typed

address = kinds.Address("High St", 7)
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
        datetime(2026, 3, 1, 12, tzinfo=kinds.BERLIN),
        '"2026-03-01T12:00:00+01:00[Europe/Berlin]"',
    ),
    (
        datetime,
        datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(seconds=-7201))),
        '"2026-03-01T12:00:00-02:00:01"',
    ),
    (uuid.UUID, uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    (kinds.Colour, kinds.Colour.RED, '"red"'),
    (kinds.Mixed, kinds.Mixed.PAIR, '"PAIR"'),
    (kinds.Status, kinds.Status.PAID, '"paid"'),
    (kinds.Level, kinds.Level.HIGH, "2"),
    (kinds.Rights, kinds.Rights.READ | kinds.Rights.WRITE, "3"),
    (kinds.Mode, kinds.Mode(8), "8"),
    (Literal["a", 1, True], True, "true"),
    (int | float | str, 7, "7"),
    (bool | int | list[int], [1], "[1]"),
    (
        kinds.Line,
        kinds.Line("a", Decimal("1.50"), {"x"}),
        '{"sku":"a","price":"1.50","tags":["x"]}',
    ),
    (
        kinds.Basket,
        kinds.Basket((kinds.Line("a", Decimal("1.50")),)),
        '{"lines":[{"sku":"a","price":"1.50","tags":[]}],"total":"1.50"}',
    ),
    (kinds.Stamped, kinds.Stamped(1), '{"count":2}'),
    (
        kinds.Tree,
        kinds.Tree("a", [kinds.Tree("b", [])]),
        '{"name":"a","children":[{"name":"b","children":[]}]}',
    ),
    (kinds.Address, address, '{"street":"High St","_code":7,"lines":["c/o"]}'),
    (kinds.Shouted, kinds.Shouted("hi"), '{"word":"HI"}'),
    (kinds.Point, kinds.Point(1, 2.5), '{"x":1,"y":2.5}'),
    (kinds.Cash | kinds.Card | None, kinds.Card("4000"), '{"type":"card","number":"4000"}'),
    (kinds.Pair, kinds.Pair(1, "x"), '{"left":1,"right":"x"}'),
    (kinds.Options, {"gift": True, "note": "x"}, '{"gift":true,"note":"x"}'),
    (
        kinds.More,
        {"gift": True, "when": datetime(2026, 1, 1, tzinfo=UTC)},
        '{"gift":true,"when":"2026-01-01T00:00:00+00:00"}',
    ),
    (
        kinds.Customer,
        kinds.Customer(name="Ann", born=date(1990, 1, 1)),
        '{"name":"Ann","born":"1990-01-01","address":{}}',
    ),
    (kinds.Aliased, kinds.Aliased(Name="Ann"), '{"name":"Ann"}'),
    (kinds.Numbers, kinds.Numbers([1, 2]), "[1,2]"),
    (
        list[kinds.Line | None],
        [None, kinds.Line("a", Decimal(1))],
        '[null,{"sku":"a","price":"1","tags":[]}]',
    ),
    (list[Decimal], [Decimal(1)] * 8, '["1","1","1","1","1","1","1","1"]'),
    (set[uuid.UUID], {uuid.UUID(int=5)}, '["00000000-0000-0000-0000-000000000005"]'),
    (frozenset[kinds.Level], frozenset({kinds.Level.LOW}), "[1]"),
    (tuple[int, str], (1, "a"), '[1,"a"]'),
    (tuple[()], (), "[]"),
    (tuple[Decimal, ...], (Decimal(1), Decimal("2.0")), '["1","2.0"]'),
    (dict[str, list[int]], {"a": [1, 2]}, '{"a":[1,2]}'),
    (dict[kinds.Status, int], {kinds.Status.PAID: 1}, '{"paid":1}'),
    (
        dict[uuid.UUID, kinds.Pair],
        {uuid.UUID(int=5): kinds.Pair(1)},
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
