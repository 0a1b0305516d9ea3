"""A signal and a naive model run the same random programs."""

import gc
import logging
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aldis import ANY, Signal
from aldis.errors import ReceiverError
from tests.core.stress.model import ANYBODY, Model
from tests.core.stress.participants import (
    BODIES,
    CONSTANTS,
    KINDS,
    MORTALS,
    RECEIVERS,
    SENDERS,
    SILENT,
    Alike,
    Body,
)
from tests.core.stress.table_checks import assert_nothing_left, check_tables, connections
from tests.sizes import sized


class Failure(Exception):  # noqa: N818 - an intended exception, not an error
    pass


receivers = st.sampled_from(RECEIVERS)
senders = st.one_of(st.just(ANYBODY), st.sampled_from(SENDERS))
names = st.sampled_from(SENDERS)


class SignalMachine(RuleBasedStateMachine):
    """Runs each operation on a signal and on a model."""

    def __init__(self):
        super().__init__()
        logging.getLogger("aldis").disabled = True  # a logged error would keep its frames alive
        self.signal = Signal()
        self.bodies = {}
        self.senders = {}
        self.generation = 0
        self.handles = []
        self.blocks = []
        self.mutes = []
        self.plans = {}  # the actions of receivers at their next calls
        self.sends = []  # for each running send: the expected calls and the calls made
        self.model = Model(lambda name: name.partition(".")[0], set())

    # -- names and objects ---------------------------------------------------------------------

    def body(self, name):
        """Give the living object of this name, or a new object with a new name."""
        if name not in self.bodies:
            kind = name[:-1]
            self.generation += 1
            self.bodies[name] = KINDS[kind][0](self, f"{name}:{self.generation}"), self.generation
        return self.bodies[name]

    def receiver(self, name):
        """Give a receiver and its name in the model."""
        owner, _, part = name.partition(".")
        body, generation = self.body(owner)
        return KINDS[owner[:-1]][1][part](body), f"{owner}:{generation}.{part}"

    def sender(self, name, variant=0):
        """Give a sender and its name in the model."""
        if name == ANYBODY:
            return ANY, ANYBODY
        if name in CONSTANTS:
            variants = CONSTANTS[name]
            return variants[variant % len(variants)], name
        if name not in self.senders:
            self.generation += 1
            token = f"{name}:{self.generation}"
            make, held = MORTALS[name[:-1]]
            self.senders[name] = make(token), token
            if held:
                self.model.held.add(token)
        return self.senders[name]

    def remove_dead(self):
        """Remove the dead receivers and senders from the model."""
        bodies = {f"{name}:{generation}" for name, (_, generation) in self.bodies.items()}
        for _, called in self.sends:
            bodies |= {name.partition(".")[0] for name in called}  # a result holds them
        known = {name for _, name in self.senders.values()} | set(CONSTANTS)
        for _, listener in self.blocks:  # the blocks hold both
            bodies.add(listener.receiver.partition(".")[0])
            known.add(listener.sender)
        self.model.remove_dead(bodies, known)

    @staticmethod
    def label(receiver):
        """Return the name of a receiver in the model."""
        owner = getattr(receiver, "__self__", None)
        if isinstance(owner, (list, deque)):
            return f"{owner[0]}.{receiver.__name__}"
        if isinstance(owner, Body):
            return f"{owner.name}.{receiver.__name__}"
        if isinstance(receiver, Body):
            return f"{receiver.name}.call"
        return f"{receiver.body}.self"

    # -- actions of receivers--------------------------------------------------------------------

    def called(self, label):
        """Check that this receiver is the next one, and run its planned action."""
        expected, called = self.sends[-1]
        for name in expected:
            called.append(name)
            if name.endswith(SILENT):
                continue  # they do not report their calls
            break
        assert called
        assert label == called[-1]
        plan = self.plans.pop(label, None)
        if plan is not None:
            plan()
            self.remove_dead()
        return label

    @rule(name=receivers, other=receivers, sender=senders, weak=st.booleans())
    def plan_to_connect(self, name, other, sender, weak):
        """Let a receiver connect another one when it is called."""
        self.plans[self.receiver(name)[1]] = lambda: self.connect(other, sender, 0, weak)

    @rule(name=receivers, other=receivers, sender=senders)
    def plan_to_disconnect(self, name, other, sender):
        """Let a receiver disconnect another one, or itself, when it is called."""
        self.plans[self.receiver(name)[1]] = lambda: self.disconnect(other, sender)

    @rule(name=receivers, other=st.sampled_from(BODIES))
    def plan_to_forget(self, name, other):
        """Let a receiver drop another one when it is called."""
        self.plans[self.receiver(name)[1]] = lambda: self.forget_receiver(other)

    @rule(name=receivers, sender=names)
    def plan_to_send(self, name, sender):
        """Let a receiver send when it is called."""
        self.plans[self.receiver(name)[1]] = lambda: self.send(sender, 0)

    @rule(name=receivers)
    def plan_to_raise(self, name):
        """Let a receiver raise when it is called."""

        def fail():
            raise Failure

        self.plans[self.receiver(name)[1]] = fail

    # -- connecting ----------------------------------------------------------------------------

    @rule(name=receivers, sender=senders, variant=st.integers(0, 1), weak=st.booleans())
    def connect(self, name, sender, variant, weak):
        """Connect a receiver."""
        receiver, label = self.receiver(name)
        sender, token = self.sender(sender, variant)
        if weak and name.startswith("list"):
            with pytest.raises(ReceiverError):
                self.signal.connect(receiver, sender=sender)
            return
        assert receiver is self.signal.connect(receiver, sender, weak)
        self.model.connect(label, token, "connect", weak=weak)

    @rule(name=receivers, sender=senders)
    def disconnect(self, name, sender):
        """Disconnect a receiver, from one sender or altogether."""
        receiver, label = self.receiver(name)
        sender, token = self.sender(sender)
        self.signal.disconnect(receiver, sender)
        self.model.disconnect(label, token)

    @rule(name=receivers, sender=senders, weak=st.booleans())
    def subscribe(self, name, sender, weak):
        """Subscribe a receiver, and keep the handle."""
        receiver, label = self.receiver(name)
        sender, token = self.sender(sender)
        weak = weak and not name.startswith("list")
        handle = self.signal.subscribe(receiver, sender, weak)
        self.handles.append((handle, self.model.connect(label, token, handle, weak=weak)))

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def cancel(self, data):
        """Cancel a subscription."""
        handle, listener = self.handles.pop(data.draw(st.integers(0, len(self.handles) - 1)))
        assert handle.active == (handle in listener.owners)
        handle.cancel()
        assert not handle.active
        self.model.cancel(listener, handle)

    @rule(name=receivers, sender=senders)
    def enter_connected_to(self, name, sender):
        """Begin a block in which a receiver is connected. Blocks may end in any order."""
        receiver, label = self.receiver(name)
        sender, token = self.sender(sender)
        block = self.signal.connected_to(receiver, sender)
        block.__enter__()
        self.blocks.append((block, self.model.connect(label, token, block, weak=False)))

    @precondition(lambda self: self.blocks)
    @rule(data=st.data())
    def leave_connected_to(self, data):
        """End a block in which a receiver is connected."""
        block, listener = self.blocks.pop(data.draw(st.integers(0, len(self.blocks) - 1)))
        block.__exit__(None, None, None)
        self.model.cancel(listener, block)

    @rule()
    def clear(self):
        """Disconnect every receiver."""
        self.signal.receivers.clear()
        for each in list(self.model.listeners):
            self.model.disconnect(each.receiver, ANYBODY)

    @rule()
    def mute(self):
        """Begin a muted block."""
        block = self.signal.muted()
        block.__enter__()
        self.mutes.append(block)
        self.model.muted += 1

    @precondition(lambda self: self.mutes)
    @rule()
    def unmute(self):
        """End a muted block."""
        self.mutes.pop().__exit__(None, None, None)
        self.model.muted -= 1

    # -- dying ---------------------------------------------------------------------------------

    @rule(name=st.sampled_from(BODIES))
    def forget_receiver(self, name):
        """Drop the last outside reference to a receiver."""
        self.bodies.pop(name, None)

    @rule(name=names)
    def forget_sender(self, name):
        """Drop the last outside reference to a sender."""
        self.senders.pop(name, None)

    @rule()
    def collect(self):
        """Run the garbage collector."""
        gc.collect()

    # -- sending -------------------------------------------------------------------------------

    @rule(name=names, variant=st.integers(0, 1))
    def send(self, name, variant):
        """Send. An exception of a receiver ends the send."""
        sender, token = self.sender(name, variant)
        self.sends.append((self.model.calls(token), []))
        try:
            results = self.signal.send(sender)
        except Failure:
            self.sends.pop()
            return
        labels = [self.label(receiver) for receiver, _ in results]
        expected, called = self.sends.pop()
        assert [*called, *expected] == labels
        values = [0 if label.endswith(SILENT) else label for label in labels]
        assert values == [value for _, value in results]

    @rule(name=names, variant=st.integers(0, 1))
    def send_robust(self, name, variant):
        """Send to every receiver, even if one raises."""
        sender, token = self.sender(name, variant)
        self.sends.append((self.model.calls(token), []))
        outcomes = self.signal.send_robust(sender)
        expected, called = self.sends.pop()
        assert [*called, *expected] == [self.label(each.receiver) for each in outcomes]
        failed = [type(each.error) for each in outcomes if each.error is not None]
        assert {Failure} >= set(failed)
        answers = [(self.label(each.receiver), each.value) for each in outcomes if not each.error]
        assert all(value in (0, label) for label, value in answers)
        del outcomes
        if failed:
            gc.collect()  # an error's traceback holds the frame that holds the outcomes

    # -- checks -------------------------------------------------------------------------------

    @invariant()
    def tables_agree(self):
        """The signal's tables agree with each other and with the model."""
        self.remove_dead()
        check_tables(self.signal)
        expected = [(each.receiver, each.sender) for each in self.model.listeners]
        found = connections(self.signal)
        assert expected == [(self.label(link.resolve()[0]), self.token(link)) for link in found]
        strong = [each.strong for each in self.model.listeners]
        assert strong == [not link.weak for link in found]

    @invariant()
    def inspection_agrees(self):
        """The signal's inspection methods agree with the model."""
        self.remove_dead()
        receivers = {each.receiver for each in self.model.listeners}
        assert len(receivers) == len(self.signal.receivers)
        assert bool(receivers) == bool(self.signal.receivers)
        assert bool(self.model.muted) == self.signal.is_muted
        anybody = self.model.receivers_for(ANYBODY)
        assert bool(anybody) == self.signal.has_receivers_for(ANY)
        known = [(CONSTANTS[name][-1], name) for name in CONSTANTS] + list(self.senders.values())
        for sender, token in known:
            expected = self.model.receivers_for(token)
            assert bool(expected) == self.signal.has_receivers_for(sender)
            assert expected == [self.label(each) for each in self.signal.receivers_for(sender)]
        rows = self.signal.explain(known[-1][0]).rows
        assert len(self.model.listeners) == len(rows)
        assert len(self.model.receivers_for(known[-1][1])) == sum(row.runs for row in rows)

    @staticmethod
    def token(link):
        """Return the name of a connection's sender in the model."""
        sender = link.sender()
        if sender is ANY:
            return ANYBODY
        if isinstance(sender, (Body, Alike)):
            return sender.name
        if isinstance(sender, list):
            return sender[0]
        return str(sender)

    def teardown(self):
        """Disconnect every receiver, and check that the tables are empty."""
        self.bodies.clear()
        self.senders.clear()
        for block, _ in self.blocks:
            block.__exit__(None, None, None)
        self.blocks.clear()
        for handle, _ in self.handles:
            handle.cancel()
        self.handles.clear()
        self.signal._clear_state()
        assert_nothing_left(self.signal)
        logging.getLogger("aldis").disabled = False


TestSignalMachine = SignalMachine.TestCase
# Lists are senders without weak references here.
TestSignalMachine.pytestmark = [pytest.mark.filterwarnings("ignore::aldis.errors.SenderWarning")]
TestSignalMachine.settings = settings(
    max_examples=sized(25, 500), stateful_step_count=40, deadline=None
)
