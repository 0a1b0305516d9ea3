"""The guide to signals in Flask's documentation, promise by promise, in its order.

What the guide says of the single core signals is in ``test_flask_core_signals.py``.
"""

import gc
import re
from contextlib import contextmanager
from threading import Thread

import blinker
import flask
import pytest
from flask import Response, current_app, render_template_string, template_rendered

import aldis
from aldis import NamedSignal, Namespace
from aldis.errors import StrictWarning, UnboundSenderError

CORE_SIGNALS = [
    "template_rendered",
    "before_render_template",
    "request_started",
    "request_finished",
    "got_request_exception",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_pushed",
    "appcontext_popped",
    "message_flashed",
]


def test_flask_here_runs_on_aldis():
    """What Flask calls blinker is aldis, so every test of these pages is one of the engine."""
    assert type(flask.template_rendered) is NamedSignal
    assert NamedSignal.__module__.startswith("aldis.")
    assert blinker.NamedSignal is NamedSignal


class TestWhatSignalsAre:
    def test_tell_subscribers_what_happened_elsewhere(self, app):
        """A subscriber learns of what Flask did without the code that did it knowing of it."""
        happened = []

        def subscriber(sender, **extra):
            happened.append(sender)

        flask.request_started.connect(subscriber, app)
        app.test_client().get("/")
        assert happened == [app]

    @pytest.mark.parametrize("name", CORE_SIGNALS)
    def test_come_with_flask(self, name):
        """Flask brings its signals along, and aldis.flask gives the same under the same names."""
        import aldis.flask

        assert isinstance(getattr(flask, name), NamedSignal)
        assert getattr(aldis.flask, name) is getattr(flask, name)

    def test_come_with_extensions_too(self):
        """An extension makes signals of its own with the Namespace that Flask offers it."""
        from flask.signals import Namespace as OfferedByFlask

        extension = OfferedByFlask()
        logged_in = extension.signal("logged-in", doc="Sent when somebody logs in.")
        receiver = logged_in.connect(lambda sender, user: user, weak=False)
        assert logged_in.send("extension", user="john") == [(receiver, "john")]

    def test_do_not_encourage_to_modify_data(self):
        """Strict mode says where, when a subscriber changes what it was only told of."""
        shop = Namespace()

        @shop.define
        def cart_shown(sender: object, /, *, items: list[str]) -> None: ...

        def meddle(sender, *, items):
            items.append("something else")

        cart_shown.connect(meddle)
        before = aldis.set_strict(enabled=True)
        try:
            with pytest.warns(StrictWarning, match=rf"meddle \({re.escape(__file__)}:\d+\)"):
                cart_shown.send(None, items=["lamp"])
        finally:
            aldis.set_strict(before)


class TestHowSignalsDifferFromDecorators:
    def test_before_request_may_abort_with_a_response(self, app):
        """The builtin decorator ends a request early: what signals are compared with."""
        app.before_request(lambda: Response("closed", 503))
        assert app.test_client().get("/").status_code == 503

    def test_a_receiver_that_returns_a_response_aborts_nothing(self, app):
        """What a subscriber returns is not the response: the view runs and answers."""

        def closed(sender, **extra):
            return Response("closed", 503)

        for name in ("request_started", "before_render_template", "request_finished"):
            getattr(flask, name).connect(closed, app)
        answer = app.test_client().get("/")
        assert (answer.status_code, answer.text) == (200, "10 items")

    def test_receivers_run_in_connection_order(self, app):
        """Where the guide leaves the order undefined it is that of connecting, for all alike."""
        order = []
        receivers = [lambda sender, at=at, **extra: order.append(at) for at in range(40)]
        for at, receiver in enumerate(receivers):
            # Those for this application and those for any are interleaved.
            flask.request_started.connect(receiver, *([app] if at % 2 else []))
        app.test_client().get("/")
        assert order == list(range(40))


class TestTemporarySubscriptions:
    def test_last_for_the_split_of_a_second(self, app):
        """A subscription can be made for a few lines, and nothing of it stays behind."""
        heard = []

        def record(sender, **extra):
            heard.append(extra["template"].name)

        client = app.test_client()
        client.get("/")
        with template_rendered.connected_to(record, app):
            client.get("/")
        client.get("/")
        assert heard == ["index.html"]
        assert not template_rendered.has_receivers_for(app)

    def test_are_safe_while_requests_are_served(self, app):
        """Subscribing and leaving meanwhile neither breaks requests nor others' subscriptions."""
        counted = []
        failures = []

        def count(sender, **extra):
            counted.append(sender)

        def serve():
            try:
                for _ in range(40):
                    assert app.test_client().get("/").status_code == 200
            except BaseException as error:  # noqa: BLE001 - it is reported below
                failures.append(error)

        template_rendered.connect(count, app)
        threads = [Thread(target=serve) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            with template_rendered.connected_to(lambda sender, **extra: None, app):
                pass
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(counted) == 80
        assert list(template_rendered.receivers_for(app)) == [count]


class TestSubscribing:
    def test_connect_takes_the_function_to_call(self, app):
        """The first argument of connect is called when the signal is emitted."""
        calls = []

        def subscriber(sender, **extra):
            calls.append((sender, extra))

        flask.request_started.connect(subscriber)
        app.test_client().get("/")
        assert calls == [(app, {})]

    def test_connect_takes_an_optional_sender(self, app, other):
        """With a second argument, only that application's signals are heard."""
        senders = []

        def subscriber(sender, **extra):
            senders.append(sender)

        flask.request_started.connect(subscriber, app)
        other.test_client().get("/")
        app.test_client().get("/")
        assert senders == [app]

    def test_without_a_sender_every_application_is_heard(self, app, other):
        """Who gives no sender listens to all applications of the process."""
        senders = []

        def subscriber(sender, **extra):
            senders.append(sender)

        flask.request_started.connect(subscriber)
        other.test_client().get("/")
        app.test_client().get("/")
        assert senders == [other, app]

    def test_disconnect_unsubscribes(self, app):
        """After disconnect nothing is heard any more."""
        calls = []

        def subscriber(sender, **extra):
            calls.append(sender)

        flask.request_started.connect(subscriber, app)
        flask.request_started.disconnect(subscriber, app)
        app.test_client().get("/")
        assert calls == []

    def test_the_sender_of_every_core_signal_is_the_application(self, app):
        """All ten core signals are sent by the application itself, never by a proxy for it."""
        senders = {}

        def subscriber_to(name):
            def subscriber(sender, **extra):
                senders[name] = sender

            getattr(flask, name).connect(subscriber, app)
            return subscriber

        kept = [subscriber_to(name) for name in CORE_SIGNALS]
        client = app.test_client()
        for path in ("/", "/flash", "/fail"):
            client.get(path)
        assert len(kept) == 10
        assert senders.keys() == set(CORE_SIGNALS)
        assert all(sender is app for sender in senders.values())


@contextmanager
def captured_templates(app):
    """The guide's helper, as it stands there."""
    recorded = []

    def record(sender, template, context):
        recorded.append((template, context))

    template_rendered.connect(record, app)
    try:
        yield recorded
    finally:
        template_rendered.disconnect(record, app)


def captured_templates_into(app, recorded):
    """The guide's other helper of that name, as it stands there."""

    def record(sender, template, context):
        recorded.append((template, context))

    return template_rendered.connected_to(record, app)


class TestCapturedTemplates:
    def test_tells_what_was_rendered_with_which_variables(self, app):
        """The guide's helper pairs with a test client, as in the guide's example."""
        with captured_templates(app) as templates:
            rv = app.test_client().get("/")
            assert rv.status_code == 200
            assert len(templates) == 1
            template, context = templates[0]
            assert template.name == "index.html"
            assert len(context["items"]) == 10

    def test_takes_the_list_to_append_to(self, app):
        """The guide's other form is the context manager of connected_to, and is passed the list."""
        templates = []
        with captured_templates_into(app, templates):
            assert app.test_client().get("/").status_code == 200
            template, context = templates[0]
        assert template.name == "index.html"
        assert len(context["items"]) == 10

    def test_records_every_template_in_the_order_of_rendering(self, app):
        """Whenever a template is rendered in the block, it is appended with its context."""
        with captured_templates(app) as templates:
            client = app.test_client()
            client.get("/")
            client.get("/string")
        assert [template.name for template, _ in templates] == ["index.html", None]
        assert templates[1][1]["name"] == "john"

    def test_records_only_this_application(self, app, other):
        """What another application renders meanwhile is not in the list."""
        with captured_templates(app) as templates:
            other.test_client().get("/")
        assert templates == []

    def test_records_only_the_body_of_the_block(self, app):
        """What is rendered after the block is not in the list, even if the block failed."""
        templates = []

        def fail():
            raise LookupError

        with pytest.raises(LookupError), captured_templates_into(app, templates):
            fail()
        app.test_client().get("/")
        assert templates == []

    def test_connected_to_gives_nothing_back(self, app):
        """The value of connected_to in ``with … as`` cannot be chosen: it is None."""
        with template_rendered.connected_to(lambda sender, **extra: None, app) as value:
            pass
        assert value is None


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
