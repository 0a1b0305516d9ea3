"""The identity of senders: ``ANY``, proxies, and blinker's helper functions."""

import copy
import pickle
from contextvars import ContextVar
from weakref import WeakMethod

import pytest
from werkzeug.local import LocalProxy

import aldis
from aldis.core.inspection import ANY_ID, make_id, make_ref
from aldis.core.sender import Symbol
from aldis.errors import UnboundSenderError
from tests.core.support import Recorder, Sender, exactly

TEXT = (
    "the sender is a LocalProxy that stands for no object here; use it while it is bound (inside "
    "the application context) or pass the object itself"
)


def receive(sender, **extra):
    """Receive anything."""
    return sender


class TestSymbols:
    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    def test_any_pickles_to_itself(self, protocol):
        """``ANY`` is one object, also after pickling and copying."""
        assert aldis.ANY is pickle.loads(pickle.dumps(aldis.ANY, protocol))  # noqa: S301
        assert aldis.ANY is copy.deepcopy(aldis.ANY)

    def test_two_symbols_with_one_name_are_one_object(self):
        """A symbol is identified by its name. ``repr`` shows the name."""
        assert Symbol("lamp") is Symbol("lamp")
        assert Symbol("lamp") is not Symbol("flag")
        assert ("lamp", "ANY") == (repr(Symbol("lamp")), repr(aldis.ANY))


class TestProxies:
    @pytest.fixture
    def sender(self):
        """Give the object behind a proxy."""
        return Sender()

    @pytest.fixture
    def proxy(self, sender):
        """Give a bound proxy."""
        return LocalProxy(lambda: sender)

    @pytest.fixture
    def unbound(self):
        """Give an unbound proxy."""
        return LocalProxy(ContextVar("nothing"))

    def test_connecting_for_a_proxy(self, signal, sender, proxy):
        """A receiver that is connected for a proxy is called for the object behind it."""
        signal.connect(receive, proxy)
        assert [(receive, sender)] == signal.send(sender)

    @pytest.mark.parametrize("has_a_receiver", [True, False])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_an_error_of_a_metaclass_reaches_the_caller(self, signal, error, has_a_receiver):
        """The check for a proxy handles only the AttributeError of a metaclass."""

        class Meta(type):
            def __getattr__(cls, name):
                raise error(name)

        class Sender(metaclass=Meta):
            """A sender."""

        signal.connect(receive)
        if has_a_receiver:
            signal.connect(receive, "north")
        signal.send("north")
        signal.send("north")
        with pytest.raises(error, match="_get_current_object"):
            signal.send(Sender())

    def test_sending_from_a_proxy(self, signal, sender, proxy):
        """Receivers get the object itself, never the proxy, from the first send on."""
        heard = Recorder()
        signal.connect(heard, sender)
        signal.connect(receive)
        for _ in range(3):
            signal.send(proxy)
            signal.send_robust(proxy)
        assert [True] * 6 == [each is sender for each in heard.senders]
        assert [True] == [value is sender for each, value in signal.send(proxy) if each is receive]

    def test_sending_from_a_proxy_to_receivers_of_any_sender(self, signal, sender, proxy):
        """A receiver of any sender gets the object behind the proxy too."""
        heard = Recorder()
        signal.connect(heard)
        signal.send(sender)
        signal.send(proxy)
        signal.send(sender)
        assert [True] * 3 == [each is sender for each in heard.senders]

    async def test_sending_async_from_a_proxy(self, signal, sender, proxy):
        """An async send passes the object behind the proxy to the receivers."""
        heard = Recorder()
        signal.connect(heard, sender)
        await signal.asend(proxy)
        await signal.asend_robust(proxy)
        assert [True, True] == [each is sender for each in heard.senders]

    def test_disconnecting_and_inspecting_for_a_proxy(self, signal, sender, proxy):
        """``disconnect``, ``has_receivers_for``, ``receivers_for`` and ``explain`` unwrap it."""
        signal.connect(receive, sender)
        assert signal.has_receivers_for(proxy)
        assert [receive] == list(signal.receivers_for(proxy))
        assert signal.explain(proxy).rows[0].runs
        signal.disconnect(receive, proxy)
        assert not signal.has_receivers_for(sender)

    def test_subscriptions_and_blocks_for_a_proxy(self, signal, sender, proxy):
        """``subscribe`` and ``connected_to`` use the object behind the proxy, not the proxy."""
        assert signal.subscribe(receive, proxy).sender is sender
        signal.disconnect(receive)
        with signal.connected_to(receive, proxy):
            assert [(receive, sender)] == signal.send(sender)

    def test_a_proxy_of_a_proxy(self, signal, sender, proxy):
        """The sender is the object behind the last proxy."""
        signal.connect(receive, LocalProxy(lambda: proxy))
        assert [(receive, sender)] == signal.send(sender)

    def test_a_proxy_for_a_value(self, signal):
        """A proxy for a str counts as the str."""
        signal.connect(receive, LocalProxy(lambda: "north"))
        assert [(receive, "north")] == signal.send("north")

    @pytest.mark.parametrize(
        "use",
        [
            lambda signal, proxy: signal.connect(receive, proxy),
            lambda signal, proxy: signal.subscribe(receive, proxy),
            lambda signal, proxy: signal.disconnect(receive, proxy),
            lambda signal, proxy: signal.send(proxy),
            lambda signal, proxy: signal.send_robust(proxy),
            lambda signal, proxy: signal.has_receivers_for(proxy),
            lambda signal, proxy: list(signal.receivers_for(proxy)),
            lambda signal, proxy: signal.explain(proxy),
        ],
        ids=[
            "connect",
            "subscribe",
            "disconnect",
            "send",
            "send_robust",
            "has_receivers_for",
            "receivers_for",
            "explain",
        ],
    )
    def test_an_unbound_proxy_raises_a_clear_error(self, signal, unbound, use):
        """The message names the proxy's type and the remedy, in every operation."""
        signal.connect(receive)
        with pytest.raises(UnboundSenderError, match=exactly(TEXT)) as raised:
            use(signal, unbound)
        assert isinstance(raised.value, RuntimeError)


class TestHelpersOfBlinker:
    def test_make_id(self):
        """A value is its own identifier. An object or a method is identified by ids."""
        recorder = Recorder()
        assert ("north", 7) == (make_id("north"), make_id(7))
        assert id(recorder) == make_id(recorder)
        assert (id(Recorder.__call__), id(recorder)) == make_id(recorder.__call__)

    def test_make_ref(self):
        """A reference to a method lives as long as the object, and then calls its callback."""
        recorder, dead = Recorder(), []
        method, plain = make_ref(recorder.__call__), make_ref(recorder, dead.append)
        assert isinstance(method, WeakMethod)
        assert (recorder.__call__, recorder) == (method(), plain())
        del recorder
        assert (None, [plain]) == (method(), dead)

    def test_any_id_is_zero(self):
        """``_by_sender`` lists the receivers of any sender under ``ANY_ID``."""
        assert 0 == ANY_ID
