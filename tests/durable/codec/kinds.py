"""Classes of every kind that the codec supports."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from typing import NamedTuple, NotRequired, TypedDict
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic

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
    """Its constructor changes its argument."""

    count: int

    def __post_init__(self):
        self.count += 1


@dataclass
class Tree:
    name: str
    children: list["Tree"]


@dataclass
class Link:
    next: "Link | int | None" = None


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
