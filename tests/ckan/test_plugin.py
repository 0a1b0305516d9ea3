"""The base class of CKAN plugins that subscribe."""

import asyncio
import logging
from functools import partial

import pytest

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

from aldis.ckan import SignalPlugin, ckanext, propagating
from aldis.errors import ReceiverError
from aldis.plugins import origin_of
from aldis.receivers import once, robust


def load(plugin):
    """Connect as CKAN does when it loads a plugin."""
    for signal, listeners in plugin.get_signal_subscriptions().items():
        for options in listeners:
            signal.connect(**(options if isinstance(options, dict) else {"receiver": options}))


def unload(plugin):
    """Disconnect as CKAN does when it unloads a plugin."""
    for signal, listeners in plugin.get_signal_subscriptions().items():
        for each in listeners:
            options = each if isinstance(each, dict) else {"receiver": each}
            options.pop("weak", None)
            signal.disconnect(**options)


@pytest.fixture
def happened():
    """A signal of an extension."""
    yield ckanext.signal("custom_happened")
    del ckanext["custom_happened"]


def make(listeners, name=None):
    """Make a plugin with these listeners."""

    class Custom(SignalPlugin):
        def listeners(self):
            return listeners(self) if callable(listeners) else listeners

        def method(self, sender, **kwargs):
            return f"method of {self.name}"

    return Custom(name=name)


def failing(sender, **kwargs):
    """Raise."""
    raise ValueError("not the sender's business")


def values(results):
    """Return what the listeners returned."""
    return [value for _, value in results]


def test_a_listener_that_raises_breaks_nothing(happened, caplog):
    """The error of a listener is logged, and the other listeners run."""
    plugin = make({happened: [failing, lambda sender, **kwargs: "after"]})
    load(plugin)
    assert [None, "after"] == values(happened.send("s"))
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    assert "failing" in record.getMessage()
    unload(plugin)


def test_lambdas_partials_and_methods_are_called_until_the_unload(happened):
    """The plugin keeps them alive while it is loaded, and CKAN finds them at the unload."""
    plugin = make(
        lambda self: {
            happened: [
                lambda sender, **kwargs: "lambda",
                partial(lambda answer, sender, **kwargs: answer, "partial"),
                {"receiver": self.method, "sender": "s"},
            ]
        },
        name="custom",
    )
    for _ in range(2):
        load(plugin)
        assert ["lambda", "partial", "method of custom"] == values(happened.send("s"))
        assert ["lambda", "partial"] == values(happened.send("another"))
        unload(plugin)
        assert not happened.receivers


def test_a_strong_listener_is_strong_at_every_load(happened):
    """CKAN removes ``weak`` from the dicts. The next load has it again."""
    plugin = make({happened: [{"receiver": failing, "weak": False}]})
    for _ in range(2):
        load(plugin)
        assert ["strong"] == [row.strength for row in happened.explain().rows]
        unload(plugin)


def test_a_listener_may_have_any_delivery(happened):
    """A listener with another delivery mode is passed to CKAN unchanged."""

    class Delivered:
        def __bind_signal__(self, signal):
            return lambda sender, **kwargs: f"delivered of {signal.name}"

        def __call__(self, sender, **kwargs): ...

    own, first = Delivered(), once(lambda sender, **kwargs: "once")
    plugin = make({happened: [own, first]})
    load(plugin)
    assert ["delivered of custom_happened", "once"] == values(happened.send())
    assert ["delivered of custom_happened"] == values(happened.send())
    assert own is plugin.get_signal_subscriptions()[happened][0]
    unload(plugin)
    assert not happened.receivers


def test_a_propagating_listener_reaches_the_sender(happened):
    """The error of a listener with ``propagate`` reaches the sender."""
    plugin = make({happened: [propagating(failing)]})
    load(plugin)
    with pytest.raises(ValueError, match="not the sender's business"):
        happened.send()
    assert ["propagating"] == [row.delivery for row in happened.explain().rows]
    unload(plugin)
    assert not happened.receivers


def test_a_propagating_method_and_an_async_listener_work(happened):
    """Methods are called with their plugin, and ``asend`` awaits async listeners."""

    class Custom(SignalPlugin):
        def listeners(self):
            return {happened: [self.method, propagating(self.later), self.isolated]}

        @propagating
        def method(self, sender, **kwargs):
            return self.name

        async def later(self, sender, **kwargs):
            return "later"

        async def isolated(self, sender, **kwargs):
            raise ValueError("not the sender's business")

    with Custom().subscriptions:
        assert ["Custom", "later", None] == values(asyncio.run(happened.asend()))
    assert not happened.receivers


async def later(sender, **kwargs):
    """Receive as a coroutine."""


@pytest.mark.parametrize("delivery", [lambda each: each, propagating, robust, once])
def test_an_async_listener_is_refused_for_ckan(happened, delivery):
    """CKAN sends with ``send``, which refuses async listeners, so the plugin refuses them."""
    plugin = make({happened: [failing, {"receiver": delivery(later), "sender": "s"}]})
    with pytest.raises(ReceiverError) as caught:
        load(plugin)
    assert "entry 2 of 'custom_happened': receiver later (" in str(caught.value)
    assert "test_plugin.py:" in str(caught.value)
    assert " is async, " in str(caught.value)
    assert "write it as a def" in str(caught.value)
    assert "entry 1" not in str(caught.value)
    assert not happened.receivers


def test_an_async_method_is_refused_for_ckan(happened):
    """A decorated async listener is refused, too."""

    class Custom(SignalPlugin):
        def listeners(self):
            return {happened: [self.plain, self.decorated]}

        async def plain(self, sender, **kwargs): ...

        @propagating
        async def decorated(self, sender, **kwargs): ...

    with pytest.raises(ReceiverError, match=r"entry 1 .*\.plain.*; entry 2 .*\.decorated"):
        load(Custom())


def test_a_delivery_may_take_an_async_listener_to_ckan(happened):
    """A delivery mode that runs the coroutine itself may take an async listener."""

    class Run(propagating):
        def __bind_signal__(self, signal):
            return lambda *args, **kwargs: asyncio.run(self.__wrapped__(*args, **kwargs))

    async def answer(sender, **kwargs):
        return "answered"

    plugin = make({happened: [Run(answer)]})
    load(plugin)
    assert ["answered"] == values(happened.send())
    unload(plugin)


def test_a_listener_that_two_plugins_share_is_called_once(happened):
    """A shared listener is called once, with isolation, too."""
    calls = []

    def shared(sender, **kwargs):
        calls.append(sender)

    first, second = make({happened: [shared]}), make({happened: [shared]})
    load(first)
    load(second)
    happened.send("s")
    assert ["s"] == calls
    with first.subscriptions, second.subscriptions:
        pass
    happened.send("t")
    assert ["s", "t"] == calls
    unload(first)


def test_a_listener_is_shown_with_its_plugin(happened):
    """A list of the receivers shows the plugin of each."""
    plugin = make({happened: [failing]}, name="custom")
    load(plugin)
    (receiver,) = happened.receivers_for(None)
    assert ("custom",) == origin_of(happened, receiver.__wrapped__)
    unload(plugin)


def test_a_test_connects_the_plugin_without_ckan(happened):
    """A test can connect the subscriptions of a plugin for the length of a block."""
    plugin = make({happened: [lambda sender, **kwargs: "heard"]})
    with plugin.subscriptions:
        assert ["heard"] == values(happened.send())
    assert not happened.receivers


def test_a_mistake_in_the_mapping_connects_nothing(happened):
    """A mistake refuses the whole mapping. CKAN would leave the first half connected."""
    plugin = make({happened: [failing, "failing"]})
    with pytest.raises(ReceiverError, match="entry 2 of 'custom_happened'"):
        load(plugin)
    assert not happened.receivers


def test_a_plugin_without_listeners_raises():
    """The error names the method to override."""
    with pytest.raises(NotImplementedError):
        SignalPlugin().get_signal_subscriptions()
