"""The signals of a request to a bare ASGI application: order, senders and payloads."""

import asyncio
import logging
from contextvars import ContextVar

import pytest

from aldis import asgi
from aldis.asgi import ResponseInfo, SignalsMiddleware
from aldis.errors import ContractError
from tests.asgi.client import Client, names, recorded

START = {"type": "http.response.start", "status": 200, "headers": [(b"X-Lamp", b"on")]}


async def hello(scope, receive, send):
    """Answer every request."""
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})


async def broken(scope, receive, send):
    """Fail before anything is sent."""
    raise LookupError("no such lamp")


class TestOrder:
    async def test_a_request(self):
        """A request sends started, finished and tearing down, each with the app as sender."""
        with recorded() as calls:
            sent = await Client(SignalsMiddleware(hello)).visit()
        response = ResponseInfo(200, ((b"x-lamp", b"on"),))
        assert ["http.response.start", "http.response.body"] == sent
        assert [
            ("request-started", hello, {}),
            ("request-finished", hello, {"response": response}),
            ("request-tearing-down", hello, {"exc": None}),
        ] == calls

    async def test_an_exception(self):
        """An exception is sent before the server gets it. The teardown gets it, too."""
        with recorded() as calls, pytest.raises(LookupError) as raised:
            await Client(SignalsMiddleware(broken)).visit()
        assert [
            ("request-started", broken, {}),
            ("got-request-exception", broken, {"exception": raised.value}),
            ("request-tearing-down", broken, {"exc": raised.value}),
        ] == calls

    async def test_started_is_sent_before_the_application_runs(self):
        """request_started comes before the application, and the teardown after it."""
        order = []

        async def app(scope, receive, send):
            order.append("app")
            await hello(scope, receive, send)
            order.append("app is done")

        def started(sender):
            order.append("started")

        def tearing_down(sender, exc):
            order.append("tearing down")

        with (
            asgi.request_started.connected_to(started),
            asgi.request_tearing_down.connected_to(tearing_down),
        ):
            await Client(SignalsMiddleware(app)).visit()
        assert ["started", "app", "app is done", "tearing down"] == order

    async def test_finished_is_sent_before_the_client_has_anything(self):
        """request_finished is sent before the first byte of the response, also for a stream."""
        client = Client(None)

        async def stream(scope, receive, send):
            await send(START)
            for _ in range(3):
                await send({"type": "http.response.body", "body": b".", "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        had = {}

        def finished(sender, response):
            had["finished"] = len(client.got)

        def tearing_down(sender, exc):
            had["tearing down"] = len(client.got)

        client.app = SignalsMiddleware(stream)
        with (
            asgi.request_finished.connected_to(finished),
            asgi.request_tearing_down.connected_to(tearing_down),
        ):
            await client.visit()
        assert {"finished": 0, "tearing down": 5} == had

    async def test_an_exception_in_the_middle_of_a_stream(self):
        """An exception in the middle of a stream comes after request_finished."""

        async def app(scope, receive, send):
            await send(START)
            raise LookupError

        with recorded() as calls, pytest.raises(LookupError):
            await Client(SignalsMiddleware(app)).visit()
        assert [
            "request-started",
            "request-finished",
            "got-request-exception",
            "request-tearing-down",
        ] == names(calls)

    async def test_an_application_that_does_not_answer(self):
        """Without a response there is no request_finished."""

        async def silent(scope, receive, send):
            pass

        with recorded() as calls:
            await Client(SignalsMiddleware(silent)).visit()
        assert ["request-started", "request-tearing-down"] == names(calls)


class TestSender:
    async def test_the_scope_names_the_application(self):
        """``scope["app"]`` is the sender wherever the middleware stands."""
        framework = object()
        with recorded(asgi.request_started) as calls:
            await Client(SignalsMiddleware(hello), app=framework).visit()
        assert [("request-started", framework, {})] == calls

    async def test_the_sender_is_the_same_for_the_whole_request(self):
        """A mounted application that changes the scope does not change the sender."""

        async def mount(scope, receive, send):
            scope["app"] = object()
            await hello(scope, receive, send)

        with recorded() as calls:
            await Client(SignalsMiddleware(mount)).visit()
        assert [mount] * 3 == [sender for _, sender, _ in calls]

    async def test_receivers_for_another_application_are_not_called(self):
        """A receiver connected for one application is not called for another."""
        heard = []
        with asgi.request_started.connected_to(heard.append, hello):
            await Client(SignalsMiddleware(hello)).visit()
            with pytest.raises(LookupError):
                await Client(SignalsMiddleware(broken)).visit()
        assert [hello] == heard


class TestReceivers:
    async def test_sync_and_async_mix_in_connection_order(self):
        """Sync receivers run in the loop's thread, async ones are awaited, one after the other."""
        order = []

        async def first(sender):
            await asyncio.sleep(0)
            order.append("async")

        def second(sender):
            asyncio.get_running_loop()
            order.append("sync")

        with (
            asgi.request_started.connected_to(first),
            asgi.request_started.connected_to(second),
        ):
            await Client(SignalsMiddleware(hello)).visit()
        assert ["async", "sync"] == order

    async def test_the_request_is_at_hand(self):
        """A receiver can read the scope of the current request."""
        paths = []

        def receiver(sender, **extra):
            paths.append(asgi.current_scope()["path"])

        with (
            asgi.request_started.connected_to(receiver),
            asgi.request_finished.connected_to(receiver),
            asgi.request_tearing_down.connected_to(receiver),
        ):
            await Client(SignalsMiddleware(hello), path="/lamps").visit()
        assert ["/lamps"] * 3 == paths

    async def test_outside_of_a_request_there_is_no_scope(self):
        """Before and after a request, failed ones included, no scope is current."""
        with pytest.raises(LookupError, match="no request is being handled here"):
            asgi.current_scope()
        with pytest.raises(LookupError, match="no such lamp"):
            await Client(SignalsMiddleware(broken)).visit()
        with pytest.raises(LookupError, match="no request is being handled here"):
            asgi.current_scope()

    async def test_context_variables_last_for_the_request(self):
        """The teardown can reset a context variable that request_started has set."""
        lamp = ContextVar("lamp", default="off")
        tokens = []

        async def light(sender):
            tokens.append(lamp.set("on"))

        async def put_out(sender, exc):
            await asyncio.sleep(0)
            lamp.reset(tokens.pop())

        seen = []

        async def app(scope, receive, send):
            seen.append(lamp.get())

        with (
            asgi.request_started.connected_to(light),
            asgi.request_tearing_down.connected_to(put_out),
        ):
            await Client(SignalsMiddleware(app)).visit()
        assert (["on"], "off") == (seen, lamp.get())

    def test_one_that_does_not_fit_is_refused_when_it_is_connected(self):
        """The signals have contracts, so ``connect`` refuses a receiver that does not fit."""
        with pytest.raises(ContractError, match="does not take 'response'; add \\*\\*extra"):
            asgi.request_finished.connect(lambda sender: None)


class TestExamplesOfFlask:
    async def test_receivers_of_flasks_documents_fit(self):
        """The receivers in Flask's guide and reference can be connected without a change."""
        log = []

        def log_request(sender, **extra):
            log.append("Request context is set up")

        def log_response(sender, response, **extra):
            log.append(f"Response: {response.status}")

        def log_exception(sender, exception, **extra):
            log.append(f"Got exception during processing: {exception}")

        def close_db_connection(sender, **extra):
            log.append("closed")

        with (
            asgi.request_started.connected_to(log_request, hello),
            asgi.request_finished.connected_to(log_response, hello),
            asgi.got_request_exception.connected_to(log_exception, broken),
            asgi.request_tearing_down.connected_to(close_db_connection),
        ):
            await Client(SignalsMiddleware(hello)).visit()
            with pytest.raises(LookupError):
                await Client(SignalsMiddleware(broken)).visit()
        assert [
            "Request context is set up",
            "Response: 200",
            "closed",
            "Got exception during processing: no such lamp",
            "closed",
        ] == log


class TestReceiversThatRaise:
    async def test_at_the_start(self):
        """After an error of a request_started receiver, the application is not called."""

        def refuse(sender):
            raise PermissionError("closed")

        with (
            asgi.request_started.connected_to(refuse),
            recorded(asgi.got_request_exception, asgi.request_tearing_down) as calls,
            pytest.raises(PermissionError) as raised,
        ):
            await Client(SignalsMiddleware(hello)).visit()
        assert [
            ("got-request-exception", hello, {"exception": raised.value}),
            ("request-tearing-down", hello, {"exc": raised.value}),
        ] == calls

    async def test_when_finished(self):
        """After an error of a request_finished receiver, the app can send an error page."""

        def fail_once(sender, response):
            asgi.request_finished.disconnect(fail_once)
            raise ValueError("bad header")

        async def careful(scope, receive, send):
            try:
                await send(START)
            except ValueError:
                await send({"type": "http.response.start", "status": 500, "headers": []})

        asgi.request_finished.connect(fail_once)
        client = Client(SignalsMiddleware(careful))
        with recorded(asgi.request_finished) as calls:
            await client.visit()
        assert [500] == [message["status"] for message in client.got]
        assert [500] == [payload["response"].status for _, _, payload in calls]

    async def test_when_an_exception_is_reported(self):
        """The server gets the receiver's exception, and the teardown gets the first exception."""

        def fail(sender, exception):
            raise ValueError("the reporter is broken")

        with (
            asgi.got_request_exception.connected_to(fail),
            recorded(asgi.request_tearing_down) as calls,
            pytest.raises(ValueError, match="the reporter is broken") as raised,
        ):
            await Client(SignalsMiddleware(broken)).visit()
        [(_, _, payload)] = calls
        assert raised.value.__context__ is payload["exc"]
        assert type(payload["exc"]) is LookupError

    async def test_when_tearing_down(self):
        """If a receiver of the teardown raises, the others still run.

        Then the server gets the first error.
        """

        def fail(sender, exc):
            raise ValueError("cannot close")

        with (
            asgi.request_tearing_down.connected_to(fail),
            recorded(asgi.request_tearing_down) as calls,
            pytest.raises(ValueError, match="cannot close"),
        ):
            await Client(SignalsMiddleware(hello)).visit()
        assert ["request-tearing-down"] == names(calls)

    async def test_when_tearing_down_after_an_exception(self, caplog):
        """The server gets the request's exception. The teardown's exception is logged."""

        def fail(sender, exc):
            raise ValueError("cannot close")

        with (
            caplog.at_level(logging.ERROR, "aldis"),
            asgi.request_tearing_down.connected_to(fail),
            pytest.raises(LookupError, match="no such lamp"),
        ):
            await Client(SignalsMiddleware(broken)).visit()
        [record] = caplog.records
        assert "cannot close" == str(record.exc_info[1])


class TestPassingThrough:
    async def test_lifespan_is_untouched(self):
        """Scope, receive and send are the server's own objects, and no signal is sent."""
        given = []

        async def app(*arguments):
            given.extend(arguments)

        client = Client(None, kind="lifespan")
        receive, send = client.receive, client.send
        with recorded() as calls:
            await SignalsMiddleware(app)(client.scope, receive, send)
        assert given[0] is client.scope
        assert (receive, send) == tuple(given[1:])
        assert [] == calls

    async def test_a_request_gets_the_servers_receive(self):
        """The middleware wraps ``send`` only, not the scope and ``receive``."""
        given = []

        async def app(scope, receive, send):
            given.extend((scope, receive))

        client = Client(None)
        receive = client.receive
        await SignalsMiddleware(app)(client.scope, receive, client.send)
        assert given[0] is client.scope
        assert given[1] is receive


class TestResponseInfo:
    def test_headers_by_name(self):
        """A header is found in any spelling of its case. The first of several counts."""
        info = ResponseInfo(200, ((b"set-cookie", b"a"), (b"set-cookie", b"b")))
        assert ("a", None) == (info.header("Set-Cookie"), info.header("Location"))

    def test_a_start_without_headers(self):
        """A start message may have no headers."""
        assert ResponseInfo(204, ()) == ResponseInfo.of({"status": 204})
