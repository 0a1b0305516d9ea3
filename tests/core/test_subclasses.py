"""``subclasses=True`` lets a class as sender stand for its subclasses, too."""

import abc
import gc
from weakref import ref

import pytest

import aldis
from aldis.errors import ContractError, StrictWarning
from aldis.testing import assert_wired, record, restored_subscriptions
from tests.core.support import Recorder


class Model:
    """Is the base."""


class Order(Model):
    """Is a subclass."""


class Express(Order):
    """Is a subclass of the subclass."""


class Other:
    """Is not related."""


def receive(sender, **extra):
    """Receive."""
    return sender


def other(sender, **extra):
    """Receive."""
    return "other"


def reached(signal, *senders):
    """Return the senders whose sends reach a receiver."""
    return [each for each in senders if signal.send(each)]


class TestMatching:
    def test_a_class_and_its_subclasses(self, signal):
        """No other class and no instance matches."""
        signal.connect(receive, Order, subclasses=True)
        everything = (Model, Order, Express, Other, Order(), "Order", None)
        assert [Order, Express] == reached(signal, *everything)
        assert [Order, Express] == reached(signal, *everything)

    def test_without_the_option(self, signal):
        """As on blinker, only the class itself matches."""
        signal.connect(receive, Order)
        assert [Order] == reached(signal, Model, Order, Express)

    def test_the_order_of_all_receivers(self, signal):
        """Connections for any sender, one class and a base share one order."""
        heard = []
        for number, options in enumerate([{}, {"sender": Express}, {"sender": Model}, {}]):
            signal.connect(
                lambda sender, number=number, **extra: heard.append(number),
                weak=False,
                subclasses=options.get("sender") is Model,
                **options,
            )
        signal.send(Express)
        signal.send(Other)
        assert [0, 1, 2, 3, 0, 3] == heard

    def test_a_receiver_is_called_once(self, signal):
        """One receiver may be connected for a class and its base."""
        signal.connect(receive, Model, subclasses=True)
        signal.connect(receive, Order, subclasses=True)
        signal.connect(receive, Express)
        signal.connect(receive)
        assert [(receive, Express)] == signal.send(Express)
        assert 1 == len(signal.send_robust(Express))

    async def test_async(self, signal):
        """Async sends match as sync sends do."""
        signal.connect(receive, Model, subclasses=True)
        assert [(receive, Express)] == await signal.asend(Express)
        assert 1 == len(await signal.asend_robust(Express))
        assert [] == await signal.asend(Other)

    def test_a_class_that_is_made_later(self, signal):
        """It matches, also after the first send."""
        signal.connect(receive, Model, subclasses=True)
        signal.send(Order)
        assert signal.send(type("Later", (Order,), {}))

    def test_a_class_that_changes_its_bases(self, signal):
        """The bases at the send count."""

        class Changing(Other):
            pass

        signal.connect(receive, Model, subclasses=True)
        assert [] == signal.send(Changing)
        Changing.__bases__ = (Model,)
        assert signal.send(Changing)

    def test_a_virtual_subclass_does_not_match(self, signal):
        """The real bases count, so a send calls no code of a metaclass."""
        base = abc.ABCMeta("Base", (), {})

        base.register(Other)
        signal.connect(receive, base, subclasses=True)
        assert [] == signal.send(Other)

    def test_a_metaclass_that_lies(self, signal):
        """A send does not ask the metaclass."""

        class Meta(type):
            def mro(cls):
                return super().mro()

            def __subclasscheck__(cls, subclass):
                raise AssertionError

            def __instancecheck__(cls, instance):
                raise AssertionError

        base = Meta("base", (), {})
        signal.connect(receive, base, subclasses=True)
        assert signal.send(Meta("derived", (base,), {}))

    def test_with_a_uid_and_several_classes(self, signal):
        """The options work together."""
        signal.connect(receive, senders=[Order, Other], subclasses=True, dispatch_uid="x")
        signal.connect(other, senders=[Order, Other], subclasses=True, dispatch_uid="x")
        assert [(other, "other")] == signal.send(Express)
        assert [(other, "other")] == signal.send(Other)

    def test_the_class_alone_is_another_connection(self, signal):
        """A uid for the class does not replace the one for its subclasses."""
        signal.connect(receive, Order, subclasses=True, dispatch_uid="x")
        signal.connect(other, Order, dispatch_uid="x")
        assert [(receive, Order), (other, "other")] == signal.send(Order)
        signal.disconnect(sender=Order, dispatch_uid="x")
        assert not signal.receivers


class TestEnding:
    def test_disconnecting(self, signal):
        """``disconnect`` for the class undoes both kinds of connection."""
        signal.connect(receive, Order, subclasses=True)
        signal.connect(receive, Order)
        signal.disconnect(receive, Order)
        assert [] == reached(signal, Order, Express)
        assert not signal.receivers

    def test_a_block_and_a_handle(self, signal):
        """``connected_to`` and ``subscribe`` undo exactly their connection."""
        signal.connect(receive, Order)
        with signal.connected_to(receive, Order, subclasses=True):
            assert [Order, Express] == reached(signal, Order, Express)
        handle = signal.subscribe(receive, Order, subclasses=True)
        assert (Order, True) == (handle.sender, handle.active)
        assert "and its subclasses" in repr(handle)
        handle.cancel()
        assert [Order] == reached(signal, Order, Express)

    def test_connect_via(self, signal):
        """The decorator takes the option."""
        signal.connect_via(Order, subclasses=True)(receive)
        assert [Order, Express] == reached(signal, Model, Order, Express)

    def test_the_class_is_held_weakly(self, signal):
        """A class that dies takes its connections with it."""
        base = type("Base", (), {})
        signal.connect(receive, base, subclasses=True)
        signal.send(base)
        gone = ref(base)
        del base
        gc.collect()
        assert gone() is None
        assert [] == signal.send(Order)
        assert not signal._registry.bases
        assert not signal.receivers

    def test_the_fast_path_comes_back(self, signal):
        """After the last such connection, the call loop walks the links itself again."""
        signal.connect(other)
        signal.connect(receive, Order, subclasses=True)
        signal.send(Order)
        assert signal._routes.everyone is None
        signal.disconnect(receive)
        signal.send(Order)
        signal.send(Order)
        assert signal._routes.everyone is not None


class TestLooking:
    def test_who_would_be_called(self, signal):
        """``has_receivers_for`` and ``receivers_for`` know the bases."""
        signal.connect(receive, Model, subclasses=True)
        assert [True, False] == [signal.has_receivers_for(each) for each in (Express, Other)]
        assert [receive] == list(signal.receivers_for(Express))
        assert [] == list(signal.receivers_for(Other))
        assert not signal.has_receivers_for(aldis.ANY)

    def test_explain(self, signal):
        """The row names the subclasses, and the reason for another sender does, too."""
        signal.connect(receive, Model, subclasses=True)
        [row] = signal.explain(Express).rows
        assert ("<type 'Model'> and its subclasses", None) == (row.sender, row.obstacle)
        [row] = signal.explain(Other).rows
        assert "it listens to <type 'Model'> and its subclasses only" == row.obstacle

    def test_testing(self, signal):
        """Recording, asserting, muting and isolation see such connections."""
        signal.connect(receive, Model, subclasses=True)
        assert_wired(signal, receive, Express)
        with signal.muted():
            assert [] == signal.send(Express)
        with restored_subscriptions():
            signal.disconnect(receive)
        assert [Express] == reached(signal, Express, Other)
        with record(signal) as sends:
            signal.send(Express)
        assert 1 == len(sends)

    def test_a_table_that_is_emptied_and_put_back(self, signal):
        """``signal.receivers`` remembers that the class stood for its subclasses."""
        signal.connect(receive, Model, subclasses=True)
        saved = signal.receivers.copy()
        signal.receivers.clear()
        signal.receivers.update(saved)
        assert [Express] == reached(signal, Express, Other)


class TestErrors:
    @pytest.mark.parametrize("sender", [Order(), "Order", 7, None, aldis.ANY])
    def test_not_a_class(self, signal, sender):
        """Instances and ANY have no subclasses."""
        with pytest.raises(TypeError, match="subclasses=True needs a class as sender"):
            signal.connect(receive, sender, subclasses=True)
        assert not signal.receivers

    def test_a_contract_for_instances(self, shop):
        """No class is a sender of such a signal."""

        @shop.define
        def paid(sender: Order, /) -> None:
            """Sent."""

        with pytest.raises(ContractError, match="would never be called"):
            paid.connect(receive, Order, subclasses=True)

    def test_a_contract_for_classes(self, shop):
        """A base of the declared class fits, because its subclasses may be sent."""

        @shop.define
        def saved(sender: type[Order], /) -> None:
            """Sent."""

        saved.connect(receive, Model, subclasses=True)
        aldis.set_strict(True)
        assert [(receive, Express)] == saved.send(Express)
        with pytest.warns(StrictWarning, match="not of type"):
            saved.send(Model)

    def test_a_contract_that_comes_later(self, shop):
        """``check`` reports the connection."""
        shop.signal("paid").connect(receive, Order, subclasses=True)
        with pytest.warns(aldis.errors.ContractWarning, match="would never be called"):

            @shop.define
            def paid(sender: Order, /) -> None:
                """Sent."""

        assert any("would never be called" in str(each) for each in shop.check())


def test_observers_see_such_a_send(signal):
    """A recorded send has the class as sender."""
    heard = Recorder()
    signal.connect(heard, Model, subclasses=True)
    signal.send(Express, order_id=7)
    assert [Express] == heard.senders
