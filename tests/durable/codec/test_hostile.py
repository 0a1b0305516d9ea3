"""Decoding any text gives a value of the declared type or a PayloadMismatchError."""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aldis.errors import PayloadMismatchError
from tests.durable.codec import kinds
from tests.durable.codec.signals import Rows, codec_of

KINDS = [
    int,
    float,
    bytes,
    datetime,
    date,
    time,
    timedelta,
    Decimal | None,
    UUID,
    kinds.Colour | None,
    kinds.Level,
    kinds.Rights,
    kinds.Mode,
    kinds.Line,
    kinds.Basket,
    kinds.Tree,
    kinds.Shouted,
    kinds.Point | int,
    kinds.Cash | kinds.Card | int,
    kinds.Pair,
    kinds.Options,
    kinds.Customer,
    kinds.Numbers,
    list[kinds.Line],
    set[UUID],
    tuple[int, str],
    dict[str, int],
    dict[int, list[str]],
    Sequence[str],
    AbstractSet[int],
]
CODECS = [codec_of(kind) for kind in KINDS]


@dataclass
class Unhashed:
    x: int


class Twice(NamedTuple):
    x: int


class Doubling(Twice):
    """Its constructor changes its argument."""

    def __new__(cls, x):
        """Double the argument."""
        return super().__new__(cls, 2 * x)


words = st.text(max_size=30) | st.sampled_from(
    [
        *("sku", "price", "tags", "type", "cash", "red", "tuple", "frozenset", "row", "key", "NaN"),
        "2026-03-01T12:00:00+01:00[Europe]",
        "2026-03-01T12:00:00Z[../../etc/passwd]",
        "0001-01-01T00:00:00+23:59[Europe/Berlin]",
        "9999-12-31T23:59:59-23:59[Asia/Tokyo]",
        "1E+9999999",
        "24:00",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def read(codec, text):
    """Decode a text. Only a PayloadMismatchError is allowed."""
    with suppress(PayloadMismatchError):
        codec.decode(text, Rows())


@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin1")))
@example(text="[" * 100_000)
@example(text='{"sender":null,"payload":{"value":' + "[" * 900 + "]" * 900 + "}}")
@example(text="\ud800")
@example(text='{"sender":1e999,"payload":{}}')
@example(text="null")
def test_any_text(text):
    """A text that no codec wrote is a mismatch."""
    with pytest.raises(PayloadMismatchError, match="the payload of signal 'shop_changed'"):
        CODECS[0].decode(text, Rows())


@pytest.mark.parametrize("index", range(len(CODECS)), ids=[str(kind) for kind in KINDS])
@given(value=values, sender=values)
def test_any_json(index, value, sender):
    """JSON of another form is a mismatch for every type."""
    read(CODECS[index], json.dumps({"sender": None, "payload": {"value": value}}))
    read(CODECS[index], json.dumps({"sender": sender, "payload": {"value": value}}))


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        (kinds.Colour, "green", "argument 'value' is 'green', not a valid Colour"),
        (kinds.Colour, 1, "argument 'value' is an integer, not a Colour"),
        (kinds.Rights, 8, "argument 'value' is 8, not a valid Rights"),
        (kinds.Mode, -(10**30), "argument 'value' is -10+, not a valid Mode"),
        (Literal["a"], "b", r"is 'b', not a valid Literal\['a'\]"),
        (dict[Unhashed, int], [[{"x": 1}, 1]], r"not a valid dict\[Unhashed, int\]"),
        (set[Unhashed], [{"x": 1}], r"not a valid set\[Unhashed\]"),
        (Doubling, {"x": 1}, "its constructor raised TypeError: its constructor changes 'x'"),
        (
            datetime,
            "2026-03-01T12:00:00",
            "argument 'value' is '2026-03-01T12:00:00', not a valid datetime",
        ),
        (datetime, "2026-03-01T12:00:00Z[No/Where]", "not a valid datetime"),
        (Decimal, "1,5", "argument 'value' is '1,5', not a valid Decimal"),
        (
            timedelta,
            [10**10, 0, 0],
            "argument 'value' is \\[10000000000, 0, 0\\], not a valid timedelta",
        ),
        (kinds.Line, {"sku": "a"}, "argument 'value' has no 'price', which is now required"),
        (list[kinds.Line], [{"sku": 1}], r"argument 'value'\[0\]\.sku is an integer, not a str"),
        (kinds.Customer, {}, "argument 'value' is not a valid Customer: 1 validation error"),
        (kinds.Shouted, {"word": "ö"}, None),
        (tuple[int, int], [1], r"is \[1\], not a valid tuple\[int, int\]"),
        (dict[kinds.Colour, int], {"x": 1}, r"argument 'value'\['x'\] is 'x', not a valid Colour"),
        (list[int], [*range(12), "x", 13], r"argument 'value'\[12\] is a string, not an int"),
        (set[UUID], ["x"] * 9, r"argument 'value'\[0\] is 'x', not a valid UUID"),
        (dict[str, int], dict.fromkeys("abcdefgh", None), r"argument 'value'\['a'\] is null, not"),
        (list[list[int]], [[]] * 8 + [[1, 2.5]], r"argument 'value'\[8\]\[1\] is a number, not an"),
        (list[Decimal], [1.5] * 9, r"argument 'value'\[0\] is a number, not a Decimal"),
        (
            set[tuple[int, ...]],
            [[1]] * 8 + [2],
            r"argument 'value'\[8\] is an integer, not a tuple",
        ),
        (
            kinds.Cash | kinds.Card,
            {"type": "cheque"},
            r"is {'type': 'cheque'}, not a valid Cash \| Card",
        ),
    ],
)
def test_the_message_names_problem_and_place(kind, raw, message):
    """The message names the problem and its place."""
    text = json.dumps({"sender": None, "payload": {"value": raw}})
    if message is None:
        assert codec_of(kind).decode(text, Rows())
        return
    with pytest.raises(PayloadMismatchError, match=message):
        codec_of(kind).decode(text, Rows())


def test_text_that_is_nested_too_deeply():
    """A text that is nested too deeply is a mismatch, not a RecursionError."""
    raw = '{"name":"","children":[' * 300 + "]}" * 300
    with pytest.raises(PayloadMismatchError, match="argument 'value' is nested too deeply"):
        codec_of(kinds.Tree).decode(f'{{"sender":null,"payload":{{"value":{raw}}}}}', Rows())


def test_a_constructor_that_refuses():
    """An object that its class no longer accepts is a mismatch."""
    from dataclasses import dataclass

    @dataclass
    class Even:
        number: int

        def __post_init__(self):
            if self.number % 2:
                raise ValueError("odd")

    text = '{"sender":null,"payload":{"value":{"number":1}}}'
    message = "argument 'value' is not a valid .*Even: its constructor raised ValueError: odd"
    with pytest.raises(PayloadMismatchError, match=message):
        codec_of(Even).decode(text, Rows())
