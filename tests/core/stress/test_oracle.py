"""A signal and blinker 1.9.0 go through the same random life, as far as blinker is right.

Left out is what blinker gets wrong, and what it leaves undefined: its order (calls are compared as
sets), the senders 0, False and True, unweakrefable senders that die, ``has_receivers_for`` after a
scoped disconnect, one receiver of two strengths, and overlapping ``connected_to`` blocks.
"""

import gc
from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import aldis
from tests.core.support import load_blinker
from tests.sizes import sized

BLINKER = load_blinker()


class Sender:
    pass


class Failure(Exception):  # noqa: N818 - it is no error of anybody's
    pass


class Ear:
    """A receiver by its method, and by itself."""

    def __init__(self, name):
        self.name = name
        self.fails = False

    def __call__(self, sender, **extra):
        """Receive, or raise when in the temper for it."""
        if self.fails:
            raise Failure
        return self.name, extra.get("value")

    def hear(self, sender, **extra):
        """Receive by the method."""
        return (f"{self.name}.hear", *self(sender, **extra))


RECEIVERS = [f"{kind}{number}" for kind in ("call", "method", "strong") for number in range(3)]
MORTALS = ["sender0", "sender1", "sender2"]
SENDERS = [None, "one", "two", 7, 70001, *MORTALS]

names = st.sampled_from(RECEIVERS)
scopes = st.one_of(st.just("any"), st.sampled_from(SENDERS))
senders = st.sampled_from(SENDERS)


class OracleMachine(RuleBasedStateMachine):
    """Does everything to both."""

    @initialize()
    def begin(self):
        """Make a signal of each."""
        self.signals = (aldis.Signal(), BLINKER.Signal())
        self.ears = {name: Ear(name) for name in RECEIVERS}
        self.senders = {name: Sender() for name in MORTALS}

    def receiver(self, name):
        """Give the receiver of this name, with one strength for each receiver."""
        ear = self.ears[name]
        return ear.hear if name.startswith("method") else ear

    def sender(self, name, library):
        """Give the sender of this name; each library has its own ANY."""
        return library.ANY if name == "any" else self.senders.get(name, name)

    def each(self):
        """Yield both signals with their libraries."""
        return zip(self.signals, (aldis, BLINKER), strict=True)

    @rule(name=names, sender=scopes)
    def connect(self, name, sender):
        """Connect."""
        for signal, library in self.each():
            found = signal.connect(
                self.receiver(name), self.sender(sender, library), weak="strong" not in name
            )
            assert self.receiver(name) == found

    @rule(name=names, sender=senders)
    def connect_via(self, name, sender):
        """Connect by the decorator."""
        for signal, library in self.each():
            via = signal.connect_via(self.sender(sender, library), weak="strong" not in name)
            via(self.receiver(name))

    @rule(name=names, sender=scopes)
    def disconnect(self, name, sender):
        """Disconnect, from one sender or altogether."""
        for signal, library in self.each():
            signal.disconnect(self.receiver(name), self.sender(sender, library))

    @rule(name=st.sampled_from([each for each in RECEIVERS if "strong" not in each]))
    def die(self, name):
        """Let a weakly connected receiver die, and another one come in its place."""
        self.ears[name] = Ear(name)

    @rule(name=st.sampled_from(MORTALS))
    def sender_dies(self, name):
        """Let a sender die, and another one come in its place."""
        self.senders[name] = Sender()

    @rule()
    def collect(self):
        """Let the collector come."""
        gc.collect(0)

    @rule(name=names)
    def change_temper(self, name):
        """Let a receiver raise from now on, or no more."""
        self.ears[name].fails = not self.ears[name].fails

    @rule(sender=senders, value=st.integers())
    def send(self, sender, value):
        """Send in both libraries, and compare the receivers, values and errors."""
        answers = []
        for signal, library in self.each():
            try:
                results = signal.send(self.sender(sender, library), value=value)
            except Failure:
                answers.append("failed")
            else:
                answers.append({(receiver, answer) for receiver, answer in results})
                assert len(answers[-1]) == len(results)
        assert answers[1] == answers[0]

    @rule(sender=senders)
    def send_muted(self, sender):
        """Send while muted, and again after."""
        for signal, library in self.each():
            with signal.muted():
                assert signal.send(self.sender(sender, library)) == []
        self.send(sender, 0)

    @precondition(lambda self: hasattr(self, "ears"))
    @rule(name=st.just("temporary"), sender=scopes, other=senders)
    def connected_to(self, name, sender, other):
        """Connect a receiver that is not connected otherwise, for one send."""
        self.ears[name] = Ear(name)
        with ExitStack() as stack:
            for signal, library in self.each():
                block = signal.connected_to(self.receiver(name), self.sender(sender, library))
                stack.enter_context(block)
            self.send(other, 1)
        self.send(other, 2)
        del self.ears[name]

    @invariant()
    def the_same_receivers(self):
        """Both libraries call equal receivers for each sender."""
        if not hasattr(self, "signals"):
            return
        for name in SENDERS:
            ours, theirs = (
                set(signal.receivers_for(self.sender(name, library)))
                for signal, library in self.each()
            )
            assert theirs == ours

    @invariant()
    def no_false_silence(self):
        """If blinker finds no receiver, aldis finds none."""
        if not hasattr(self, "signals"):
            return
        for name in SENDERS:
            ours, theirs = (
                signal.has_receivers_for(self.sender(name, library))
                for signal, library in self.each()
            )
            assert theirs or not ours


TestOracleMachine = OracleMachine.TestCase
TestOracleMachine.settings = settings(
    max_examples=sized(25, 500), stateful_step_count=40, deadline=None
)
