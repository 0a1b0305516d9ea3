"""``signals trace`` sends one request and shows its status and its tree of signals."""

import json
import re

import pytest

from tests.cli.support import ALDIS

TRACE = (*ALDIS, "signals", "trace")

ASGI = """
    import aldis
    from aldis import Namespace

    lamps = Namespace()
    lit, started = lamps.signal("lit"), lamps.signal("started")

    @lit.connect
    async def hear(sender, **extra): ...

    class App:
        knows_lifespan = {knows_lifespan}

        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan":
                return await self.live(scope, receive, send)
            body = (await receive())["body"]
            headers = dict(scope["headers"])
            await lit.asend(self, **scope["state"], body=body)
            assert scope["query_string"] == b"much=1" and scope["path"] == "/l\\u00e4mp", scope
            assert headers[b"x-lamp"] == b"on", headers
            await send({{"type": "http.response.start", "status": 299, "headers": []}})
            await send({{"type": "http.response.body", "body": b"", "more_body": False}})
            assert (await receive())["type"] == "http.disconnect"

        async def live(self, scope, receive, send):
            assert self.knows_lifespan
            assert (await receive())["type"] == "lifespan.startup"
            started.send(self)
            {startup}
            scope["state"]["ready"] = True
            await send({{"type": "lifespan.startup.complete"}})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({{"type": "lifespan.shutdown.complete"}})
            print("shut down")

    app = App()
    """


def trace(project, *arguments, app="shop"):
    """Trace a request and return the output without durations."""
    ended = project.run(*TRACE, "--app", app, *arguments)
    assert 0 == ended.returncode, ended.stderr
    return re.sub(r"[\d.e+]+ (µs|ms|s)\b", "TIME", ended.stdout)


class TestFlask:
    def test_a_request_and_its_tree(self, shop):
        """The status comes first, then the tree of signals with senders and receivers."""
        assert re.fullmatch(
            r"GET / -> 200 OK, TIME\n"
            r"├─ appcontext-pushed  no receiver  sent by <Flask 'shop'>\n"
            r"├─ request-started  TIME  sent by <Flask 'shop'>\n"
            r"│  └─ greet  TIME  shop.py:\d+\n"
            r"│     └─ shelf-empty  no receiver  sent by 'shelf' \(left\)\n"
            r"├─ request-finished  no receiver  sent by <Flask 'shop'> \(response\)\n"
            r"├─ request-tearing-down  .*\n"
            r"├─ appcontext-tearing-down  .*\n"
            r"└─ appcontext-popped  .*\n",
            trace(shop, "--", "GET", "/"),
        )

    def test_get_is_the_default(self, shop):
        """A path without a method is a GET."""
        assert trace(shop, "/?a=b") == trace(shop, "--", "get", "/?a=b")

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (("/nowhere",), "404 Not Found"),
            (("DELETE", "/"), "405 Method Not Allowed"),
            (("/fail",), "500 Internal Server Error"),
        ],
    )
    def test_every_status_is_shown(self, shop, request_, status):
        """The exit code is 0 for every status."""
        assert f" -> {status}, TIME\n" in trace(shop, "--", *request_)

    def test_an_app_that_propagates_errors(self, shop):
        """In debug mode, Flask raises the error in its test client. A server would answer 500."""
        shop.write("debugged.py", "from shop import *\napp.debug = True")
        first, *rest = trace(shop, "/fail", app="debugged").splitlines()
        assert "GET /fail -> raised LookupError: no such lamp (a server answers 500), TIME" == first
        assert any("got-request-exception" in line for line in rest)

    def test_data_and_headers(self, shop):
        """A body is a form unless a header has another type."""
        shop.write(
            "echo.py",
            """
            from shop import *
            from flask import request

            @app.post("/echo")
            def echo():
                received = [request.headers["X-Lamp"], request.content_type, request.form.to_dict()]
                order_paid.send("market", order_id=7, note=str([*received, request.get_json()]))
                return "", 201

            @order_paid.connect
            def show(sender, *, note="", **extra):
                print("received", note)
            """,
        )
        command = [*TRACE, "--app", "echo", "-H", "X-Lamp: on"]
        ended = shop.run(*command, "-d", "a=1&b=2", "--", "POST", "/echo")
        assert "415" in ended.stdout.splitlines()[0]  # a form is not JSON
        json_type = ["--header", "content-type: application/json"]
        ended = shop.run(*command, *json_type, "--data", '{"a": 1}', "--", "POST", "/echo")
        assert ended.stdout.startswith("POST /echo -> 201 Created, ")
        assert "received ['on', 'application/json', {}, {'a': 1}]\n" == ended.stderr

    def test_a_streamed_answer_is_read_to_its_end(self, shop):
        """A send during the streaming of the body belongs to the request."""
        shop.write(
            "streamed.py",
            """
            from shop import *

            @app.get("/stream")
            def stream():
                def lines():
                    yield "one"
                    order_paid.send("market", order_id=7)
                return lines()
            """,
        )
        assert "─ order_paid  TIME  sent by 'market' (order_id)\n" in trace(
            shop, "/stream", app="streamed"
        )

    def test_sends_of_a_background_thread_are_left_out(self, shop):
        """A send of a background thread does not belong to the request."""
        shop.write(
            "busy.py",
            """
            from threading import Thread
            from shop import *

            @app.get("/busy")
            def busy():
                thread = Thread(target=order_paid.send, args=["market"], kwargs={"order_id": 7})
                thread.start()
                thread.join()
                return ""
            """,
        )
        assert "order_paid" not in trace(shop, "/busy", app="busy")


class TestOtherApps:
    def test_wsgi(self, project):
        """The command reads and closes the body of a WSGI app."""
        project.write(
            "app.py",
            """
            import aldis
            lit = aldis.signal("lit")

            class Body:
                def __iter__(self):
                    lit.send("body")
                    yield b""
                def close(self):
                    lit.send("close")

            def app(environ, start_response):
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                lit.send("call", **{body.decode(): environ["HTTP_X_LAMP"]})
                assert environ["PATH_INFO"] == "/a b" and environ["QUERY_STRING"] == "c=d"
                assert environ["CONTENT_TYPE"] == "text/plain"
                start_response("203 Fine", [])
                return Body()
            """,
        )
        headers = ["-H", "X-Lamp: on", "-H", "Content-Type: text/plain"]
        assert (
            "PUT /a%20b?c=d -> 203 Non-Authoritative Information, TIME\n"
            "├─ lit  no receiver  sent by 'call' (much)\n"
            "├─ lit  no receiver  sent by 'body'\n"
            "└─ lit  no receiver  sent by 'close'\n"
        ) == trace(project, *headers, "-d", "much", "--", "PUT", "/a%20b?c=d", app="app")

    @pytest.mark.parametrize("knows_lifespan", [True, False])
    def test_asgi(self, project, knows_lifespan):
        """An ASGI app is started and shut down. The output does not show the sends of that."""
        project.write("lamp.py", ASGI.format(knows_lifespan=knows_lifespan, startup=""))
        command = ["-d", "x", "-H", "X-Lamp: on", "--", "POST", "/l%C3%A4mp?much=1"]
        ended = project.run(*TRACE, "--app", "lamp", *command)
        assert (0, "shut down\n" * knows_lifespan) == (ended.returncode, ended.stderr)
        ready = "ready, " if knows_lifespan else ""
        assert re.fullmatch(
            r"POST /l%C3%A4mp\?much=1 -> 299, [\d.]+ ms\n"
            rf"└─ lit  .* sent by lamp:app \({ready}body\)  by asend\n"
            r"   └─ hear  .*  async  lamp.py:\d+\n",
            ended.stdout,
        )

    def test_an_asgi_app_that_raises(self, project):
        """An ASGI app that raises answers 500."""
        project.write("lamp.py", ASGI.format(knows_lifespan=False, startup=""))
        assert "-> raised AssertionError: {" in trace(project, "/wrong", app="lamp").splitlines()[0]

    def test_an_asgi_app_that_does_not_start(self, project):
        """The error contains the reason that the app gives."""
        fail = 'return await send({"type": "lifespan.startup.failed", "message": "no oil"})'
        project.write("lamp.py", ASGI.format(knows_lifespan=True, startup=fail))
        ended = project.run(*TRACE, "--app", "lamp", "/")
        assert (2, "Error: the app could not start: no oil\n") == (ended.returncode, ended.stderr)

    def test_an_asgi_app_that_ends_the_process_at_its_start(self, project):
        """A SystemExit at the start is an error with the user's line and the exit code 2."""
        project.write("lamp.py", ASGI.format(knows_lifespan=True, startup="raise SystemExit(0)"))
        ended = project.run(*TRACE, "--app", "lamp", "/")
        assert (2, "") == (ended.returncode, ended.stdout)
        assert re.fullmatch(
            r"Error: the app could not start: it ended the process: SystemExit\(0\)\n"
            r"  lamp.py:\d+: raise SystemExit\(0\)\n",
            ended.stderr,
        )

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("SystemExit(3)", "it ended the process: SystemExit(3)"),
            ("OSError('no oil')", "OSError: no oil"),
        ],
    )
    @pytest.mark.parametrize("waits", [True, False])
    def test_an_asgi_app_that_fails_to_shut_down(self, project, waits, error, expected):
        """The output shows the request, and the standard error shows the failure."""
        project.write(
            "lamp.py",
            f"""
            async def app(scope, receive, send):
                if scope["type"] == "lifespan":
                    await receive()
                    await send({{"type": "lifespan.startup.complete"}})
                    if {waits}:
                        await receive()
                    raise {error}
                await send({{"type": "http.response.start", "status": 299, "headers": []}})
                await send({{"type": "http.response.body", "body": b""}})
            """,
        )
        ended = project.run(*TRACE, "--app", "lamp", "/")
        assert (0, "GET / -> 299, ") == (ended.returncode, ended.stdout[:14])
        assert (
            "The app answered, but failed to shut down.\n\n"
            f"  {expected}\n  lamp.py:7: raise {error}\n"
        ) == ended.stderr

    def test_an_asgi_app_that_ends_the_process_in_a_task(self, project):
        """A SystemExit in a task is an error with the user's line."""
        project.write(
            "lamp.py",
            """
            import asyncio

            async def give_up():
                raise SystemExit(0)

            async def app(scope, receive, send):
                assert scope["type"] == "http"
                task = asyncio.create_task(give_up())
                await asyncio.sleep(5)
            """,
        )
        ended = project.run(*TRACE, "--app", "lamp", "/")
        assert 2 == ended.returncode
        assert "Error: the app did not answer.\n\n  it ended the process: Sys" in ended.stderr
        assert "lamp.py:4: raise SystemExit(0)\n" in ended.stderr

    def test_quart(self, project):
        """Quart is an ASGI app with Flask's signals."""
        pytest.importorskip("quart", reason="Quart is not installed")
        project.write(
            "app.py",
            """
            import aldis.as_blinker
            from quart import Quart, request_started

            app = Quart("lamps")

            @request_started.connect_via(app)
            async def greet(sender, **extra): ...

            @app.get("/")
            async def index():
                return "hello"
            """,
        )
        text = trace(project, "/", app="app")
        assert text.startswith("GET / -> 200 OK, TIME\n")
        assert re.search(r"request-started  TIME .*\n│  └─ greet  TIME  async  app.py:\d+\n", text)

    def test_an_app_without_a_signature(self, project):
        """The command calls a class in C as a WSGI app."""
        project.write("app.py", "app = dict")
        assert trace(project, "/", app="app").startswith("GET / -> raised TypeError: ")

    @pytest.mark.parametrize(
        "app",
        [
            "def app(environ, start_response):\n    exit(0)",
            "async def app(scope, receive, send):\n    scope['type'] == 'http' and exit(0)",
        ],
    )
    def test_an_app_that_ends_the_process(self, project, app):
        """A SystemExit in a request is shown and does not end the command."""
        project.write("app.py", app)
        assert trace(project, "/", app="app").startswith("GET / -> raised SystemExit: 0 (")

    def test_an_app_that_sends_nothing(self, project):
        """Without signals, the command prints a sentence."""
        project.write("app.py", "def app(environ, start_response):\n    return []")
        assert "GET / -> no answer, TIME\nNo signal was sent.\n" == trace(project, "/", app="app")


class TestJson:
    def test_has_its_documented_form(self, shop):
        """The JSON contains the request, its status and the emissions with their calls."""
        ended = shop.run(*TRACE, "--app", "shop", "--json", "/")
        facts = json.loads(ended.stdout)
        assert ["schema", "request", "status", "error", "nanoseconds", "emissions"] == list(facts)
        assert "aldis-signals-trace/1" == facts["schema"]
        assert {"method": "GET", "path": "/"} == facts["request"]
        assert (200, None) == (facts["status"], facts["error"])
        _, started, *_ = facts["emissions"]
        [call] = started["calls"]
        [inner] = call["emissions"]
        assert all(each.pop("nanoseconds") > 0 for each in (facts, started, call, inner))
        assert call["location"].startswith(f"{shop.folder}/shop.py:")
        assert {
            "signal": "shelf-empty",
            "sender": "'shelf'",
            "how": "send",
            "arguments": ["left"],
            "thread": "MainThread",
            "error": None,
            "muted": False,
            "calls": [],
            "skipped": [],
        } == inner
        assert ("called", None) == (call.pop("state"), call.pop("delivery_id"))
        assert ["receiver", "location", "is_async", "error", "emissions"] == list(call)

    def test_of_an_error(self, shop):
        """The JSON contains the app's exception as text."""
        shop.write("debugged.py", "from shop import *\napp.debug = True")
        facts = json.loads(shop.run(*TRACE, "--app", "debugged", "--json", "/fail").stdout)
        assert (500, "LookupError: no such lamp") == (facts["status"], facts["error"])


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ((), "the request is not [METHOD] PATH: write it as in trace -- GET /"),
            (("GET", "/", "/x"), "the request is not [METHOD] PATH: write it as in trace -- GET /"),
            (("pay",), "the path 'pay' does not begin with a slash: write '/pay'"),
            (
                ("http://localhost/pay",),
                "the path 'http://localhost/pay' does not begin with a slash: write '/pay'",
            ),
            (("/x", "GET"), "'/x' is not a method: write GET or POST"),
            (("-H", "X-Lamp", "/"), "'X-Lamp' is not of the form 'NAME: VALUE'"),
            (("-H", ": on", "/"), "': on' is not of the form 'NAME: VALUE'"),
            (("-H", "X-Lamp: 5 €", "/"), "'€' is not in Latin-1, the encoding of headers"),
        ],
    )
    def test_a_mistake_is_reported(self, project, arguments, expected):
        """Mistakes are reported before the app is imported."""
        ended = project.run(*TRACE, *arguments)
        assert (2, "") == (ended.returncode, ended.stdout)
        assert expected in " ".join(ended.stderr.split())
