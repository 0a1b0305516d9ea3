"""aldis and blinker 1.9.0 run random programs with equal results, where blinker has no defect.

The programs avoid the defects and the undefined behaviour of blinker: its order (calls are compared
as sets), the senders 0, False and True, senders without weak references that die,
``has_receivers_for`` after a scoped disconnect, a receiver that is connected strongly and weakly,
and overlapping ``connected_to`` blocks.
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


class Failure(Exception):  # noqa: N818 - an intended exception, not an error
    pass


class Listener:
    """A receiver whose method is a receiver too."""

    def __init__(self, name):
        self.name = name
        self.fails = False

    def __call__(self, sender, **extra):
        """Receive. Raise an error if this receiver shall fail."""
        if self.fails:
            raise Failure
        return self.name, extra.get("value")

    def receive(self, sender, **extra):
        """Receive with the method."""
        return (f"{self.name}.receive", *self(sender, **extra))


RECEIVERS = [f"{kind}{number}" for kind in ("call", "method", "strong") for number in range(3)]
MORTALS = ["sender0", "sender1", "sender2"]
SENDERS = [None, "one", "two", 7, 70001, *MORTALS]

names = st.sampled_from(RECEIVERS)
scopes = st.one_of(st.just("any"), st.sampled_from(SENDERS))
senders = st.sampled_from(SENDERS)


class OracleMachine(RuleBasedStateMachine):
    """Runs each operation in both libraries."""

    @initialize()
    def begin(self):
        """Make a signal of each library."""
        self.signals = (aldis.Signal(), BLINKER.Signal())
        self.ears = {name: Listener(name) for name in RECEIVERS}
        self.senders = {name: Sender() for name in MORTALS}

    def receiver(self, name):
        """Give the receiver of this name. A receiver is always strong or always weak."""
        ear = self.ears[name]
        return ear.receive if name.startswith("method") else ear

    def sender(self, name, library):
        """Give the sender of this name. Each library has its own ANY."""
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
        """Connect with the decorator."""
        for signal, library in self.each():
            via = signal.connect_via(self.sender(sender, library), weak="strong" not in name)
            via(self.receiver(name))

    @rule(name=names, sender=scopes)
    def disconnect(self, name, sender):
        """Disconnect from one sender or from all."""
        for signal, library in self.each():
            signal.disconnect(self.receiver(name), self.sender(sender, library))

    @rule(name=st.sampled_from([each for each in RECEIVERS if "strong" not in each]))
    def die(self, name):
        """Let a weakly connected receiver die, and make a new one."""
        self.ears[name] = Listener(name)

    @rule(name=st.sampled_from(MORTALS))
    def sender_dies(self, name):
        """Let a sender die, and make a new one."""
        self.senders[name] = Sender()

    @rule()
    def collect(self):
        """Run the garbage collector."""
        gc.collect(0)

    @rule(name=names)
    def switch_failing(self, name):
        """Switch whether a receiver raises."""
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
        """Send while the signal is muted, and again afterwards."""
        for signal, library in self.each():
            with signal.muted():
                assert signal.send(self.sender(sender, library)) == []
        self.send(sender, 0)

    @precondition(lambda self: hasattr(self, "ears"))
    @rule(name=st.just("temporary"), sender=scopes, other=senders)
    def connected_to(self, name, sender, other):
        """Connect an unconnected receiver for one send."""
        self.ears[name] = Listener(name)
        with ExitStack() as stack:
            for signal, library in self.each():
                block = signal.connected_to(self.receiver(name), self.sender(sender, library))
                stack.enter_context(block)
            self.send(other, 1)
        self.send(other, 2)
        del self.ears[name]

    @invariant()
    def equal_receivers(self):
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
    def equal_emptiness(self):
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
