"""The guide to signals in Flask's documentation, promise by promise, in its order.

The tests of the single core signals are in ``test_flask_api_*.py``, and the tests of
custom signals in ``test_flask_guide_own_signals.py``.
"""

import re
from contextlib import contextmanager
from threading import Thread

import blinker
import flask
import pytest
from flask import Response, template_rendered

import aldis
from aldis import NamedSignal, Namespace
from aldis.errors import StrictWarning

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
    """Flask's blinker is aldis here, so these tests run on the engine."""
    assert type(flask.template_rendered) is NamedSignal
    assert NamedSignal.__module__.startswith("aldis.")
    assert blinker.NamedSignal is NamedSignal


class TestWhatSignalsAre:
    def test_notify_subscribers_about_actions_elsewhere(self, app):
        """A subscriber is notified, and the sending code does not know the subscriber."""
        happened = []

        def subscriber(sender, **extra):
            happened.append(sender)

        flask.request_started.connect(subscriber, app)
        app.test_client().get("/")
        assert happened == [app]

    @pytest.mark.parametrize("name", CORE_SIGNALS)
    def test_come_with_flask(self, name):
        """aldis.flask has Flask's signals under the same names."""
        import aldis.flask

        assert isinstance(getattr(flask, name), NamedSignal)
        assert getattr(aldis.flask, name) is getattr(flask, name)

    def test_come_with_extensions_too(self):
        """An extension makes its signals with Flask's Namespace."""
        from flask.signals import Namespace as OfferedByFlask

        extension = OfferedByFlask()
        logged_in = extension.signal("logged-in", doc="Sent when a user logs in.")
        receiver = logged_in.connect(lambda sender, user: user, weak=False)
        assert logged_in.send("extension", user="john") == [(receiver, "john")]

    def test_do_not_encourage_to_modify_data(self):
        """Strict mode warns about a subscriber that changes its arguments, with the place."""
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
        """before_request ends a request early, unlike a signal."""
        app.before_request(lambda: Response("closed", 503))
        assert app.test_client().get("/").status_code == 503

    def test_a_receiver_that_returns_a_response_aborts_nothing(self, app):
        """The return value of a subscriber is not the response: the view runs."""

        def closed(sender, **extra):
            return Response("closed", 503)

        for name in ("request_started", "before_render_template", "request_finished"):
            getattr(flask, name).connect(closed, app)
        answer = app.test_client().get("/")
        assert (answer.status_code, answer.text) == (200, "10 items")

    def test_a_receiver_that_raises_ends_the_request(self, app):
        """An exception in a receiver ends the request, ``flask.abort`` included."""

        def closed(sender, **extra):
            flask.abort(503)

        flask.request_started.connect(closed, app)
        assert app.test_client().get("/").status_code == 503

    def test_receivers_run_in_connection_order(self, app):
        """Receivers run in connection order. The guide leaves the order undefined."""
        order = []
        receivers = [lambda sender, at=at, **extra: order.append(at) for at in range(40)]
        for at, receiver in enumerate(receivers):
            # Receivers for this application and receivers for any sender alternate.
            flask.request_started.connect(receiver, *([app] if at % 2 else []))
        app.test_client().get("/")
        assert order == list(range(40))


class TestTemporarySubscriptions:
    def test_last_for_the_split_of_a_second(self, app):
        """A subscription can last for a few lines, and nothing is left of it."""
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
        """Subscribing during requests breaks neither requests nor other subscriptions."""
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
        """The first argument of ``connect`` is called when the signal is sent."""
        calls = []

        def subscriber(sender, **extra):
            calls.append((sender, extra))

        flask.request_started.connect(subscriber)
        app.test_client().get("/")
        assert calls == [(app, {})]

    def test_connect_takes_an_optional_sender(self, app, other):
        """With a second argument, only the signals of that application are received."""
        senders = []

        def subscriber(sender, **extra):
            senders.append(sender)

        flask.request_started.connect(subscriber, app)
        other.test_client().get("/")
        app.test_client().get("/")
        assert senders == [app]

    def test_without_a_sender_every_application_counts(self, app, other):
        """Without a sender, a receiver gets the signals of all applications."""
        senders = []

        def subscriber(sender, **extra):
            senders.append(sender)

        flask.request_started.connect(subscriber)
        other.test_client().get("/")
        app.test_client().get("/")
        assert senders == [other, app]

    def test_disconnect_unsubscribes(self, app):
        """After ``disconnect``, the receiver is not called."""
        calls = []

        def subscriber(sender, **extra):
            calls.append(sender)

        flask.request_started.connect(subscriber, app)
        flask.request_started.disconnect(subscriber, app)
        app.test_client().get("/")
        assert calls == []

    def test_the_sender_of_every_core_signal_is_the_application(self, app):
        """The application sends all ten core signals, never a proxy."""
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
    """The helper in the guide, unchanged."""
    recorded = []

    def record(sender, template, context):
        recorded.append((template, context))

    template_rendered.connect(record, app)
    try:
        yield recorded
    finally:
        template_rendered.disconnect(record, app)


def captured_templates_into(app, recorded):
    """The other helper of that name in the guide, unchanged."""

    def record(sender, template, context):
        recorded.append((template, context))

    return template_rendered.connected_to(record, app)


class TestCapturedTemplates:
    def test_records_templates_and_variables(self, app):
        """The helper in the guide works with a test client."""
        with captured_templates(app) as templates:
            rv = app.test_client().get("/")
            assert rv.status_code == 200
            assert len(templates) == 1
            template, context = templates[0]
            assert template.name == "index.html"
            assert len(context["items"]) == 10

    def test_takes_the_list_to_append_to(self, app):
        """The other form is the context manager of connected_to and takes the list."""
        templates = []
        with captured_templates_into(app, templates):
            assert app.test_client().get("/").status_code == 200
            template, context = templates[0]
        assert template.name == "index.html"
        assert len(context["items"]) == 10

    def test_records_every_template_in_the_order_of_rendering(self, app):
        """Each template that is rendered in the block is appended with its context."""
        with captured_templates(app) as templates:
            client = app.test_client()
            client.get("/")
            client.get("/string")
        assert [template.name for template, _ in templates] == ["index.html", None]
        assert templates[1][1]["name"] == "john"

    def test_records_only_this_application(self, app, other):
        """Templates of another application are not in the list."""
        with captured_templates(app) as templates:
            other.test_client().get("/")
        assert templates == []

    def test_records_only_the_body_of_the_block(self, app):
        """Templates after the block are not in the list, even if the block raised."""
        templates = []

        def fail():
            raise LookupError

        with pytest.raises(LookupError), captured_templates_into(app, templates):
            fail()
        app.test_client().get("/")
        assert templates == []

    def test_connected_to_gives_nothing_back(self, app):
        """``with signal.connected_to(...) as value`` gives None."""
        with template_rendered.connected_to(lambda sender, **extra: None, app) as value:
            pass
        assert value is None
