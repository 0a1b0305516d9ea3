"""Flask on Werkzeug's threaded server under concurrent requests."""

import threading
from collections import defaultdict
from contextlib import ExitStack

import flask
import pytest

import aldis.flask
from tests.servers.running import get_all, werkzeug

SIGNALS = {
    name: getattr(aldis.flask, name)
    for name in aldis.flask.__all__
    if isinstance(getattr(aldis.flask, name), aldis.NamedSignal)
}
CONTEXT = ["appcontext_pushed", "request_started"]
TEARDOWN = ["request_tearing_down", "appcontext_tearing_down", "appcontext_popped"]
TEMPLATE = ["before_render_template", "template_rendered"]
ORDER = {
    "page": [*CONTEXT, "message_flashed", *TEMPLATE, "request_finished", *TEARDOWN],
    "fail": [*CONTEXT, "got_request_exception", "request_finished", *TEARDOWN],
    "missing": [*CONTEXT, "request_finished", *TEARDOWN],
    # Flask tears down when the view has answered, and again what stream_with_context pushed.
    "stream": [
        *(*CONTEXT, "request_finished", *TEARDOWN),
        *("appcontext_pushed", "streaming", "streaming", *TEARDOWN),
    ],
}
STATUS = {"page": 200, "fail": 500, "missing": 404, "stream": 200}
ROUNDS = 15


@pytest.fixture
def app(monkeypatch):
    """Return an application whose requests wait for each other, so that they overlap."""
    app = flask.Flask("shop")
    app.secret_key = "for flashing"  # noqa: S105 - signs nothing but this test's cookies
    monkeypatch.setattr(app.logger, "disabled", True)  # all apps of this name have one logger
    together = threading.Barrier(4)

    @app.before_request
    def meet():
        together.wait(10)

    @app.get("/page/<int:number>")
    def page(number):
        flask.flash(f"saved {number}")
        return flask.render_template_string("page {{ number }}", number=number)

    @app.get("/fail/<int:number>")
    def fail(number):
        raise LookupError(number)

    @app.get("/stream/<int:number>")
    def stream(number):
        @flask.stream_with_context
        def parts():
            for _ in range(2):
                app.extensions["test"]("streaming")
                yield f"{flask.request.path} "

        return parts()

    return app


class Listener:
    """Records every signal of an application by thread. A request stays in its thread."""

    def __init__(self, app):
        self.by_thread = defaultdict(list)
        self.senders = set()
        app.extensions["test"] = self.note

    def note(self, name, **payload):
        """Record an event of this thread, and its request if it is known."""
        path = flask.request.path if flask.has_request_context() else None
        self.by_thread[threading.get_ident()].append((name, path, payload))

    def receiver(self, name):
        """Make a receiver for the signal called ``name``."""

        def receive(sender, **payload):
            self.senders.add(sender)
            self.note(name, **payload)

        return receive

    def requests(self):
        """Split the records of each thread into requests."""
        for calls in self.by_thread.values():
            # The context is pushed right before.
            starts = [at - 1 for at, call in enumerate(calls) if call[0] == "request_started"]
            for start, end in zip(starts, [*starts[1:], None], strict=True):
                yield calls[start:end]


class TestConcurrentRequests:
    def test_each_has_its_signals_in_order(self, app):
        """Each page, error and stream sends its signals in order, for the right request."""
        listener, stranger = Listener(app), flask.Flask("other")
        paths = [f"/{kind}/{number}" for number in range(ROUNDS) for kind in ORDER]
        elsewhere = []

        def receive_elsewhere(sender, **payload):
            elsewhere.append(sender)

        with ExitStack() as stack:
            for name, signal in SIGNALS.items():
                stack.enter_context(signal.connected_to(listener.receiver(name), app))
                stack.enter_context(signal.connected_to(receive_elsewhere, stranger))
            port = stack.enter_context(werkzeug(app))
            answers = get_all(port, paths)
        assert {path: STATUS[kind_of(path)] for path in paths} == {
            path: status for path, (status, _) in answers.items()
        }
        assert all(
            answers[path][1].decode() == f"{path} {path} " for path in paths if "str" in path
        )
        requests = {request[1][1]: request for request in listener.requests()}
        assert set(paths) == requests.keys()
        for path, request in requests.items():
            assert ORDER[kind_of(path)] == [name for name, _, _ in request]
            check_payload(path, {name: payload for name, _, payload in request})
            # In the context of a request, a receiver sees only this request.
            assert {path} == {seen for _, seen, _ in request if seen is not None}
        assert {app} == listener.senders
        assert [] == elsewhere
        assert len(paths) == sum(1 for _ in listener.requests())


def kind_of(path):
    """Return the first part of a path."""
    return path.split("/")[1]


def check_payload(path, payloads):
    """Check that the payloads of the signals belong to this request."""
    kind, number = kind_of(path), int(path.split("/")[2])
    assert STATUS[kind] == payloads["request_finished"]["response"].status_code
    if kind == "page":
        assert f"saved {number}" == payloads["message_flashed"]["message"]
        assert number == payloads["template_rendered"]["context"]["number"]
    if kind == "fail":
        error = payloads["got_request_exception"]["exception"]
        assert (number,) == error.args
        assert error is payloads["request_tearing_down"]["exc"]
    else:
        assert payloads["request_tearing_down"]["exc"] is None
