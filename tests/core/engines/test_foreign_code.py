"""Code of the user runs in the middle of a send and changes the signal.

Each program runs in a separate process, because a memory error would end the process. With
PYTHONMALLOC=debug, Python overwrites freed memory.
"""

import gc
import os
import subprocess
import sys

import pytest

import aldis

INITIALIZED_AGAIN = """
import aldis

class Lamp:
    def light(self, sender): ...

class Meta(type):
    def __getattr__(cls, name):
        if armed:
            armed.clear()
            signal.__init__()
        raise AttributeError(name)

class Sender(metaclass=Meta): ...

def start_again(sender):
    signal.__init__()
    lamps.clear()
    others.extend(aldis.Signal() for _ in range(50))  # they take the memory that was freed

signal, others, armed, lamps = aldis.Signal(), [], [], [Lamp()]
signal.send()
signal.connect(start_again)
signal.connect(lamps[0].light)
signal.has_receivers_for(0.5)
armed.append(True)
assert signal.send(Sender()) == [(start_again, None)]
assert all(each.send(0.5) == [] for each in (signal, *others))
"""

TYPE_CHANGED = """
import gc, weakref
import aldis

class Late:
    def __del__(self):
        gc.collect()
        freed.append(types[0]() is None)

class Meta(type):
    def __getattr__(cls, name):
        if not types:
            types.append(weakref.ref(cls))
            sender.__class__ = Second
            late = Late()  # it dies with this frame, when nothing else refers to the class
        raise AttributeError(name)

class Second: ...

def receive(sender):
    return "received"

signal, freed, types = aldis.Signal(), [], []
signal.connect(receive)
signal.send()
signal.has_receivers_for(0.5)
sender = Meta("First", (), {})()
assert signal.send(sender) == [(receive, "received")]
assert freed == [False]  # the send that looks at a class holds it
gc.collect()
assert types[0]() is signal._routes.real_type
"""

NAMES_REPLACED = """
import aldis

class Name(str):
    __hash__ = str.__hash__

    def __del__(self):
        send_one()

def receive(sender, **payload):
    seen.append(payload)

def send_one():
    signal.send(1, _async_wrapper=None, only=1)

signal, seen = aldis.Signal(), []
signal.connect(receive)
signal.send()
signal.send()
names = {f"name{number}": number for number in range(8)}
signal.send(1, **{Name("_async_wrapper"): None, **names})
send_one()
assert sorted(map(len, seen)) == [0, 0, 1, 1, 8], seen
assert {"only": 1} in seen and names in seen
"""

CLEARED = """
import gc, weakref
import aldis

class Late:
    '''Sends a signal that is garbage, while the collector clears the garbage.'''

    def __del__(self):
        signal = refs[0]()
        sent.append(signal is not None)
        if signal is not None:
            signal.send("north")

class Maker:
    '''Its finalizer makes a weak reference, too late for the collector to clear it.'''

    def __init__(self, target):
        self.target = target

    def __del__(self):
        refs.append(weakref.ref(self.target))

def receive(sender): ...

gc.disable()
sent, refs, late = [], [], Late()
gc.freeze()  # so that the collector does not finalize it before it clears the rest
signal = aldis.Signal()
signal.connect(receive)
signal.send()
signal.has_receivers_for(0.5)
signal.maker = Maker(signal)
between = [late]
between.append(between)
# The collector clears objects in the order in which it last met them: this list from its end.
root = [signal, between, signal._routes]
del late, between, signal
gc.collect()
root.clear()
gc.collect()
assert len(sent) <= 1
"""

CHAINS = """
from aldis.core._native import Link, MethodResolver

for kind, rest in ((Link, (None,) * 5), (MethodResolver, ())):
    chain = None
    for _ in range(200_000):
        chain = kind(chain, *rest)
    del chain
"""

HANDLED = """
import logging, sys
import aldis

def fail(sender):
    raise ValueError

def generate():
    for _ in range(2):
        try:
            signal.send()
        except ValueError:
            pass
        yield sys.exc_info()[1]

logging.disable()
signal = aldis.Signal()
signal.continue_on_error = True
signal.connect(fail)
signal.send_robust()
signal.has_receivers_for(None)
outer = generate()
try:
    raise LookupError
except LookupError as error:
    assert next(outer) is error
assert next(outer) is None  # the error of the outer code is not handled any more
"""

PROGRAMS = {
    "a long chain of links and resolvers that dies": CHAINS,
    "a generator that is resumed elsewhere": HANDLED,
    "a signal that is initialized again": INITIALIZED_AGAIN,
    "a sender whose class changes": TYPE_CHANGED,
    "a keyword's name that sends when it dies": NAMES_REPLACED,
    "a finalizer that sends through cleared objects": CLEARED,
}


@pytest.mark.parametrize("no_extensions", ["1", "0"])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_code_that_interferes_with_a_send_ends_normally(program: str, no_extensions: str) -> None:
    """No program causes a memory error or changes a running send."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={
            "PYTHONMALLOC": "debug",
            **os.environ,  # tools/sanitize.sh sets another allocator and preloads the sanitizer
            "ALDIS_NO_EXTENSIONS": no_extensions,
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    stderr = done.stderr
    if program == CLEARED and no_extensions == "1" and "AttributeError" in stderr:
        # From Python 3.13 on, the collector has already cleared the attributes of the engine.
        assert stderr.startswith("Exception ignored in: <function Late.__del__")
        stderr = ""
    assert ("", 0) == (stderr, done.returncode)


@pytest.mark.skipif(not aldis.COMPILED, reason="the C engine is not in use")
@pytest.mark.parametrize("links", [(1,), [], ((),), "links"])
def test_routes_refuse_anything_but_links(links: object) -> None:
    """A send trusts a published plan, so nothing else can be published."""
    signal = aldis.Signal()
    with pytest.raises(TypeError, match="tuple of links"):
        signal._routes.everyone = links  # type: ignore[assignment]
    assert signal.send() == []


@pytest.mark.skipif(not aldis.COMPILED, reason="the C engine is not in use")
def test_routes_hold_their_module() -> None:
    """The routes keep alive the module whose memory they use."""
    routes = aldis.Signal()._routes
    module = sys.modules["aldis.core._dispatch"]
    assert any(each is module for each in gc.get_referents(routes))
