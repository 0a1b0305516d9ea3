"""``Aldis(app, trace=...)`` prints the tree of each request on the terminal of a server."""

import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import flask
import pytest
import quart

import aldis
import aldis.flask
import aldis.quart
from aldis.core import observers
from aldis.observe import TracedRequest
from tests.servers.running import HOST, on_hypercorn, werkzeug

pytestmark = pytest.mark.usefixtures("no_relays", "lenient")

shop = aldis.Namespace()
order_paid = shop.signal("order_paid")


def thank(sender, **extra):
    """Receive anything."""


@pytest.fixture(autouse=True)
def connected():
    """Connect a receiver."""
    order_paid.connect(thank)
    yield
    assert not observers.is_enabled()  # each trace was detached


def make_app(**options):
    """Make an app with one page of each kind."""
    app = flask.Flask("shop")
    aldis.flask.Aldis(app, **options)

    @app.route("/pay/<int:number>")
    def pay(number):
        order_paid.send(number)
        return "paid"

    @app.route("/empty")
    def empty():
        return "empty"

    @app.route("/stream")
    def stream():
        def parts():
            yield "a"
            order_paid.send("in the stream")
            yield "b"

        return flask.Response(flask.stream_with_context(parts()))

    @app.route("/fail")
    def fail():
        raise ValueError("lamp\x1b[2J out")

    return app


def without_times(text):
    """Return the lines without durations and locations."""
    return re.sub(r"(, )?[0-9.]+(e[+-]\d+)? (µs|ms|s)|  \S+\.py:\d+", "", text).splitlines()


class TestPrintedTrees:
    def test_a_request_with_a_receiver(self, capsys):
        """The tree goes to the standard error. Flask's signals without receivers are left out."""
        make_app(trace=True).test_client().get("/pay/7?secret=x").close()
        printed = capsys.readouterr()
        assert "" == printed.out
        assert [
            "GET /pay/7 -> 200 OK",
            "└─ order_paid    sent by 7",
            "   └─ thank  ",
        ] == without_times(printed.err)

    @pytest.mark.parametrize("path", ["/empty", "/static/logo.png"])
    def test_empty_trees_and_static_files_are_not_printed(self, path, capsys):
        """A successful request without receivers prints nothing. A static file never prints."""
        app = make_app(trace=True)
        if path != "/empty":
            flask.request_started.connect(thank, app)
        app.test_client().get(path).close()
        assert "" == capsys.readouterr().err

    def test_a_failure_is_printed_even_if_it_is_empty(self, capsys, monkeypatch):
        """The first line shows the outcome."""
        app = make_app(trace=True)
        monkeypatch.setattr(app.logger, "disabled", True)  # all apps of this name have one logger
        client = app.test_client()
        client.get("/nowhere").close()
        client.get("/fail").close()
        assert [
            "GET /nowhere -> 404 Not Found",
            "GET /fail -> 500 Internal Server Error",
        ] == without_times(capsys.readouterr().err)

    def test_an_error_that_propagates_is_escaped(self, capsys):
        """A terminal gets no control characters from an error."""
        app = make_app(trace=True)
        app.testing = True
        with pytest.raises(ValueError, match="lamp"):
            app.test_client().get("/fail")
        assert r"raised ValueError: lamp\x1b[2J out" in capsys.readouterr().err

    def test_a_stream_is_traced_to_its_end(self, capsys):
        """The sends of a generator belong to the request, and each part is sent at once."""
        app = make_app(trace=True)
        answer = app.test_client().get("/stream")
        assert "" == capsys.readouterr().err
        assert "ab" == answer.text
        assert "sent by 'in the stream'" in capsys.readouterr().err

    def test_an_abandoned_response_ends_its_trace(self):
        """If the server does not read a response to its end, the observer is detached."""
        make_app(trace=True).test_client().get("/stream").close()
        assert not observers.is_enabled()


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "shown"),
        [
            (True, [1, 12]),
            ("/pay", [1, 12]),
            ("/pay/1", [1]),
            ("/pay/1*", [1, 12]),
            ("/pa", []),
            (["/empty", "/pay/12"], [12]),
            ({"/pay/?"}, [1]),
            (False, []),
            (None, []),
        ],
    )
    @pytest.mark.parametrize("by_config", [False, True])
    def test_paths(self, option, shown, by_config, capsys):
        """A path selects requests to it and below it. A pattern selects the matching paths."""
        if by_config:
            app = flask.Flask("shop")
            app.config["ALDIS_TRACE"] = option
            aldis.flask.Aldis(app)
            app.add_url_rule("/pay/<int:n>", view_func=lambda n: str(order_paid.send(n)))
        else:
            app = make_app(trace=option)
        for number in (1, 12):
            app.test_client().get(f"/pay/{number}").close()
        found = re.findall(r"GET /pay/(\d+)", capsys.readouterr().err)
        assert shown == [int(each) for each in found]

    def test_a_callable_gets_each_request(self, capsys):
        """The callable gets the request's data and its trace, and no tree is printed."""
        seen = []
        make_app(trace=seen.append).test_client().get("/pay/7").close()
        [request] = seen
        assert isinstance(request, TracedRequest)
        assert ("GET", "/pay/7", 200, None) == (
            request.method,
            request.path,
            request.status,
            request.error,
        )
        assert ["order_paid"] == [root.signal for root in request.roots]
        assert len(request.trace.roots) > len(request.roots)
        assert request.seconds > 0
        assert "" == capsys.readouterr().err

    def test_a_callable_that_raises_does_not_affect_the_response(self, caplog):
        """The error of the callable is logged."""

        def fail(request):
            raise ValueError

        assert 200 == make_app(trace=fail).test_client().get("/pay/7").status_code
        assert "the trace of GET /pay/7 cannot be shown" in caplog.text

    @pytest.mark.parametrize(
        ("option", "error"),
        [(7, TypeError), ([], TypeError), ("pay", ValueError), ([7], ValueError)],
    )
    def test_a_wrong_option_is_an_error(self, option, error):
        """The message shows the valid forms."""
        with pytest.raises(error, match="'/pay'"):
            make_app(trace=option)

    def test_two_extensions_print_once(self, capsys):
        """A second ``Aldis(app)`` does not print the trees again."""
        app = make_app(trace=True)
        aldis.flask.Aldis(app, trace=True)
        app.test_client().get("/pay/7").close()
        assert 1 == capsys.readouterr().err.count("GET /pay/7")


class File(io.StringIO):
    """A file that counts its writes, on a terminal or with an encoding."""

    encoding = "utf-8"

    def __init__(self, *, terminal=False):
        super().__init__()
        self.terminal = terminal
        self.writes = []

    def isatty(self):
        """Return whether this file is a terminal."""
        return self.terminal

    def write(self, text):
        """Keep the text of each write."""
        self.writes.append(text)
        return super().write(text)


class Ascii(File):
    """A file whose encoding has no box characters."""

    encoding = "ascii"


class TestOutput:
    def printed(self, file, monkeypatch):
        """Return the text that a request prints to a file."""
        monkeypatch.setattr("sys.stderr", file)
        make_app(trace=True).test_client().get("/pay/7").close()
        return file.getvalue()

    def test_colours_only_on_a_terminal(self, monkeypatch):
        """``NO_COLOR`` turns colours off."""
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        assert "\x1b[" not in self.printed(File(), monkeypatch)
        assert "\x1b[" in self.printed(File(terminal=True), monkeypatch)
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b[" not in self.printed(File(terminal=True), monkeypatch)

    @pytest.mark.parametrize("terminal", [False, True])
    def test_one_write_for_a_tree_in_the_encoding_of_the_file(self, terminal, monkeypatch):
        """Other encodings get ASCII characters. One write keeps the trees of threads apart."""
        file = Ascii(terminal=terminal)
        assert "order_paid" in self.printed(file, monkeypatch)
        [text] = filter(None, file.writes)
        text.encode("ascii")

    def test_without_a_standard_error(self, monkeypatch):
        """An app without a standard error still responds."""
        monkeypatch.setattr("sys.stderr", None)
        assert "paid" == make_app(trace=True).test_client().get("/pay/7").text


def test_each_thread_of_a_server_prints_its_own_request():
    """Each tree has only the sends of its request. It is printed before the response ends."""
    seen, together = {}, threading.Barrier(4)

    @order_paid.connect
    def meet(sender, **extra):
        together.wait(20)

    def keep(request):
        seen[request.path] = [root.sender for root in request.roots]

    def visit(number):
        with urlopen(f"http://{HOST}:{port}/pay/{number}") as answer:
            answer.read()
        return f"/pay/{number}" in seen

    with werkzeug(make_app(trace=keep)) as port, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(visit, range(4)))
    assert {f"/pay/{number}": [str(number)] for number in range(4)} == seen


@pytest.mark.parametrize("trace", [True, "/pay"])
def test_quart(trace, capfd):
    """A Quart app on Hypercorn prints the trees of requests, but not of static files."""
    app = quart.Quart("shop")
    aldis.quart.Aldis(app, trace=trace)

    @app.route("/pay/<int:number>")
    async def pay(number):
        await order_paid.asend(number)
        return "paid"

    with on_hypercorn(app) as port:
        for path in ("/pay/7", "/static/logo.png"):
            try:
                urlopen(f"http://{HOST}:{port}{path}").read()
            except HTTPError as error:
                error.close()
    assert [
        "GET /pay/7 -> 200 OK",
        "└─ order_paid    sent by 7  by asend",
        "   └─ thank  ",
    ] == without_times(capfd.readouterr().err)


async def test_a_websocket_of_quart(capsys):
    """A websocket is traced as one request."""
    app = quart.Quart("shop")
    aldis.quart.Aldis(app, trace=True)

    @app.websocket("/chat")
    async def chat():
        await order_paid.asend(await quart.websocket.receive())

    async with app.test_client().websocket("/chat") as connection:
        await connection.send("hello")
    assert "WEBSOCKET /chat -> closed" in capsys.readouterr().err
