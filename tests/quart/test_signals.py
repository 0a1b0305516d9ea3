"""Each of Quart's signals through a real application, with sync and async receivers mixed."""

import asyncio
import threading

import pytest
import quart
from quart.testing.connections import WebsocketResponseError
from quart.wrappers import Response

import aldis
import aldis.quart
from tests.fresh import run
from tests.quart.app import SIGNALS, in_order, make_app, payload_of, received

REQUEST = [
    "appcontext_pushed",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "appcontext_tearing_down",
    "appcontext_popped",
]


@pytest.fixture
def app():
    """Give an application."""
    return make_app()


class TestModule:
    def test_has_every_signal_of_quarts(self):
        """The module has all signals of quart.signals, the same objects, and aldis made them."""
        there = {
            name: value for name, value in vars(quart.signals).items() if hasattr(value, "send")
        }
        assert there == SIGNALS
        assert 18 == len(SIGNALS)

    def test_imported_before_quart_it_takes_blinkers_place(self):
        """An import of aldis.quart before Quart makes Quart run on aldis."""
        code = """
            import aldis.quart
            import blinker
            import quart
            assert blinker.Signal is aldis.Signal
            print(type(quart.request_started).__module__)
        """
        assert "aldis.core.namespace\n" == run(code)

    def test_imported_after_quart_it_takes_blinkers_place(self):
        """A Quart that was imported on plain blinker works on aldis from then on."""
        code = """
            import quart
            import aldis.quart
            print(isinstance(quart.signals.request_started, aldis.Signal))
        """
        assert "True\n" == run(code)

    def test_without_quart_it_names_the_extra(self):
        """The error for a missing Quart names the extra. The error of a broken Quart is shown."""
        code = """
            import sys
            sys.modules["quart"] = None
            import aldis.errors
            try:
                import aldis.quart
            except aldis.errors.MissingExtraError as error:
                print(error)
        """
        assert (
            "aldis.quart needs Quart, which is not installed: pip install 'aldis[quart]'\n"
            == run(code)
        )


class TestRequests:
    async def test_in_order(self, app):
        """A request sends its signals in this order, to both kinds of receivers."""
        with received(*REQUEST) as calls:
            response = await app.test_client().get("/")
        assert REQUEST == in_order(calls)
        assert all(sender is app for _, _, sender, _ in calls)
        assert "hello john" == await response.get_data(as_text=True)

    async def test_what_they_carry(self, app):
        """Each signal has the payload that Quart documents."""
        with received() as calls:
            await app.test_client().get("/")
        carried = {name: payload for name, _, _, payload in calls}
        assert isinstance(carried["request_finished"].pop("response"), Response)
        for name in ("before_render_template", "template_rendered"):
            assert {"template", "context"} == carried[name].keys()
            assert "john" == carried.pop(name)["context"]["name"]
        assert {
            "appcontext_pushed": {},
            "request_started": {},
            "message_flashed": {"message": "saved", "category": "info"},
            "request_finished": {},
            "request_tearing_down": {"exc": None},
            "appcontext_tearing_down": {"exc": None},
            "appcontext_popped": {},
        } == carried

    async def test_the_request_is_at_hand(self, app):
        """Sync and async receivers reach the request through Quart's proxy, also in a thread."""
        paths = []

        def sync(sender, **extra):
            paths.append(quart.request.path)

        async def not_sync(sender, **extra):
            paths.append(quart.request.path)

        with (
            quart.request_started.connected_to(sync, app),
            quart.request_finished.connected_to(not_sync, app),
        ):
            await app.test_client().get("/stream")
        assert ["/stream", "/stream"] == paths

    async def test_an_exception(self, app):
        """The signal carries the exception and is sent before the error page is finished."""
        with received(*REQUEST, "got_request_exception") as calls:
            assert 500 == (await app.test_client().get("/fail")).status_code
        assert [*REQUEST[:2], "got_request_exception", *REQUEST[2:]] == in_order(calls)
        sender, payload = payload_of(calls, "got_request_exception")
        assert sender is app
        assert ["exception"] == list(payload)
        assert isinstance(payload["exception"], LookupError)

    async def test_a_background_task(self, app):
        """An exception of a background task sends its signal after the end of the request."""
        with received("got_background_exception") as calls:
            async with app.test_app():
                assert 200 == (await app.test_client().get("/background")).status_code
        sender, payload = payload_of(calls, "got_background_exception")
        assert sender is app
        assert "out of oil" == str(payload["exception"])

    async def test_serving(self, app):
        """An exception at start-up sends its signal, and the application does not start."""

        @app.before_serving
        async def fail():
            raise LookupError("no oil at all")

        with received("got_serving_exception") as calls, pytest.raises(LookupError):
            await app.startup()
        sender, payload = payload_of(calls, "got_serving_exception")
        assert sender is app
        assert "no oil at all" == str(payload["exception"])

    async def test_templates_are_captured(self, app):
        """``captured_templates`` is Flask's helper for Quart."""
        with aldis.quart.captured_templates(app) as templates:
            await app.test_client().get("/")
        [(template, context)] = templates
        assert template.name is None
        assert "john" == context["name"]

    async def test_of_another_application_are_not_captured(self, app):
        """Only the templates of this application are captured. You can pass a list for them."""
        mine = []
        with aldis.quart.captured_templates(make_app("other"), mine) as templates:
            await app.test_client().get("/")
        assert templates is mine
        assert [] == mine

    async def test_every_receiver_tears_down(self, app):
        """Each receiver of the teardown runs, and the error of one is still raised."""

        def fail(sender, exc):
            raise ValueError("cannot close")

        with (
            quart.request_tearing_down.connected_to(fail),
            received("request_tearing_down") as calls,
            pytest.raises(ValueError, match="cannot close"),
        ):
            async with app.test_request_context("/"):
                pass
        assert ["request_tearing_down"] == in_order(calls)


class TestWebsockets:
    async def test_in_order(self, app):
        """In a conversation the messages are the senders, as in Quart, for sync receivers, too."""
        over = asyncio.Event()

        async def tell(sender, exc):
            over.set()

        with (
            received(*(name for name in SIGNALS if name.startswith("websocket"))) as calls,
            aldis.quart.websocket_tearing_down.connected_to(tell),
        ):
            async with app.test_client().websocket("/ws") as connection:
                await connection.send("ahoy")
                assert "ahoy" == await connection.receive()
                await asyncio.wait_for(over.wait(), 5)
        # Quart receives while it starts: each has its order, the two have none between them.
        assert ["websocket_received"] == in_order(
            [call for call in calls if call[0] == "websocket_received"]
        )
        assert [
            "websocket_started",
            "websocket_sent",
            "websocket_finished",
            "websocket_tearing_down",
        ] == in_order([call for call in calls if call[0] != "websocket_received"])
        assert (app, {}) == payload_of(calls, "websocket_started")
        assert ("ahoy", {}) == payload_of(calls, "websocket_received")
        assert ("ahoy", {}) == payload_of(calls, "websocket_sent")
        assert (app, {"response": None}) == payload_of(calls, "websocket_finished")
        assert (app, {"exc": None}) == payload_of(calls, "websocket_tearing_down")

    async def test_an_exception(self, app):
        """An exception sends the websocket's signal."""
        with (
            received("got_websocket_exception", "got_request_exception") as calls,
            pytest.raises(WebsocketResponseError),
        ):
            async with app.test_client().websocket("/ws/fail") as connection:
                await connection.receive()
        sender, payload = payload_of(calls, "got_websocket_exception")
        assert sender is app
        assert "no such lamp" == str(payload["exception"])

    async def test_sync_receivers_of_messages_run_in_a_thread(self, app):
        """Sync receivers for messages run in a thread, so they may block."""
        threads = []

        def receiver(sender):
            threads.append(threading.current_thread())

        with aldis.quart.websocket_received.connected_to(receiver):
            async with app.test_client().websocket("/ws") as connection:
                await connection.send("ahoy")
                await connection.receive()
        [thread] = threads
        assert thread is not threading.main_thread()
