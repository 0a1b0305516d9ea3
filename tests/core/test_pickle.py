"""Pickling and copying: named signals of importable namespaces work, others raise an error."""

import copy
import pickle

import pytest

import aldis
from aldis.errors import SignalPickleError
from tests.core.support import exactly, run_python

lamps = aldis.Namespace()
lit = lamps.signal("lit")


@lamps.define
def put_out(sender, /, *, depth: int) -> None:
    """Sent when a lamp goes out."""


def again(thing):
    """Pickle and unpickle."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - made by this process


class TestWhatPickles:
    @pytest.mark.parametrize("thing", [lit, put_out, lamps, aldis.signal("test-pickle")])
    def test_to_itself(self, thing):
        """Unpickling named signals and their namespaces returns the original objects."""
        assert thing is again(thing)
        assert thing is copy.copy(thing)
        assert thing is copy.deepcopy(thing)

    def test_in_another_process(self, tmp_path):
        """Another process that can import the namespace finds its own signal."""
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

    def test_inside_other_things(self):
        """A structure that holds a signal can be copied deeply."""
        assert {"signal": lit} == copy.deepcopy({"signal": lit})

    def test_outcomes_pickle(self):
        """The outcomes of a robust send can be pickled."""
        outcome = aldis.Outcome(again, 7)
        assert outcome == again(outcome)


class TestWhatRefuses:
    @pytest.mark.parametrize(
        "signal", [aldis.Signal(), aldis.NamedSignal("lone"), aldis.Namespace().signal("local")]
    )
    @pytest.mark.parametrize("work", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_a_signal_without_a_home(self, signal, work):
        """The message names the signals that can be pickled, and how to make them."""
        name = getattr(signal, "name", "an unnamed signal")
        text = (
            f"{name} cannot be pickled or copied: only a named signal of a namespace that is a "
            "module's global can be found again; make it with Namespace.signal or define"
        )
        with pytest.raises(SignalPickleError, match=exactly(text)) as raised:
            work(signal)
        assert isinstance(raised.value, TypeError)

    def test_a_namespace_without_a_home(self):
        """The error for a local namespace names its module."""
        text = (
            f"this namespace cannot be pickled or copied: it is not a global of {__name__}, the "
            "module that made it"
        )
        with pytest.raises(SignalPickleError, match=exactly(text)):
            pickle.dumps(aldis.Namespace())

    def test_a_signal_whose_namespace_is_gone(self):
        """A signal does not keep its namespace, and without it has no home."""
        signal = aldis.Namespace().signal("orphan")
        assert signal.namespace is None
        with pytest.raises(SignalPickleError):
            pickle.dumps(signal)
