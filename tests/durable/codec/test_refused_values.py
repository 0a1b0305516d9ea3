"""Values that the codec refuses to encode."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal

import pydantic
import pytest

from aldis.errors import PayloadError
from tests.durable.codec.kinds import (
    BERLIN,
    Colour,
    Customer,
    Level,
    Line,
    Options,
    Pair,
    Rights,
    Status,
    Tree,
)
from tests.durable.codec.signals import codec_of

ENDLESS = Tree("a", [])
ENDLESS.children.append(ENDLESS)


class TestRefused:
    """A value that would not arrive unchanged is refused with a remedy."""

    @dataclass
    class Late:
        """Its field is never set."""

        lazy: int = field(init=False)

    class Markup(str):
        """A subclass of str, as in MarkupSafe."""

        __slots__ = ()

    class Grown(dict):
        """A subclass of dict."""

    @dataclass
    class LongLine(Line):
        """A line with one more field."""

        comment: str = ""

    class Naughty(pydantic.BaseModel):
        """A model that accepts any object."""

        name: object

    @pytest.mark.parametrize(
        ("kind", "value", "message"),
        [
            (float, math.nan, "is the float nan, which JSON cannot express: send None"),
            (float, -math.inf, "is the float -inf, which JSON cannot express: send None"),
            (list[float], [1.0, math.inf], r"'value'\[1\] is the float inf"),
            (int, True, "is a bool, which would arrive as an int: send an int, or declare a bool"),
            (int, 1.0, "is a float, but int is declared: send that, or declare a float"),
            (int, Level.LOW, "is a Level, which would arrive as an int"),
            (int, 10**1000, "is an int of more than 1,000 digits"),
            (bool, 1, "is an int, but bool is declared"),
            (str, Status.PAID, "is a Status, which would arrive as a str"),
            (str, Markup("<b>"), r"is a TestRefused\.Markup, which would arrive as a str"),
            (str, "\ud800", "argument 'value' holds text that is not valid Unicode"),
            (
                dict[str, int],
                {"\ud800": 1},
                "argument 'value' holds text that is not valid Unicode",
            ),
            (bytes, bytearray(b"x"), "is a bytearray, but bytes is declared"),
            (date, datetime(2026, 1, 1, tzinfo=UTC), "is a datetime, which would arrive as a date"),
            (datetime, datetime(2026, 1, 1), "is a datetime without a zone"),  # noqa: DTZ001
            (time, time(1, tzinfo=BERLIN), "in a zone that has no offset without a date"),
            (time, time(1, fold=1), "is a time with a fold"),
            (Colour, "red", "is a str, but Colour is declared"),
            (Rights, 3, "is an int, but Rights is declared"),
            (Literal["a", 1], "b", r"is not one of Literal\['a', 1\]"),
            (Literal[1], True, "is a bool, which would arrive as an int"),
            (list[int], (1,), r"is a tuple, but list\[int\] is declared"),
            (tuple[int, int], (1,), r"is a tuple of 1, but tuple\[int, int\] is declared"),
            (tuple[int, str], Pair(1), "is a Pair, which would arrive as a tuple"),
            (dict[str, int], Grown(), r"is a TestRefused\.Grown, which would arrive as a dict"),
            (dict[str, int], {1: 1}, r"'value'\[1\] is an int, but str is declared"),
            (Sequence[str], "abc", "is a str, but .* is declared"),
            (Line, LongLine("a", Decimal(1)), "LongLine, which would arrive as a Line"),
            (list[Line], [Line("a", 1.0)], r"'value'\[0\]\.price is a float, but Decimal"),
            (Late, Late(), r"'value' has no 'lazy': it was never set"),
            (Options, {"gift": True, "x": 1}, "has the key 'x', which Options does not have"),
            (Options, {"gift": 1}, r"'value'\['gift'\] is an int, but bool is declared"),
            (Customer, {"name": "Ann"}, "is a dict, but Customer is declared"),
            (Naughty, Naughty(name=Decimal(1)), "that JSON would change"),
            (list[Naughty], [Naughty(name=[{1: 1}])], "that JSON would change"),
            (timedelta, 1, "is an int, but timedelta is declared"),
            (dict[int, int], [(1, 1)], r"is a list, but dict\[int, int\] is declared"),
            (dict[int, int], {1: True}, r"'value'\[0\]\[1\] is a bool, which would arrive as"),
            (Options, Pair(1), "is a Pair, but Options is declared"),
            (Naughty, Naughty(name=len), "cannot be written and read"),
            (int | str, 1.5, r"is a float, but int \| str is declared"),
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
