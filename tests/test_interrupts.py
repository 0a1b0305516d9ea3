"""An interrupt, such as Ctrl-C or an exception of a signal handler, leaves nothing half done."""

import gc
import sys
from contextvars import copy_context
from itertools import count

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import aldis
from aldis.core import Observer, attach, detach, observers
from aldis.core.registry import Registry
from aldis.durable.current import delivering
from aldis.observe import trace
from aldis.testing import record
from aldis.transactions import buffer_of, use_session
from aldis.transactions.buffer import TransactionBuffer

signal = aldis.Signal()
engine = create_engine("sqlite://")


def receive(sender, **extra):
    """Receive anything."""


class Interrupt:
    """Raises KeyboardInterrupt at one point: at the beginning of a function, or after a C function.

    Python itself runs signal handlers at these points.
    """

    def __init__(self, point):
        self.raised = False
        self._left = point

    def __enter__(self):
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _profile(self, frame, event, argument):
        if event not in ("call", "c_return") or self.raised or _in_finalizer(frame):
            return
        if self._left == 0 and frame.f_code is not self.__exit__.__func__.__code__:
            self.raised = True
            raise KeyboardInterrupt
        self._left -= 1


def _in_finalizer(frame):
    """Return whether the frame is that of a ``__del__``, where Python reports every exception."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def state():
    """Return everything that the blocks below change."""
    return (
        observers._observers,
        observers.enabled,
        list(signal.receivers),
        signal.is_muted,
        signal._muted_or_overridden,
        {name: value for name, value in copy_context().items() if value},
    )


BLOCKS = {
    "trace": trace,
    "trace of a context": lambda: trace(everywhere=False),
    "record": lambda: record(signal),
    "muted": signal.muted,
    "muted in a context": lambda: signal.muted(everywhere=False),
    "connected_to": lambda: signal.connected_to(receive, "north"),
    "connected_to for several": lambda: signal.connected_to(receive, senders=["north", "south"]),
    "outbox.using": lambda: use_session("an outbox", "a session"),
    "delivering": lambda: delivering("a delivery"),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_an_interrupt_at_the_beginning_of_a_block(block):
    """An interrupt before the body of a ``with`` block undoes the beginning of the block."""
    signal.send()
    before = state()
    for point in count():
        reached = False
        try:
            with Interrupt(point) as interrupt, block():
                sys.setprofile(None)
                reached = True
        except KeyboardInterrupt:
            pass
        assert interrupt.raised is not reached
        assert before == state(), point
        if reached:
            break
    assert point > 3


def other(sender, **extra):
    """Receive anything."""


class Base:
    """Is a sender."""


@pytest.mark.parametrize(
    "options",
    [
        {"senders": ["north", "south"]},
        {"dispatch_uid": "x"},
        {"sender": Base, "subclasses": True},
        {"senders": [Base, int], "subclasses": True, "dispatch_uid": "x"},
    ],
    ids=["senders", "dispatch_uid", "subclasses", "all"],
)
def test_an_interrupt_of_connect(options):
    """Either all connections are made, or none, and the replaced receiver stays connected."""
    for point in count():
        sent = aldis.Signal()
        sent.connect(other, **options)
        finished = False
        try:
            with Interrupt(point):
                sent.connect(receive, **options)
                sys.setprofile(None)
                finished = True
        except KeyboardInterrupt:
            pass
        senders = options.get("senders", [options.get("sender")])
        found = [[receiver for receiver, _ in sent.send(each)] for each in senders]
        kept = [] if "dispatch_uid" in options else [other]
        allowed = [[*kept, receive]] * len(senders), [[other]] * len(senders)
        assert found in allowed, point
        sent.disconnect(other)
        sent.disconnect(receive)
        assert not sent.receivers
        assert not sent._registry.uids
        assert not sent._registry.bases
        if finished:
            break
    assert point > 5


def test_an_interrupt_of_an_observed_send():
    """After an interrupt before a receiver runs, no send counts as sent by that receiver."""

    class Watching(Observer):
        def __init__(self):
            self.open = 0

        def emission_started(self, emission):
            self.open += 1

        def emission_finished(self, emission):
            self.open -= 1

    def stop(sender):
        sys.setprofile(None)
        raise KeyError

    watching, sent = Watching(), aldis.Signal()
    sent.connect(stop)
    attach(watching)
    try:
        with pytest.raises(KeyError):
            sent.send()
        for point in count():
            try:
                with Interrupt(point):
                    sent.send()
            except KeyboardInterrupt:
                assert observers.current_call() is None
            except KeyError:
                break
    finally:
        detach(watching)
    # The C engine calls little besides the observer and the receiver.
    assert point > (2 if aldis.COMPILED else 10)


def test_an_interrupt_of_a_write_before_the_commit():
    """A row that an interrupted commit did not write is written by the next commit."""
    written = []

    class Writer:
        def write(self, session, things):
            sys.setprofile(None)
            written.extend(things)

        def write_late(self, things):
            raise NotImplementedError

        def committed(self):
            """Do nothing."""

    for point in count():
        written.clear()
        with Session(engine) as session:
            session.begin()
            buffer_of(session).write(session, Writer(), point)
            try:
                with Interrupt(point) as interrupt:
                    buffer_of(session).before_commit(session)
            except KeyboardInterrupt:
                if written:
                    break
                buffer_of(session).before_commit(session)
            assert [point] == written
            session.rollback()
        if not interrupt.raised:
            break
    assert point > 5


@pytest.mark.parametrize("kind", [Registry, TransactionBuffer])
def test_an_object_whose_creation_was_interrupted(kind, monkeypatch):
    """The finalizer of an object without attributes raises nothing."""
    unraised = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    kind.__new__(kind)
    gc.collect()
    assert [] == unraised


def test_a_signal_whose_creation_was_interrupted(monkeypatch):
    """An interrupt at any point of the creation of a signal reports nothing else."""
    unraised = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    for point in count():
        try:
            with Interrupt(point) as interrupt:
                aldis.Namespace().signal("paid")
        except KeyboardInterrupt:
            continue
        if not interrupt.raised:
            break
    gc.collect()
    assert [] == unraised
    assert point > 10
