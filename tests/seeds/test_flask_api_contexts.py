"""Flask's core signals at the start and the end of a context, and message_flashed.

The time, the sender and the payload of each. The last class has the order in one request.
"""

import sqlite3
from contextlib import contextmanager

import flask
import pytest
from flask import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    g,
    has_app_context,
    has_request_context,
    message_flashed,
    request,
    request_finished,
    request_started,
    request_tearing_down,
)

import aldis.flask  # noqa: F401 - with it, the teardown signals reach every receiver
from tests.seeds.recording import recorded

TEARDOWNS = [request_tearing_down, appcontext_tearing_down]


@pytest.mark.parametrize("signal", TEARDOWNS, ids=lambda signal: signal.name)
class TestTearingDown:
    def test_is_sent_at_the_end_of_a_request(self, app, signal):
        """Each request ends with the signal. Without an exception, ``exc`` is None."""
        with recorded(signal, app) as calls:
            app.test_client().get("/")
        assert calls == [(app, {"exc": None})]

    def test_is_sent_although_the_request_failed(self, app, signal):
        """A failed request sends the signal, with the exception as ``exc``."""
        with recorded(signal, app) as calls:
            assert app.test_client().get("/fail").status_code == 500
        [(sender, arguments)] = calls
        assert sender is app
        assert arguments.keys() == {"exc"}
        assert type(arguments["exc"]) is LookupError

    def test_is_sent_although_the_exception_propagates(self, app, signal):
        """The signal is also sent if the exception reaches the server."""
        app.testing = True
        with recorded(signal, app) as calls, pytest.raises(LookupError) as raised:
            app.test_client().get("/fail")
        assert calls == [(app, {"exc": raised.value})]

    def test_reaches_every_receiver_although_one_raises(self, app, signal, caplog):
        """After a receiver that raises, the others run. Then the error is raised."""
        order = []
        error = RuntimeError("the first cannot")

        def failing(sender, **extra):
            order.append("failing")
            raise error

        def closing(sender, **extra):
            order.append("closing")

        signal.connect(failing, app)
        signal.connect(closing, app)
        with pytest.raises(RuntimeError) as raised:
            app.test_client().get("/")
        assert raised.value is error
        assert order == ["failing", "closing"]
        assert [record.exc_info[1] for record in caplog.records if record.name == "aldis"] == [
            error
        ]

    def test_raises_the_first_error_and_logs_the_others_too(self, app, signal, caplog):
        """Of several errors, the first is raised and the others are logged."""
        errors = [LookupError("first"), ValueError("second")]

        def failing(error):
            def receiver(sender, **extra):
                raise error

            return receiver

        receivers = [failing(error) for error in errors]
        for receiver in receivers:
            signal.connect(receiver, app)
        with pytest.raises(LookupError, match="first"):
            app.test_client().get("/")
        logged = [record.exc_info[1] for record in caplog.records if record.name == "aldis"]
        assert logged == errors

    def test_comes_after_the_teardown_handlers(self, app, signal):
        """The signal is sent after the teardown handlers."""
        order = []

        def receiver(sender, **extra):
            order.append("signal")

        signal.connect(receiver, app)
        app.teardown_request(lambda error: order.append("handler"))
        app.teardown_appcontext(lambda error: order.append("handler"))
        app.test_client().get("/")
        assert order[order.index("signal") - 1] == "handler"
        assert order.count("signal") == 1

    def test_example_of_the_reference(self, app, signal):
        """The subscriber in the reference closes a session after each request."""
        session = sqlite3.connect(":memory:")

        def close_db_connection(sender, **extra):
            session.close()

        signal.connect(close_db_connection, app)
        app.test_client().get("/fail")
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            session.execute("select 1")


class TestRequestTearingDown:
    def test_is_sent_with_the_request_still_bound(self, app):
        """A subscriber can still read the request."""
        paths = []

        def receiver(sender, **extra):
            paths.append(request.path)

        request_tearing_down.connect(receiver, app)
        app.test_client().get("/")
        assert paths == ["/"]

    def test_after_a_failing_receiver_the_app_context_is_torn_down(self, app):
        """After an error in request_tearing_down, appcontext_tearing_down is still sent."""

        def failing(sender, **extra):
            raise RuntimeError("cannot")

        request_tearing_down.connect(failing, app)
        with (
            recorded(appcontext_tearing_down, app) as calls,
            pytest.raises(RuntimeError, match="cannot"),
        ):
            app.test_client().get("/")
        assert [sender for sender, _ in calls] == [app]


class TestAppcontextTearingDown:
    def test_is_sent_without_a_request(self, app):
        """An app context without a request sends the signal while it is still bound."""
        names = []

        def receiver(sender, exc, **extra):
            names.append((flask.current_app.name, exc))

        appcontext_tearing_down.connect(receiver, app)
        with app.app_context():
            assert names == []
        assert names == [("shop", None)]

    def test_passes_what_ended_the_context(self, app):
        """The exception that ends the context is passed as ``exc``."""
        error = LookupError("no such lamp")
        with (
            recorded(appcontext_tearing_down, app) as calls,
            pytest.raises(LookupError),
            app.app_context(),
        ):
            raise error
        assert calls == [(app, {"exc": error})]


class TestAppcontextPushed:
    def test_is_sent_by_the_application_when_a_context_is_pushed(self, app):
        """The application sends the signal without arguments when its context is ready."""
        names = []

        def receiver(sender, **extra):
            names.append((sender, extra, flask.current_app.name))

        appcontext_pushed.connect(receiver, app)
        with app.app_context():
            assert names == [(app, {}, "shop")]

    def test_example_of_the_reference(self, app):
        """The test helper in the reference sets a user on ``g`` early (bytes in Python 3)."""

        @contextmanager
        def user_set(app, user):
            def handler(sender, **kwargs):
                g.user = user

            with appcontext_pushed.connected_to(handler, app):
                yield

        with user_set(app, "john"):
            c = app.test_client()
            resp = c.get("/users/me")
            assert resp.data == b"username=john"
        assert app.test_client().get("/users/me").status_code == 500


class TestAppcontextPopped:
    def test_is_sent_by_the_application_when_a_context_is_popped(self, app):
        """The application sends the signal without arguments after its context is popped."""
        bound = []

        def receiver(sender, **extra):
            bound.append((sender, extra, has_app_context(), has_request_context()))

        appcontext_popped.connect(receiver, app)
        with app.app_context():
            assert bound == []
        assert bound == [(app, {}, False, False)]

    def test_falls_in_line_with_appcontext_tearing_down(self, app):
        """The signal follows appcontext_tearing_down directly, once each time."""
        order = []

        def receiver_of(name):
            return lambda sender, **extra: order.append(name)

        tearing_down, popped = receiver_of("tearing down"), receiver_of("popped")
        appcontext_popped.connect(popped, app)
        appcontext_tearing_down.connect(tearing_down, app)
        app.test_client().get("/")
        assert order == ["tearing down", "popped"]


class TestMessageFlashed:
    def test_is_sent_with_the_message_and_its_category(self, app):
        """The payload is the message and its category."""
        with recorded(message_flashed, app) as calls:
            app.test_client().get("/flash")
        assert calls == [
            (app, {"message": "saved", "category": "message"}),
            (app, {"message": "disk full", "category": "error"}),
        ]

    def test_example_of_the_reference(self, app):
        """The subscriber in the reference records messages with their categories."""
        recorded = []

        def record(sender, message, category, **extra):
            recorded.append((message, category))

        message_flashed.connect(record, app)
        app.test_client().get("/flash")
        assert recorded == [("saved", "message"), ("disk full", "error")]


class TestOneRequest:
    def test_sends_its_signals_in_order(self, app):
        """Each signal is sent once, from the pushed context to the popped context."""
        order = []
        receivers = {
            name: (lambda sender, name=name, **extra: order.append(name))
            for name in (
                "appcontext_popped",
                "appcontext_tearing_down",
                "request_tearing_down",
                "request_finished",
                "template_rendered",
                "before_render_template",
                "request_started",
                "appcontext_pushed",
            )
        }
        for name, receiver in receivers.items():
            getattr(flask, name).connect(receiver, app)
        app.test_client().get("/")
        assert order == list(reversed(receivers))

    def test_is_separate_from_another_applications(self, app, other):
        """With two applications in a process, subscribers of one get only its signals."""
        heard = []

        def of_app(sender, **extra):
            heard.append(("app", sender))

        def of_other(sender, **extra):
            heard.append(("other", sender))

        for signal in (request_started, request_finished, request_tearing_down):
            signal.connect(of_app, app)
            signal.connect(of_other, other)
        app.test_client().get("/")
        other.test_client().get("/")
        assert heard == [("app", app)] * 3 + [("other", other)] * 3
