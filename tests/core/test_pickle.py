"""Pickling and copying. A signal of an importable namespace is found pickle_and_unpickle.

A copy of another signal is a new signal. It needs a signal without receivers.
"""

import copy
import dataclasses
import pickle

import pydantic
import pytest

import aldis
from aldis.errors import SignalPickleError
from tests.core.support import exactly, line_of, run_python

lamps = aldis.Namespace()
lit = lamps.signal("lit")


@lamps.define
def put_out(sender, /, *, depth: int) -> None:
    """Sent when a lamp goes out."""


def pickle_and_unpickle(thing):
    """Pickle and unpickle."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - the test pickles the object itself


class TestPickling:
    @pytest.mark.parametrize("thing", [lit, put_out, lamps, aldis.signal("test-pickle")])
    def test_a_named_signal_pickles_to_itself(self, thing):
        """Unpickling named signals and their namespaces returns the original objects."""
        assert thing is pickle_and_unpickle(thing)
        assert thing is copy.copy(thing)
        assert thing is copy.deepcopy(thing)

    def test_another_process_finds_its_own_signal(self, tmp_path):
        """A process that can import the namespace unpickles its own signal."""
        (tmp_path / "harbour.py").write_text(
            "import aldis\nharbour_signals = aldis.Namespace()\n", encoding="utf-8"
        )
        path = str(tmp_path)
        load = f"import sys, pickle; sys.path.insert(0, {path!r}); "
        pickled = run_python(
            load
            + "import harbour; print(pickle.dumps(harbour.harbour_signals.signal('lit')).hex())"
        )
        assert "lit True" == run_python(
            load + f"signal = pickle.loads(bytes.fromhex({pickled!r})); import harbour; "
            "print(signal.name, signal is harbour.harbour_signals['lit'])"
        )

    def test_a_structure_with_a_signal_can_be_copied(self):
        """A structure that holds a signal can be copied deeply."""
        assert {"signal": lit} == copy.deepcopy({"signal": lit})

    def test_outcomes_can_be_pickled(self):
        """The outcomes of a robust send can be pickled."""
        outcome = aldis.Outcome(pickle_and_unpickle, 7)
        assert outcome == pickle_and_unpickle(outcome)


def copies(thing):
    """Return the copies of ``thing`` that each way of copying makes."""
    return [pickle_and_unpickle(thing), copy.copy(thing), copy.deepcopy(thing)]


class Lamp(aldis.Signal):
    """A signal with an argument, an attribute and a slot."""

    __slots__ = ("colour",)
    continue_on_error = True

    def __init__(self, colour, *, height):
        super().__init__("Sent when a lamp is lit.")
        self.colour = colour
        self.height = height


@dataclasses.dataclass
class Owner:
    """An object that owns a signal, as in programs that use blinker."""

    name: str
    changed: aldis.Signal = dataclasses.field(default_factory=aldis.Signal)


class TestIdleSignals:
    """A signal without receivers is copied as a new signal without receivers."""

    @pytest.mark.parametrize("take", range(3), ids=["pickle", "copy", "deepcopy"])
    def test_an_anonymous_signal(self, take):
        """The copy has the doc and works independently."""
        signal = aldis.Signal("Sent now and then.")
        made = copies(signal)[take]
        assert aldis.Signal is type(made)
        assert made is not signal
        assert "Sent now and then." == made.__doc__
        made.connect(pickle_and_unpickle)
        assert not signal.receivers
        with made.connected_to(lambda sender: 7, "north"):
            made.disconnect(pickle_and_unpickle)
            assert [7] == [value for _, value in made.send("north")]

    @pytest.mark.parametrize("take", range(3), ids=["pickle", "copy", "deepcopy"])
    def test_a_subclass(self, take):
        """The copy has the class, the attributes and the slots; its ``__init__`` is not called."""
        made = copies(Lamp("red", height=3))[take]
        assert (Lamp, "red", 3) == (type(made), made.colour, made.height)
        assert made.continue_on_error
        assert "Sent when a lamp is lit." == made.__doc__

    @pytest.mark.parametrize("take", range(3), ids=["pickle", "copy", "deepcopy"])
    def test_settings(self, take):
        """The copy is muted and continues after errors as the signal does."""
        signal = aldis.Signal()
        signal.send()
        signal.is_muted = True
        signal.continue_on_error = True
        signal.note = ["text"]
        made = copies(signal)[take]
        assert made.is_muted
        assert made.continue_on_error
        assert ["text"] == made.note
        assert not made.sent
        made.is_muted = False
        assert signal.is_muted

    def test_a_copy_takes_over_no_internal_state(self):
        """The state of a copy has the attributes that code outside has set, and no others."""
        signal = aldis.Signal()
        signal.send()
        signal.connect(pickle_and_unpickle)
        signal.disconnect(pickle_and_unpickle)
        assert signal.receiver_connected
        assert {} == signal.__reduce__()[2]

    def test_an_open_block_does_not_mute_the_copy(self):
        """A copy that is made in a block of ``muted`` is not muted."""
        signal = aldis.Signal()
        with signal.muted(), signal.muted(everywhere=False):
            made = copy.deepcopy(signal)
        assert not made.is_muted

    @pytest.mark.parametrize("take", range(3), ids=["pickle", "copy", "deepcopy"])
    def test_a_signal_whose_receivers_have_gone(self, take):
        """A signal can be copied after its receivers have died or are disconnected."""
        signal = aldis.Signal()
        signal.connect(lambda sender: None)
        signal.connect(pickle_and_unpickle)
        signal.receiver_connected.connect(pickle_and_unpickle)
        signal.receiver_connected.disconnect(pickle_and_unpickle)
        signal.disconnect(pickle_and_unpickle)
        assert not copies(signal)[take].receivers

    @pytest.mark.parametrize(
        "signal", [aldis.NamedSignal("lone", "A doc."), aldis.Namespace().signal("local", "A doc.")]
    )
    @pytest.mark.parametrize("take", range(3), ids=["pickle", "copy", "deepcopy"])
    def test_a_named_signal_that_cannot_be_imported(self, signal, take):
        """The copy has the name and belongs to no namespace."""
        made = copies(signal)[take]
        assert made is not signal
        assert (signal.name, "A doc.", None) == (made.name, made.__doc__, made.namespace)
        assert repr(signal) == repr(made)

    @pytest.mark.parametrize("take", [0, 2], ids=["pickle", "deepcopy"])
    def test_a_namespace_that_cannot_be_imported(self, take):
        """The copy has new signals, which belong to it."""
        namespace = aldis.Namespace()
        namespace.note = "text"
        signal = namespace.signal("paid", "Sent when an order is paid.")
        made = copies(namespace)[take]
        assert (aldis.Namespace, ["paid"], "text") == (type(made), list(made), made.note)
        assert made is not namespace
        assert made["paid"] is not signal
        assert made["paid"].namespace is made
        assert signal.namespace is namespace
        assert made in aldis.core.namespaces()

    def test_a_shallow_copy_of_a_namespace(self):
        """A shallow copy of a namespace shares its signals, as on blinker."""
        namespace = aldis.Namespace()
        signal = namespace.signal("paid")
        made = copy.copy(namespace)
        assert made is not namespace
        assert made["paid"] is signal
        made.signal("sent")
        assert ["paid"] == list(namespace)

    def test_a_signal_with_a_contract(self):
        """A deep copy of a local signal has its contract."""
        namespace = aldis.Namespace()

        @namespace.define
        def paid(sender, /, *, number: int) -> None:
            """Sent when an order is paid."""

        assert paid.contract is copy.deepcopy(paid).contract

    def test_an_object_that_owns_a_signal(self):
        """Dataclasses and pydantic copy the signal of an object as a new signal."""
        owner = Owner("harbour")
        assert owner.changed is not dataclasses.asdict(owner)["changed"]
        assert isinstance(copy.deepcopy(owner).changed, aldis.Signal)
        assert isinstance(pickle_and_unpickle(owner).changed, aldis.Signal)

    def test_a_model_of_pydantic(self):
        """A deep copy of a model has a new signal."""

        class Model(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
            changed: aldis.Signal = aldis.Signal("Sent now and then.")

        model = Model()
        made = model.model_copy(deep=True)
        assert made.changed is not model.changed
        assert "Sent now and then." == made.changed.__doc__

    def test_a_signal_in_two_places_is_copied_once(self):
        """Two places with one signal get one new signal."""
        signal = aldis.Signal()
        one, other = copy.deepcopy([signal, signal])
        assert one is other

    def test_the_bound_method_of_an_idle_signal(self):
        """A bound ``send`` is copied with its signal."""
        send = copy.deepcopy(aldis.Signal().send)
        assert [] == send("north")


class TestSignalsInUse:
    @pytest.mark.parametrize(
        "signal", [aldis.Signal(), aldis.NamedSignal("lone"), aldis.Namespace().signal("local")]
    )
    @pytest.mark.parametrize("weak", [True, False])
    @pytest.mark.parametrize("work", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_a_signal_with_receivers(self, signal, weak, work):
        """The message names a receiver and the remedy."""
        name = getattr(signal, "name", "an unnamed signal")
        text = (
            f"{name} cannot be copied or pickled while receivers are connected: "
            f"pickle_and_unpickle ({line_of(pickle_and_unpickle)}) listens to it and 1 more; "
            "disconnect them first, or make the signal with Namespace.signal in a "
            "namespace that is a module's global"
        )
        signal.connect(pickle_and_unpickle, weak=weak)
        signal.connect(copies, "north")
        try:
            with pytest.raises(SignalPickleError, match=exactly(text)) as raised:
                work(signal)
        finally:
            signal.receivers.clear()
        assert isinstance(raised.value, TypeError)

    def test_a_signal_whose_connections_are_observed(self):
        """A receiver of ``receiver_connected`` counts as a receiver."""
        signal = aldis.Signal()
        signal.receiver_connected.connect(pickle_and_unpickle)
        with pytest.raises(SignalPickleError, match="listens to its receiver_connected"):
            copy.deepcopy(signal)

    def test_a_signal_that_can_be_found_again(self):
        """A copy of a signal of an importable namespace is the signal with its receivers."""
        with lit.connected_to(pickle_and_unpickle):
            assert [lit] * 3 == copies(lit)
