"""Quart on Hypercorn under concurrent requests, and a websocket."""

import threading
from collections import defaultdict
from contextlib import ExitStack

import pytest
import quart

from tests.quart.app import SIGNALS, make_app
from tests.servers.running import get_all, on_hypercorn, talk, wait_until

CONTEXT = ["appcontext_pushed", "request_started"]
TEARDOWN = ["request_tearing_down", "appcontext_tearing_down", "appcontext_popped"]
TEMPLATE = ["before_render_template", "template_rendered"]
ORDER = {
    "/": [*CONTEXT, "message_flashed", *TEMPLATE, "request_finished", *TEARDOWN],
    "/fail": [*CONTEXT, "got_request_exception", "request_finished", *TEARDOWN],
    "/stream": [*CONTEXT, "request_finished", *TEARDOWN],
    "/missing": [*CONTEXT, "request_finished", *TEARDOWN],
}
STATUS = {"/": 200, "/fail": 500, "/stream": 200, "/missing": 404}
PATHS = [f"{path}?{number}" for number in range(10) for path in ORDER]
MESSAGES = {
    "websocket_started": 1,
    "websocket_received": 1,
    "websocket_sent": 1,
    "websocket_finished": 1,
    "websocket_tearing_down": 1,
}


class Listener:
    """Records each signal twice, with a sync and an async receiver, by the task of the request."""

    def __init__(self, app):
        self.app = app
        self.by_task = defaultdict(list)
        self.calls = []
        self._lock = threading.Lock()

    def connect(self, stack):
        """Connect the receivers for the app, or for any sender if messages are senders."""
        for name, signal in SIGNALS.items():
            every = name in ("websocket_received", "websocket_sent")
            for receiver in self._receivers(name):
                stack.enter_context(signal.connected_to(receiver, *() if every else (self.app,)))

    def _receivers(self, name):
        def sync(sender, **payload):
            self._note(name, "sync", payload)

        async def not_sync(sender, **payload):
            self._note(name, "async", payload)

        return sync, not_sync

    def _note(self, name, kind, payload):
        url = quart.request.full_path if quart.has_request_context() else None
        g = quart.g._get_current_object() if quart.has_app_context() else None
        with self._lock:
            self.calls.append((name, kind, url, g, payload))


@pytest.fixture
def app():
    """Give an application."""
    return make_app()


class TestConcurrentRequests:
    def test_each_has_its_signals(self, app):
        """Each page, error and stream sends its signals in order, to both receivers."""
        listener = Listener(app)
        with ExitStack() as stack:
            listener.connect(stack)
            port = stack.enter_context(on_hypercorn(app))
            answers = get_all(port, PATHS)
        assert {path: STATUS[path.partition("?")[0]] for path in PATHS} == {
            path: status for path, (status, _) in answers.items()
        }
        by_request = defaultdict(list)
        for name, kind, url, _, _ in listener.calls:
            if url is not None:
                by_request[url].append((name, kind))
        assert set(PATHS) == by_request.keys()
        for url, calls in by_request.items():
            # The request is current here. The app context begins earlier and ends later.
            order = [name for name in ORDER[url.partition("?")[0]] if "appcontext" not in name]
            assert [(name, kind) for name in order for kind in ("sync", "async")] == [
                call for call in calls if "appcontext" not in call[0]
            ]
        for name in ("appcontext_pushed", "appcontext_tearing_down", "appcontext_popped"):
            heard = [kind for each, kind, *_ in listener.calls if each == name]
            assert heard.count("sync") == heard.count("async") >= len(PATHS)

    def test_a_websocket(self, app):
        """Sync receivers get messages, too. Quart alone would refuse them."""
        listener = Listener(app)
        with ExitStack() as stack:
            listener.connect(stack)
            port = stack.enter_context(on_hypercorn(app))
            assert ["ahoy"] == talk(port, "/ws", "ahoy")
            wait_until(lambda: listener.calls[-1][0] == "appcontext_popped")
        names = [name for name, _, _, _, _ in listener.calls if name in MESSAGES]
        assert {name: 2 * count for name, count in MESSAGES.items()} == {
            name: names.count(name) for name in MESSAGES
        }
        assert names.index("websocket_started") < names.index("websocket_finished")
        assert names.index("websocket_finished") < names.index("websocket_tearing_down")

    def test_a_websocket_that_fails(self, app):
        """The signal of the exception reaches sync and async receivers."""
        listener = Listener(app)
        with ExitStack() as stack:
            listener.connect(stack)
            port = stack.enter_context(on_hypercorn(app))
            assert [None] == talk(port, "/ws/fail")
            wait_until(lambda: "websocket_tearing_down" in [call[0] for call in listener.calls])
        errors = [
            (kind, str(payload["exception"]))
            for name, kind, _, _, payload in listener.calls
            if name == "got_websocket_exception"
        ]
        assert [("sync", "no such lamp"), ("async", "no such lamp")] == errors
