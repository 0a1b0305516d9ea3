"""The second half of Flask's guide: creating and sending signals, proxies, and the decorator."""

import gc

import flask
import pytest
from flask import current_app, render_template_string, template_rendered

from aldis import NamedSignal, Namespace
from aldis.errors import UnboundSenderError


class TestCreatingSignals:
    def test_a_namespace_of_blinker_makes_named_signals(self):
        """The recommended way to own signals, written for blinker, gives signals of aldis."""
        from blinker import Namespace as NamespaceOfBlinker

        my_signals = NamespaceOfBlinker()
        model_saved = my_signals.signal("model-saved")
        assert isinstance(model_saved, NamedSignal)

    def test_the_name_makes_a_signal_unique(self):
        """One name is one signal, however often it is asked for; another name is another."""
        my_signals = Namespace()
        assert my_signals.signal("model-saved") is my_signals.signal("model-saved")
        assert my_signals.signal("model-saved") is not my_signals.signal("model-deleted")

    def test_each_namespace_has_names_of_its_own(self):
        """The same name in two namespaces is two signals."""
        assert Namespace().signal("model-saved") is not Namespace().signal("model-saved")

    def test_the_name_can_be_read_and_helps_debugging(self):
        """The name is an attribute, and the signal shows it when it is printed."""
        model_saved = Namespace().signal("model-saved")
        assert model_saved.name == "model-saved"
        assert "'model-saved'" in repr(model_saved)


class TestSending:
    def test_takes_the_sender_and_forwards_keyword_arguments(self):
        """Send gives subscribers the sender first, and whatever keywords it was given."""
        model_saved = Namespace().signal("model-saved")
        got = []
        model_saved.connect(lambda *args, **kwargs: got.append((args, kwargs)), weak=False)
        model_saved.send("model")
        model_saved.send("model", key=7, fields=["name"])
        assert got == [(("model",), {}), (("model",), {"key": 7, "fields": ["name"]})]

    def test_a_class_passes_itself_as_sender(self):
        """The guide's model sends with self, and who listens to one model hears that one alone."""
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
        """A function without an object of its own sends as current_app's real object."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        model_saved.connect(saved.append, app, weak=False)
        with app.app_context():
            model_saved.send(current_app._get_current_object())
        assert saved == [app]


class TestProxiesAsSenders:
    """The guide says never to pass a proxy; here a proxy means the object that it stands for."""

    def test_sent_by_a_proxy_is_sent_by_the_application(self, app):
        """Receivers of the application hear what current_app sends, and are given the app."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        model_saved.connect(saved.append, app, weak=False)
        with app.app_context():
            model_saved.send(current_app)
        assert [type(sender) for sender in saved] == [flask.Flask]
        assert saved[0] is app

    def test_connected_for_a_proxy_is_connected_for_the_application(self, app, other):
        """Connecting for current_app subscribes to the application of that moment only."""
        model_saved = Namespace().signal("model-saved")
        saved = []
        with app.app_context():
            model_saved.connect(saved.append, current_app, weak=False)
        model_saved.send(other)
        model_saved.send(app)
        assert saved == [app]

    def test_disconnected_for_a_proxy_is_disconnected_for_the_application(self, app):
        """Disconnecting for current_app undoes what was connected for the application."""
        model_saved = Namespace().signal("model-saved")

        def receiver(sender):
            raise AssertionError

        model_saved.connect(receiver, app)
        with app.app_context():
            model_saved.disconnect(receiver, current_app)
        assert model_saved.send(app) == []

    @pytest.mark.parametrize("operation", ["connect", "disconnect", "send"])
    def test_unbound_is_a_clear_error(self, operation):
        """A proxy that stands for nothing is refused by name, with what to do instead."""
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
        """The guide's example prints what this application renders (print is a function now)."""

        @template_rendered.connect_via(app)
        def when_template_rendered(sender, template, context):
            print(f"Template {template.name} is rendered with {context['items']}")  # noqa: T201

        other.test_client().get("/")
        app.test_client().get("/")
        expected = f"Template index.html is rendered with {list(range(10))}\n"
        assert capsys.readouterr().out == expected
        assert callable(when_template_rendered)

    def test_connect_via_keeps_the_function_connected(self, app):
        """A function that nothing else refers to stays subscribed: the decorator holds it."""
        seen = []

        @template_rendered.connect_via(app)
        def remember(sender, template, context):
            seen.append(template.name)

        del remember
        gc.collect()
        app.test_client().get("/")
        assert seen == ["index.html"]

    def test_connect_with_a_sender_decorates_too(self, app, other):
        """Connect given only a sender is a decorator for it; with blinker it raises TypeError."""

        @template_rendered.connect(sender=app)
        def count(sender, **extra):
            seen.append(sender)

        seen = []
        for each in (other, app):
            with each.app_context():
                render_template_string("x")
        assert seen == [app]
        assert callable(count)
