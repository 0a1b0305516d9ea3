"""Receivers and senders of all kinds for random programs."""

from collections import deque
from enum import IntEnum, StrEnum


class Word(StrEnum):
    X = "x"


class Number(IntEnum):
    ONE = 1


class Alike:
    """A sender that is equal to every other instance, but not identical."""

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Alike)

    def __hash__(self):
        return 1


class Body:
    """A receiver whose methods are receivers too."""

    def __init__(self, machine, name):
        self.machine = machine
        self.name = name

    def receive(self, sender, **extra):
        """Receive with the first method."""
        return self.machine.called(f"{self.name}.receive")

    def receive_too(self, sender, **extra):
        """Receive with the second method."""
        return self.machine.called(f"{self.name}.receive_too")

    def __call__(self, sender, **extra):
        """Receive with the object."""
        return self.machine.called(f"{self.name}.call")


def make_function(machine, name):
    """Make a receiver that is a function."""

    def function(sender, **extra):
        return machine.called(f"{name}.self")

    function.body = name
    return function


#: Ways to make a body, and to make receivers from it, by the second half of their names.
KINDS = {
    "function": (make_function, {"self": lambda body: body}),
    "object": (
        Body,
        {
            "receive": lambda body: body.receive,
            "receive_too": lambda body: body.receive_too,
            "call": lambda body: body,
        },
    ),
    "list": (lambda machine, name: [name], {"count": lambda body: body.count}),
    "deque": (
        lambda machine, name: deque([name]),
        {"count": lambda body: body.count, "__contains__": lambda body: body.__contains__},
    ),
}

#: The permanent senders by their names. Equal values count as one sender.
CONSTANTS = {
    "None": [None],
    "0": [0],
    "False": [False],
    "True": [True],
    "1": [1, Number.ONE],
    "x": ["x", Word.X],
    "70001": [70001, int("70001")],
}

#: The senders that may die, and whether a connection keeps them alive.
MORTALS = {
    "plain": (lambda name: Body(None, name), False),
    "alike": (Alike, False),
    "list": (lambda name: [name], True),
}

#: Methods in C. They do not report their calls.
SILENT = (".count", ".__contains__")

RECEIVERS = [
    f"{kind}{number}.{part}" for kind in KINDS for number in (1, 2) for part in KINDS[kind][1]
]
SENDERS = [*CONSTANTS, *[f"{kind}{number}" for kind in MORTALS for number in (1, 2)]]
BODIES = sorted({name.partition(".")[0] for name in RECEIVERS})
