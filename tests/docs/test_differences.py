"""``docs/how-to/move-from-blinker.md`` lists every difference between blinker and aldis.

Each probe runs on blinker 1.9 and on aldis. If the results differ, the page must have the probe's
row. If they do not differ, the page must not claim that they do.
"""

import asyncio
import copy
import enum
import gc
import importlib
import inspect
import pickle
import sys
import warnings
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import blinker
import pytest

import aldis
from tests.core.support import load_blinker

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "move-from-blinker.md"

BLINKER = load_blinker()
SUBMODULES = ("base", "_utilities")

#: Names that modules and classes have for Python or for themselves.
NOT_COMPARED = {"__annotations__", "__builtins__", "__cached__", "__firstlineno__", "F", "T"}
NOT_COMPARED |= {"__static_attributes__"}


def receiver(sender, **extra):
    """Return a value that tells who answered."""
    return "receiver"


async def later(sender, **extra):
    """Return a value that tells who answered."""
    return "later"


class Lamp:
    """A sender, and a callable."""

    def __call__(self, sender, **extra):
        """Return a value that tells who answered."""
        return "lamp"


def connected(library, *args, **options):
    """Return a signal with one receiver."""
    signal = library.Signal()
    signal.connect(receiver, *args, **options)
    return signal


def warned(library):
    """Return whether a list of senders as one sender causes a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connected(library, ["a", "b"])
    return len(caught)


def answers(signal, sender=None):
    """Send, and return the values."""
    return [value for _, value in signal.send(sender)]


def hearing(meta, action):
    """Return the names of the arguments that a meta signal sends."""
    heard = []
    meta.connect(lambda sender, **payload: heard.append(sorted(payload)), weak=False)
    action()
    return heard


def own_connection_after_block(library):
    """Return whether a connection outlives a block for another sender."""
    signal = connected(library, "a")
    with signal.connected_to(receiver, "b"):
        pass
    return answers(signal, "a")


def after_inner_block(library):
    """Send after the inner of two blocks."""
    signal = connected(library)
    with signal.muted():
        with signal.muted():
            pass
        return answers(signal)


def skipped(library):
    """Return the receivers that ran although an earlier one disconnected them."""
    signal, called = library.Signal(), []

    def second(sender):
        called.append("second")

    def first(sender):
        signal.disconnect(second, "a")

    signal.connect(first, "a")
    signal.connect(second, "a")
    signal.receivers  # noqa: B018 - blinker's order depends on addresses
    signal.send("a")
    return called


def weak_and_strong(library):
    """Send to a strong receiver that was connected weakly, too."""
    signal = library.Signal()

    def local(sender):
        return "local"

    signal.connect(local, "a", weak=False)
    signal.connect(local, "b", weak=True)
    del local
    gc.collect()
    return answers(signal, "a")


def relayed(library):
    """Send through another signal's ``send``."""
    first, second = library.Signal(), library.Signal()
    second.connect(later)
    first.connect(second.send)
    wrapper = lambda function: lambda *args, **kwargs: asyncio.run(function(*args, **kwargs))
    return first.send(None, _async_wrapper=wrapper)[0][1][0][1]


def failing_meta(library):
    """Send after a failed connection."""
    signal = connected(library, "a")

    def fail(*args, **kwargs):
        raise ValueError

    signal.receiver_connected.connect(fail)
    try:
        signal.connect(receiver, "b")
    except ValueError:
        return answers(signal, "a"), answers(signal, "b")


def is_same(signal):
    """Return whether a copy is the object itself."""
    return pickle.loads(pickle.dumps(signal)) is signal  # noqa: S301 - our own


def appended(library):
    """Return how many receivers are left."""
    signal, items = library.Signal(), []
    signal.connect(items.append, weak=False)
    signal.disconnect(items.append)
    return len(signal.receivers)


def cyclic(library):
    """Return whether a receiver costs the signal a reference."""
    signal = connected(library)
    before = sys.getrefcount(signal)
    signal.disconnect(receiver)
    return before == sys.getrefcount(signal)


#: What each probe returns, and the begin of its row on the page if the libraries differ.
PROBES = {
    "sender 0": (lambda lib: answers(connected(lib, 0), 0), "`connect(f, sender=0)` fails"),
    "True and 1": (
        lambda lib: answers(connected(lib, 1), True),
        "`True` reaches receivers of `1`.",
    ),
    "1.0 and 1": (lambda lib: answers(connected(lib, 1), 1.0), None),
    "a str enum": (
        lambda lib: answers(connected(lib, "a"), enum.StrEnum("E", {"A": "a"}).A),
        None,
    ),
    "a str without a hash": (
        lambda lib: answers(connected(lib, type("S", (str,), {"__hash__": None})("a")), "a"),
        "A `str` that cannot be hashed is not a sender.",
    ),
    "None": (lambda lib: answers(connected(lib, None), None), None),
    "ANY": (lambda lib: answers(connected(lib), lib.ANY), None),
    "ANY of one sender": (lambda lib: answers(connected(lib, "a"), lib.ANY), None),
    "a signal": (lambda lib: answers(s := connected(lib), s), None),
    "connected_to": (own_connection_after_block, "The end of `connected_to` drops"),
    "connected_to as": (lambda lib: lib.Signal().connected_to(receiver).__enter__(), None),
    "muted in muted": (after_inner_block, "The inner of two `muted()` blocks unmutes"),
    "is_muted": (
        lambda lib: (s := connected(lib), setattr(s, "is_muted", True), answers(s))[2],
        None,
    ),
    "weak and strong": (weak_and_strong, "A weak connection for one sender makes"),
    "not callable": (
        lambda lib: lib.Signal().connect(7, weak=False),
        "`connect` accepts a receiver that cannot be called.",
    ),
    "no weak reference": (
        lambda lib: lib.Signal().connect(str.upper),
        "A weak receiver that allows no weak reference",
    ),
    "a bound method of C": (
        lambda lib: callable(lib.Signal().connect([].append)),
        "A weak receiver that allows no weak reference",
    ),
    "a strong method of C": (appended, "`disconnect` does not find a strong `items.append`."),
    "connect(sender=[a, b])": (
        warned,
        "`connect(f, sender=[a, b])` never calls `f`",
    ),
    "connect(sender=x)": (
        lambda lib: callable(lib.Signal().connect(sender="x")),
        "`connect(sender=x)` without a receiver fails.",
    ),
    "disconnect an unknown receiver": (
        lambda lib: hearing(
            (s := lib.Signal()).receiver_disconnected, lambda: s.disconnect(receiver)
        ),
        "`disconnect` of a receiver that is not connected sends",
    ),
    "disconnect": (
        lambda lib: hearing(
            (s := connected(lib)).receiver_disconnected, lambda: s.disconnect(receiver)
        ),
        None,
    ),
    "disconnect a key": (
        lambda lib: ((s := connected(lib)).disconnect(next(iter(s.receivers))), len(s.receivers))[
            1
        ],
        None,
    ),
    "connect tells": (
        lambda lib: hearing((s := lib.Signal()).receiver_connected, lambda: s.connect(receiver)),
        None,
    ),
    "has_receivers_for after disconnect": (
        lambda lib: (
            (s := connected(lib, "a")).disconnect(receiver, "a"),
            s.has_receivers_for("a"),
        )[1],
        "`receivers` and the private tables keep dead",
    ),
    "a meta receiver raises": (failing_meta, "If a receiver of `receiver_connected` raises,"),
    "a relay": (relayed, "A relay `a.connect(b.send)` loses"),
    "an async receiver": (
        lambda lib: (s := lib.Signal(), s.connect(later), s.send()),
        "The error for an async receiver is a `RuntimeError`.",
    ),
    "a sync receiver": (
        lambda lib: asyncio.run(connected(lib).send_async()),
        "The error for an async receiver is a `RuntimeError`.",
    ),
    "a mock of a function": (
        lambda lib: (s := lib.Signal(), s.connect(_m := MagicMock(spec=receiver)), len(s.send()))[
            2
        ],
        "A `MagicMock(spec=function)` counts as async.",
    ),
    "an unbound proxy": (
        lambda lib: lib.Signal().send(importlib.import_module("flask").current_app),
        "An unbound proxy, such as `current_app`",
    ),
    "copy of an idle signal": (lambda lib: len(copy.deepcopy(lib.Signal()).receivers), None),
    "copy of a connected signal": (
        lambda lib: len(copy.copy(connected(lib)).receivers),
        "A copy of a signal (`copy`, `deepcopy`, `pickle`)",
    ),
    "pickle of a named signal": (
        lambda lib: is_same(lib.signal("lit")),
        "A copy of a named signal is another signal.",
    ),
    "repr of a signal": (
        lambda lib: repr(lib.NamedSignal("lit")).partition(" at ")[0].replace(BLINKER.__name__, ""),
        "`repr` shows blinker's classes.",
    ),
    "repr of a namespace": (lambda lib: repr(lib.Namespace()), "`repr` shows blinker's classes."),
    "a function as name": (
        lambda lib: lib.Namespace().signal(receiver).name is receiver,
        "`namespace.signal(function)` makes a signal.",
    ),
    "a number as name": (lambda lib: lib.Namespace().signal(7).name, None),
    "a namespace is a dict": (lambda lib: lib.Namespace(a=1) == {"a": 1}, None),
    "receivers is a dict": (lambda lib: isinstance(connected(lib).receivers, dict), None),
    "values of receivers": (
        lambda lib: [type(each).__name__ for each in connected(lib).receivers.values()],
        "The private tables are dicts of sets.",
    ),
    "a private table": (
        lambda lib: lib.Signal()._by_sender["a"].add("b"),
        "The private tables are dicts of sets.",
    ),
    "a base with another layout": (
        lambda lib: len(type("Own", (lib.Signal, dict), {}).__mro__) > 0,
        "A subclass can also inherit from `dict` or `Exception`.",
    ),
    "a reference cycle": (cyclic, "A signal with a weak receiver is a reference cycle."),
    "module files": (lambda lib: hasattr(lib, "__file__"), "`blinker.__file__` is a file."),
    "the class attribute ANY": (lambda lib: lib.Signal.ANY is lib.ANY, None),
    "set_class": (lambda lib: lib.Signal.set_class, None),
    "two receivers": (
        lambda lib: (s := connected(lib), s.connect(_lamp := Lamp(), "a"), sorted(answers(s, "a")))[
            2
        ],
        None,
    ),
    "partial": (
        lambda lib: (s := lib.Signal(), s.connect(p := partial(receiver)), answers(s), p)[2],
        None,
    ),
    "two positional arguments": (lambda lib: lib.Signal().send(1, 2), None),
    "a payload with the name sender": (lambda lib: connected(lib).send(1, sender=2), None),
}


def outcome(probe, library):
    """Return the result of a probe, or the kind of its error."""
    try:
        return probe(library)
    except Exception as error:  # noqa: BLE001 - each kind of error is a result
        return type(error).__name__


@pytest.fixture(scope="module")
def page():
    """Return the text of the page in one line."""
    return " ".join(PAGE.read_text(encoding="utf-8").split())


@pytest.mark.filterwarnings("ignore::aldis.errors.AldisWarning")
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("name", PROBES)
def test_the_page_has_each_difference(name, page, lenient):
    """Where the libraries differ, the page says so; where they do not, it does not."""
    probe, row = PROBES[name]
    blinkers, ours = outcome(probe, BLINKER), outcome(probe, blinker)
    if row is None:
        assert blinkers == ours
    else:
        assert blinkers != ours
        assert f"| {row}" in page


def missing(theirs, ours):
    """Return the names that one object has and the other lacks."""
    return {name for name in dir(theirs) if not hasattr(ours, name)} - NOT_COMPARED


def test_the_page_has_each_missing_name(page):
    """The public surface is complete, and the page names each private name that is missing."""
    lacking = set()
    for name in ("", *SUBMODULES):
        theirs = sys.modules[".".join(filter(None, (BLINKER.__name__, name)))]
        ours = importlib.import_module(".".join(filter(None, ("blinker", name))))
        lacking |= {
            each for each in missing(theirs, ours) if _is_blinkers(getattr(theirs, each), each)
        }
    for name in ("Signal", "NamedSignal", "Namespace"):
        lacking |= missing(getattr(BLINKER, name), getattr(blinker, name))
    assert {each for each in lacking if not each.startswith("_")} == set()
    assert {each for each in lacking if f"`{each}`" not in page} == set()


def _is_blinkers(value, name):
    """Tell whether a name in a module is blinker's own, and not one that it imported."""
    module = getattr(value, "__module__", "")
    return name.startswith("__") or (module or "").startswith(BLINKER.__name__)


@pytest.mark.parametrize("name", ["connect", "connect_via", "connected_to", "disconnect", "muted"])
def test_each_call_of_blinker_is_a_call_of_aldis(name):
    """A method takes every argument that blinker's takes, in blinker's order."""
    theirs = inspect.signature(getattr(BLINKER.Signal, name)).parameters
    ours = inspect.signature(getattr(aldis.Signal, name)).parameters
    assert list(theirs) == list(ours)[: len(theirs)]
    for each in theirs.values():
        assert each.kind == ours[each.name].kind
        if each.default not in (inspect.Parameter.empty, BLINKER.ANY):
            assert each.default == ours[each.name].default
