"""Receivers and senders of all kinds for random programs."""

from collections import deque
from enum import IntEnum, StrEnum


class Word(StrEnum):
    X = "x"


class Number(IntEnum):
    ONE = 1


class Alike:
    """Equal to every other one, and yet itself."""

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Alike)

    def __hash__(self):
        return 1


class Body:
    """Something that is a receiver, and has methods that are."""

    def __init__(self, machine, name):
        self.machine = machine
        self.name = name

    def hear(self, sender, **extra):
        """Receive by one method."""
        return self.machine.called(f"{self.name}.hear")

    def listen(self, sender, **extra):
        """Receive by another method."""
        return self.machine.called(f"{self.name}.listen")

    def __call__(self, sender, **extra):
        """Receive by itself."""
        return self.machine.called(f"{self.name}.call")


def make_function(machine, name):
    """Make a receiver that is a function."""

    def function(sender, **extra):
        return machine.called(f"{name}.self")

    function.body = name
    return function


#: How a body is made, and its receivers from it, by the second half of their names.
KINDS = {
    "function": (make_function, {"self": lambda body: body}),
    "object": (
        Body,
        {
            "hear": lambda body: body.hear,
            "listen": lambda body: body.listen,
            "call": lambda body: body,
        },
    ),
    "list": (lambda machine, name: [name], {"count": lambda body: body.count}),
    "deque": (
        lambda machine, name: deque([name]),
        {"count": lambda body: body.count, "__contains__": lambda body: body.__contains__},
    ),
}

#: The senders that everybody knows, by the names that they go by. What is equal is one sender.
CONSTANTS = {
    "None": [None],
    "0": [0],
    "False": [False],
    "True": [True],
    "1": [1, Number.ONE],
    "x": ["x", Word.X],
    "70001": [70001, int("70001")],
}

#: The senders that come and go, and whether a connection keeps them alive.
MORTALS = {
    "plain": (lambda name: Body(None, name), False),
    "alike": (Alike, False),
    "list": (lambda name: [name], True),
}

#: Methods written in C, which do not say that they are called.
SILENT = (".count", ".__contains__")

RECEIVERS = [
    f"{kind}{number}.{part}" for kind in KINDS for number in (1, 2) for part in KINDS[kind][1]
]
SENDERS = [*CONSTANTS, *[f"{kind}{number}" for kind in MORTALS for number in (1, 2)]]
BODIES = sorted({name.partition(".")[0] for name in RECEIVERS})
