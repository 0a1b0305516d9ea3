"""The section on signals in Flask's API reference: the module ``signals``.

``test_flask_api_requests.py`` and ``test_flask_api_contexts.py`` test the signals.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import blinker
import pytest

import aldis
import aldis.signals
from tests.fresh import run


@pytest.fixture
def signals_without_engine(monkeypatch):
    """Return the module ``signals`` as it is without the engine."""
    monkeypatch.setitem(sys.modules, "aldis.core.namespace", None)
    spec = spec_from_file_location("aldis.signals", aldis.signals.__file__)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake(signals_without_engine):
    """Return a signal that was made without the engine."""
    return signals_without_engine.Namespace().signal("model-saved", doc="Sent after saving.")


class TestModule:
    def test_is_found_in_aldis_and_in_aldis_flask(self):
        """The module ``signals`` is imported from aldis, or from aldis.flask as from Flask."""
        from aldis import signals
        from aldis.flask import signals as signals_of_flask

        assert signals_of_flask is signals

    def test_its_names_are_in_aldis_flask_too(self):
        """The names of the module can be imported from aldis.flask directly."""
        from aldis.flask import Namespace, signals, signals_available

        assert Namespace is signals.Namespace
        assert signals_available is signals.signals_available


class TestSignalsAvailable:
    def test_is_true_when_the_engine_is_installed(self):
        """With the engine, ``signals_available`` is true."""
        assert aldis.signals.signals_available is True

    def test_is_false_without_the_engine(self, signals_without_engine):
        """Without the engine, the module can be imported, and ``signals_available`` is false."""
        assert signals_without_engine.signals_available is False


class TestNamespace:
    def test_is_the_engines(self):
        """With the engine, the name is an alias of the engine's Namespace."""
        assert aldis.signals.Namespace is aldis.Namespace
        assert aldis.signals.Namespace is blinker.Namespace

    def test_makes_signals_that_work(self):
        """A signal made by it can be connected to and sent."""
        saved = aldis.signals.Namespace().signal("model-saved")
        receiver = saved.connect(lambda sender: "heard", weak=False)
        assert saved.send("model") == [(receiver, "heard")]

    def test_takes_a_doc(self):
        """The second argument is the doc of the signal. It is optional."""
        saved = aldis.signals.Namespace().signal("model-saved", "Sent after saving.")
        assert saved.__doc__ == "Sent after saving."
        assert aldis.signals.Namespace().signal("model-saved").name == "model-saved"


class TestNamespaceWithoutTheEngine:
    def test_makes_fake_signals(self, signals_without_engine, fake):
        """Without the engine, another class makes fake signals with a name and a doc."""
        assert signals_without_engine.Namespace is not aldis.Namespace
        assert not isinstance(fake, aldis.Signal)
        assert (fake.name, fake.__doc__) == ("model-saved", "Sent after saving.")

    def test_takes_no_doc_either(self, signals_without_engine):
        """The doc is optional here, too."""
        assert signals_without_engine.Namespace().signal("model-saved").__doc__ is None

    @pytest.mark.parametrize("arguments", [(), ("model",)], ids=["nobody", "sender"])
    def test_a_fake_signals_send_does_nothing(self, fake, arguments):
        """A fake signal accepts a send with any arguments and returns None."""
        assert fake.send(*arguments) is None
        assert fake.send(*arguments, key=7, sender="keyword", self="keyword") is None

    def test_a_fake_signal_cannot_be_connected_to(self, fake):
        """``connect`` raises a RuntimeError that names the signal and the reason."""
        with pytest.raises(RuntimeError, match=r"'model-saved' is a fake.*engine is not available"):
            fake.connect(print)

    @pytest.mark.parametrize(
        "operation",
        [
            name
            for name in dir(aldis.NamedSignal)
            if not name.startswith("_")
            and callable(getattr(aldis.NamedSignal, name))
            and name not in ("send", "set_class")
        ],
    )
    def test_every_other_operation_fails(self, fake, operation):
        """Every other operation on a fake signal raises a RuntimeError."""
        with pytest.raises(RuntimeError):
            getattr(fake, operation)(print)

    @pytest.mark.parametrize("attribute", ["receivers", "is_muted", "receiver_connected"])
    def test_looking_at_subscriptions_fails(self, fake, attribute):
        """The receivers of a fake signal raise a RuntimeError."""
        with pytest.raises(RuntimeError):
            getattr(fake, attribute)

    def test_an_extension_degrades_gracefully(self):
        """An extension that uses this Namespace can be imported and can send."""
        printed = run(
            """
            import sys

            import aldis

            sys.modules["aldis.core.namespace"] = None

            from aldis.flask import Namespace, request_started, signals_available
            from flask import Flask

            saved = Namespace().signal("model-saved")
            app = Flask("shop")
            app.add_url_rule("/", view_func=lambda: str(saved.send("model")))
            heard = []
            request_started.connect(heard.append, app, weak=False)
            print(app.test_client().get("/").get_data(as_text=True), signals_available)
            print(type(request_started).__module__, heard == [app])
            """
        )
        assert printed == "None False\nblinker.base True\n"
