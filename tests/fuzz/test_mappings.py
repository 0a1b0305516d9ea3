"""Any mapping of a plugin is connected as a unit, or it raises and nothing is connected."""

import warnings
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aldis import Namespace
from aldis.errors import AldisError, ContractWarning, PluginError, ReceiverError
from aldis.plugins import PluginManager, Subscriptions
from tests.plugins.distributions import Distributions

shop = Namespace()
SIGNALS = [shop.signal("paid"), shop.signal("packed")]


def receiver(sender, **extra):
    """Take anything."""


class Hostile:
    """An object that raises for each attribute and for its repr."""

    def __getattr__(self, name):
        raise AttributeError(name)

    def __repr__(self):
        raise RuntimeError("no repr")


class Keyed(dict):
    """A mapping that raises while it is read."""

    def items(self):
        """Raise."""
        raise KeyError("gone")


junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=10),
        st.binary(max_size=10),
        st.sampled_from([*SIGNALS, receiver, object, int, len, Ellipsis, lambda: None]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
options = st.dictionaries(
    st.sampled_from(["receiver", "sender", "weak", "reciever", "plugin", "robust"]),
    junk | st.just(receiver),
    max_size=4,
)
listeners = st.lists(junk | options | st.just(receiver), max_size=4) | junk
hashable = st.sampled_from([*SIGNALS, *SIGNALS]) | st.integers() | st.text(max_size=8) | st.none()
mappings = st.dictionaries(hashable, listeners, max_size=3) | junk


def connected():
    """Return how many receivers the signals have."""
    return sum(len(signal.receivers) for signal in SIGNALS)


@given(mapping=mappings)
@example(mapping={SIGNALS[0]: [receiver], SIGNALS[1]: [{"receiver": receiver, "sendr": 1}]})
@example(mapping={SIGNALS[0]: [receiver], "paid": [receiver]})
@example(mapping={SIGNALS[0]: [receiver, {"receiver": 5}]})
@example(mapping={SIGNALS[0]: [{1: receiver}]})
@example(mapping={SIGNALS[0]: [{None: receiver, "receiver": receiver}]})
@example(mapping={SIGNALS[0]: [[receiver]]})
@example(mapping={SIGNALS[0]: {receiver}})
@example(mapping={SIGNALS[0]: [{"receiver": receiver, "weak": "maybe", "sender": []}]})
def test_any_mapping(mapping):
    """An invalid mapping raises the documented error, and nothing is connected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ContractWarning)
        try:
            unit = Subscriptions(mapping)
        except ReceiverError:
            assert 0 == connected()
            return
        with suppress(AldisError):
            unit.connect()
        assert (len(unit) > 0 and unit.connected) or 0 == connected()
        unit.disconnect()
    assert 0 == connected()


@pytest.mark.parametrize(
    "mapping",
    [
        {SIGNALS[0]: [receiver, Hostile()]},
        {SIGNALS[0]: Hostile()},
        {Hostile(): [receiver]},
        Hostile(),
        Keyed({SIGNALS[0]: [receiver]}),
    ],
)
def test_objects_that_answer_nothing(mapping):
    """An error of the objects' own code may be raised, but nothing is connected."""
    with pytest.raises((ReceiverError, RuntimeError, KeyError)):
        Subscriptions(mapping).connect()
    assert 0 == connected()


values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30)


@given(value=values | st.sampled_from(["os:system", "os.path:join", "no.such:Plugin", ":", "sys"]))
@example(value="builtins:exit")
@example(value="dist_odd:Plugin.a.b")
@example(value="dist_odd:Plugin [extra]")
def test_any_entry_point(tmp_path_factory, value):
    """The error for an invalid entry point names the plugin, and nothing is connected."""
    folder = tmp_path_factory.mktemp("installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        Distributions(folder, "aldis.plugins").install("odd", "class Plugin: pass", value=value)
        manager = PluginManager()
        with pytest.raises(PluginError, match="'odd'"):
            manager.enable("odd")
    assert 0 == connected()
