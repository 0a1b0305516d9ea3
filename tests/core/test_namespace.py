"""Namespaces: signals by name, unknown names, and the findings of ``check``."""

import gc
import sys
from types import ModuleType

import pytest

import aldis
from aldis.errors import AldisError, UnknownNameError
from tests.core.support import Recorder, exactly, line_of


def receive(sender, **extra):
    """Receive anything."""


class TestSignals:
    def test_a_name_gives_one_signal(self, shop):
        """``signal`` returns one object for a name, and the namespace is a dict of its signals."""
        paid = shop.signal("paid")
        assert paid is shop.signal("paid")
        assert {"paid": paid} == shop
        assert isinstance(shop, dict)

    def test_a_signal_keeps_its_first_doc(self, shop):
        """A signal keeps its first doc, even if the doc is given after the signal was made."""
        shop.signal("paid")
        assert "Sent." == shop.signal("paid", doc="Sent.").__doc__
        assert "Sent." == shop.signal("paid", doc="Another.").__doc__

    def test_a_function_as_the_name_is_refused(self, shop):
        """``@shop.signal`` on a function raises an error that names ``define``."""
        text = (
            f"a signal's name is text, not receive ({line_of(receive)}); a function declares a "
            "signal as @namespace.define"
        )
        with pytest.raises(TypeError, match=exactly(text)):
            shop.signal(receive)
        assert {} == shop

    def test_two_namespaces_share_no_signal(self, shop):
        """Two namespaces have different signals for one name."""
        assert shop.signal("paid") is not aldis.Namespace().signal("paid")

    def test_the_default_namespace(self):
        """``aldis.signal`` uses the default namespace."""
        paid = aldis.signal("test-namespace")
        assert aldis.default_namespace["test-namespace"] is paid
        assert paid.namespace is aldis.default_namespace

    def test_namespaces_returns_the_living_namespaces(self):
        """``namespaces`` returns the living ones with the default namespace, oldest first."""
        first, second = aldis.Namespace(), aldis.Namespace()
        living = aldis.namespaces()
        assert [id(first), id(second)] == [id(each) for each in living[-2:]]
        assert any(each is aldis.default_namespace for each in living)
        del living, second
        gc.collect()
        assert first is aldis.namespaces()[-1]

    def test_repr(self, shop):
        """The ``repr`` shows the module and the names of the signals."""
        assert f"<Namespace {shop.__module__}.?: empty>" == repr(shop)
        shop.signal("paid")
        shop.signal("sent")
        assert repr(shop).endswith(".?: paid, sent>")
        assert repr(aldis.default_namespace).startswith(
            "<Namespace aldis.core.namespace.default_namespace:"
        )


class TestFind:
    def test_it_returns_an_existing_signal(self, shop):
        """``find`` returns the signal of the name."""
        assert shop.signal("paid") is shop.find("paid")

    @pytest.mark.parametrize(
        ("name", "hint"), [("order-payd", "; did you mean 'order-paid'?"), ("xyz", "")]
    )
    def test_it_never_makes_a_signal(self, shop, name, hint):
        """An unknown name raises an error with the closest known name, if a name is close."""
        shop.signal("order-paid")
        with pytest.raises(
            UnknownNameError, match=exactly(f"no signal is called {name!r}{hint}")
        ) as raised:
            shop.find(name)
        assert ["order-paid"] == list(shop)
        assert isinstance(raised.value, LookupError)
        assert isinstance(raised.value, AldisError)


class TestCheck:
    def test_a_correct_namespace_has_no_findings(self, shop):
        """Signals with a doc, with a contract or without receivers cause no finding."""
        shop.signal("paid", "Sent when paid.").connect(receive)
        shop.signal("unheard")

        @shop.define
        def shipped(sender, /) -> None: ...

        shipped.connect(receive)
        assert [] == shop.check()

    def test_a_name_close_to_a_declared_one_is_a_finding(self, shop):
        """A subscription to a misspelt name is found, with the name that was meant."""
        shop.signal("order-paid", "Sent when paid.")
        shop.signal("order-payed").connect(receive)
        [finding] = shop.check()
        text = (
            f"receive ({line_of(receive)}) listens to 'order-payed', which no code declares or has "
            "sent; did you mean 'order-paid'?"
        )
        assert aldis.core.Finding("order-payed", text, closest="order-paid") == finding
        assert f"finding: {text}" == str(finding)

    def test_an_unknown_name_without_a_close_one_is_a_remark(self, shop):
        """The sender may be an optional dependency that is not installed."""
        shop.signal("order-paid", "Sent when paid.")
        lamps, other = shop.signal("lamps-lit"), Recorder()
        lamps.connect(receive)
        lamps.connect(other, "north")
        [finding] = shop.check()
        text = (
            f"receive ({line_of(receive)}), Recorder object ({line_of(Recorder.__call__)}) listens "
            "to 'lamps-lit', which no code declares or has sent"
        )
        assert aldis.core.Finding("lamps-lit", text, remark=True) == finding
        assert f"remark: {text}" == str(finding)

    @pytest.mark.parametrize("send", ["send", "send_robust"])
    def test_a_signal_that_was_sent_is_known(self, shop, send):
        """A signal that was sent causes no finding."""
        shop.signal("order-paid", "Sent when paid.")
        payed = shop.signal("order-payed")
        payed.connect(receive, "north")
        getattr(payed, send)("south")
        assert [] == shop.check()

    def test_a_signal_is_known_if_the_sender_checked_for_receivers_first(self, shop):
        """A send after a check with ``has_receivers_for`` counts as sent."""
        shop.signal("order-paid", "Sent when paid.")
        payed = shop.signal("order-payed")
        payed.connect(receive)
        assert payed.has_receivers_for("south")
        payed.send("south")
        assert [] == shop.check()

    def test_a_receiver_that_does_not_fit_is_a_finding(self, shop):
        """Receivers of an advisory or late contract are checked."""

        def misfit(sender): ...

        shop.signal("order_paid").connect(misfit)
        with pytest.warns(aldis.errors.ContractWarning):

            @shop.define
            def order_paid(sender, /, *, order_id: int) -> None: ...

        [finding] = shop.check()
        assert ("order_paid", False) == (finding.signal, finding.remark)
        assert finding.problem.endswith("it does not take 'order_id'; add **extra")

    def test_a_signal_that_is_a_global_of_its_module_is_declared(self, monkeypatch):
        """The signals of Flask and its extensions have no doc, but are globals of a module."""
        module = ModuleType("lamps")
        monkeypatch.setitem(sys.modules, "lamps", module)
        exec(  # noqa: S102 - the test makes a module from source code
            "import aldis\nshop = aldis.Namespace()\norder_paid = shop.signal('order-paid')",
            vars(module),
        )
        module.order_paid.connect(receive)
        assert [] == module.shop.check()
        module.shop.signal("order-payed").connect(receive)
        assert ["order-paid"] == [each.closest for each in module.shop.check()]

    def test_a_weak_receiver_that_died_before_its_first_call_is_a_finding(self, shop):
        """Strict mode records the receiver's location. A check does not remove the record."""
        before = aldis.set_strict()
        try:
            shop.signal("paid", "Sent when paid.").connect(lambda sender: None)
            gc.collect()
        finally:
            aldis.set_strict(before)
        [finding] = shop.check()
        assert not finding.remark
        assert finding.problem.startswith("'paid' has lost a receiver: ")
        assert "a lambda, was connected weakly and died before it was ever" in finding.problem
        assert [finding] == shop.check()
