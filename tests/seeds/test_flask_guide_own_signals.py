"""The second half of Flask's guide: creating and sending signals, proxies, and the decorator."""

import gc

import flask
import pytest
from flask import current_app, render_template_string, template_rendered

from aldis import NamedSignal, Namespace
from aldis.errors import UnboundSenderError


class TestCreatingSignals:
    def test_a_namespace_of_blinker_makes_named_signals(self):
        """The recommended way to make signals, written for blinker, gives signals of aldis."""
        from blinker import Namespace as NamespaceOfBlinker

        my_signals = NamespaceOfBlinker()
        model_saved = my_signals.signal("model-saved")
        assert isinstance(model_saved, NamedSignal)

    def test_the_name_makes_a_signal_unique(self):
        """One name gives the same signal each time. Another name gives another signal."""
        my_signals = Namespace()
        assert my_signals.signal("model-saved") is my_signals.signal("model-saved")
        assert my_signals.signal("model-saved") is not my_signals.signal("model-deleted")

    def test_each_namespace_has_its_own_names(self):
        """The same name in two namespaces gives two signals."""
        assert Namespace().signal("model-saved") is not Namespace().signal("model-saved")

    def test_the_name_can_be_read_and_helps_debugging(self):
        """The name is an attribute, and the repr of the signal shows it."""
        model_saved = Namespace().signal("model-saved")
        assert model_saved.name == "model-saved"
        assert "'model-saved'" in repr(model_saved)


class TestSending:
    def test_takes_the_sender_and_forwards_keyword_arguments(self):
        """``send`` passes the sender and its keyword arguments to the subscribers."""
        model_saved = Namespace().signal("model-saved")
        got = []
        model_saved.connect(lambda *args, **kwargs: got.append((args, kwargs)), weak=False)
        model_saved.send("model")
        model_saved.send("model", key=7, fields=["name"])
        assert got == [(("model",), {}), (("model",), {"key": 7, "fields": ["name"]})]

    def test_a_class_passes_itself_as_sender(self):
        """The model in the guide sends with ``self``.

        A receiver for one model gets only its sends.
        """
        model_saved = Namespace().signal("model-saved")

        class Model:
            def save(self):
                model_saved.send(self)

        mine, another = Model(), Model()
        saved = []
        receiver = saved.append
        model_saved.connect(receiver, mine, weak=False)
        another.save()
        mine.save()
        assert saved == [mine]

    def test_a_function_passes_the_current_application(self, app):
        """A function sends with the object behind ``current_app``."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        model_saved.connect(saved.append, app, weak=False)
        with app.app_context():
            model_saved.send(current_app._get_current_object())
        assert saved == [app]


class TestProxiesAsSenders:
    """In the guide, a proxy must not be a sender. Here, a proxy stands for its object."""

    def test_sent_by_a_proxy_is_sent_by_the_application(self, app):
        """Receivers for the application get sends by ``current_app``, with the app as sender."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        model_saved.connect(saved.append, app, weak=False)
        with app.app_context():
            model_saved.send(current_app)
        assert [type(sender) for sender in saved] == [flask.Flask]
        assert saved[0] is app

    def test_connected_for_a_proxy_is_connected_for_the_application(self, app, other):
        """A connection for ``current_app`` is a connection for the app of that moment."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        with app.app_context():
            model_saved.connect(saved.append, current_app, weak=False)
        model_saved.send(other)
        model_saved.send(app)
        assert saved == [app]

    def test_disconnected_for_a_proxy_is_disconnected_for_the_application(self, app):
        """Disconnecting for ``current_app`` disconnects the receiver of the application."""
        model_saved = Namespace().signal("model-saved")

        def receiver(sender):
            raise AssertionError

        model_saved.connect(receiver, app)
        with app.app_context():
            model_saved.disconnect(receiver, current_app)
        assert model_saved.send(app) == []

    @pytest.mark.parametrize("operation", ["connect", "disconnect", "send"])
    def test_unbound_is_a_clear_error(self, operation):
        """The error for a proxy without an object names the proxy and the remedy."""
        model_saved = Namespace().signal("model-saved")

        def receiver(sender):
            raise AssertionError

        act = getattr(model_saved, operation)
        arguments = [current_app] if operation == "send" else [receiver, current_app]
        with pytest.raises(
            UnboundSenderError, match=r"LocalProxy that stands for no object here; use it while"
        ):
            act(*arguments)
        assert not model_saved.receivers


class TestDecorator:
    def test_connect_via_subscribes_the_function_below_it(self, app, other, capsys):
        """The example in the guide prints the templates of this application."""

        @template_rendered.connect_via(app)
        def when_template_rendered(sender, template, context):
            print(f"Template {template.name} is rendered with {context['items']}")  # noqa: T201

        other.test_client().get("/")
        app.test_client().get("/")
        expected = f"Template index.html is rendered with {list(range(10))}\n"
        assert capsys.readouterr().out == expected
        assert callable(when_template_rendered)

    def test_connect_via_keeps_the_function_connected(self, app):
        """The decorator keeps a function alive that has no other reference."""
        seen = []

        @template_rendered.connect_via(app)
        def remember(sender, template, context):
            seen.append(template.name)

        del remember
        gc.collect()
        app.test_client().get("/")
        assert seen == ["index.html"]

    def test_connect_with_a_sender_decorates_too(self, app, other):
        """``connect`` with only a sender is a decorator. In blinker, it raises a TypeError."""

        @template_rendered.connect(sender=app)
        def count(sender, **extra):
            seen.append(sender)

        seen = []
        for each in (other, app):
            with each.app_context():
                render_template_string("x")
        assert seen == [app]
        assert callable(count)
