"""Calls to a provider have limits of time and size. Redirects with secrets are refused."""

import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask, Response, redirect

from aldis.errors import LoginError
from aldis.oauth import MemoryStorage
from tests.oauth.apps import CALLBACK, app_with, begin, log_in
from tests.oauth.frameworks import CALL_FAILED, TIMED_OUT, TOO_LARGE, flask_only
from tests.oauth.serving import served

pytestmark = pytest.mark.usefixtures("framework")

METADATA = "/.well-known/openid-configuration"
#: The calls of a login, by their endpoint.
LOGIN_CALLS = ["/token", "/jwks", METADATA]


def fail_at(op, path, answer, **options):
    """Log in while ``path`` responds with ``answer``, and return the client's last response."""
    app, _ = app_with(op, redirect_url="/home", **options)
    client = app.test_client()
    if path == METADATA:
        op.answers[path] = answer
        return client.get("/login/op")
    sent = begin(client, op)
    op.answers[path] = answer
    return client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})


def large():
    """Return a response of 3 MB without a length."""
    return Response((b'{"a": "' + b"x" * 100_000 for _ in range(30)), mimetype="application/json")


def bomb():
    """Return a small response that decompresses to 50 MB."""
    import gzip

    packed = gzip.compress(b" " * 50_000_000)
    return Response(packed, headers={"Content-Encoding": "gzip"}, mimetype="application/json")


@pytest.mark.parametrize("answer", [large, bomb])
@pytest.mark.parametrize("path", LOGIN_CALLS)
def test_a_large_response_makes_the_login_fail(op, recorded, path, answer):
    """Aldis stops reading at the limit, also in a compressed response."""
    assert 302 == fail_at(op, path, answer, max_response_size=100_000).status_code
    assert isinstance(recorded.only("oauth-error")["error"].exception, TOO_LARGE)


@pytest.mark.parametrize("path", LOGIN_CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_makes_the_login_fail(op, recorded, path, status):
    """The code, the verifier and the secret never reach another host."""
    other = f"http://localhost:{op.url.rpartition(':')[2]}/elsewhere?token=secret"
    assert 302 == fail_at(op, path, lambda: redirect(other, status)).status_code
    payload = recorded.only("oauth-error")
    assert "provider_redirected" == payload["error"]
    assert "redirect to localhost" in payload["error_description"]
    assert "secret?" not in payload["error_description"]
    assert [] == op.asked_for("/elsewhere")


def session_of(op, **options):
    """Return an app and the session of a user with a token."""
    token = options.pop("token", {"access_token": "x"})
    app, blueprint = app_with(op, base_url=op.url, storage=MemoryStorage(token), **options)
    return app, blueprint.session


def test_a_refresh_is_not_redirected(op):
    """The refresh token does not reach another host."""
    expired = {"access_token": "x", "refresh_token": "y", "expires_at": 1}
    app, session = session_of(op, token=expired)
    op.answers["/token"] = lambda: redirect("/elsewhere", 307)
    with app.test_request_context(), pytest.raises(LoginError, match="provider_redirected"):
        session.get("/me")
    assert [] == op.asked_for("/elsewhere")


def test_the_apps_own_calls_follow_redirects(op):
    """The app's calls follow redirects like requests, and the response has a limit of size."""
    app, session = session_of(op, max_response_size=100_000)
    op.answers["/moved"] = lambda: redirect("/me")
    op.answers["/large"] = large
    with app.test_request_context():
        assert "Bearer x" == session.get("/moved").json()["bearer"]
        with pytest.raises(TOO_LARGE):
            session.get("/large")
        with session.get("/large", stream=True) as answer:
            assert 3_000_000 < sum(map(len, answer.iter_content(100_000)))


@flask_only
@pytest.mark.parametrize("path", ["/request", "/access"])
@pytest.mark.parametrize("kind", ["redirect", "large"])
def test_oauth1_has_the_same_limits(recorded, path, kind):
    """Both token calls of OAuth 1 refuse a redirect and a large response."""
    with misbehaving(path, kind) as url:
        app, _ = app_with(
            client_id="app",
            client_secret="secret",  # noqa: S106
            request_token_url=f"{url}/request",
            authorization_url=f"{url}/authorize",
            token_url=f"{url}/access",
            max_response_size=100_000,
        )
        client = app.test_client()
        client.get("/login/op")
        if path == "/access":
            client.get(
                CALLBACK, query_string={"oauth_token": "temporary", "oauth_verifier": "proof"}
            )
    message = recorded.only("oauth-error")["message"]
    expected = LoginError if kind == "redirect" else TOO_LARGE
    assert isinstance(message.exception, expected)


@contextmanager
def misbehaving(path, kind):
    """Serve a provider of OAuth 1 that misbehaves at one path."""
    app = Flask("provider")

    @app.post("/<name>")
    def call(name):
        if f"/{name}" == path:
            return redirect("/elsewhere", 307) if kind == "redirect" else large()
        return "oauth_token=temporary&oauth_token_secret=hidden&oauth_callback_confirmed=true"

    with served(app) as url:
        yield url


# -- time --------------------------------------------------------------------------------------


@contextmanager
def trickling(head, body):
    """Serve a response with one byte each 0.05 s, for minutes."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()

    def trickle(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(head)
            while not stopped.wait(0.05):
                try:
                    connection.sendall(body)
                except OSError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


TRICKLES = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "status line": (b"", b"H"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("head", "body"), TRICKLES.values(), ids=TRICKLES)
def test_the_timeout_is_for_the_whole_call(op, recorded, head, body):
    """If a provider sends single bytes slowly, the call ends with the timeout."""
    with trickling(head, body) as url:
        app, _ = app_with(op, token_url=f"{url}/token", timeout=1)
        client = app.test_client()
        sent = begin(client, op)
        ended = threading.Event()

        def call():
            client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
            ended.set()

        threading.Thread(target=call, daemon=True).start()
        assert ended.wait(20), "the call never ended"
    assert "provider_unreachable" == recorded.only("oauth-error")["error"]


def test_the_timeout_is_for_all_redirects_together(op):
    """If a provider sends endless slow redirects, the app's call ends with the timeout."""
    app, session = session_of(op)

    def slowly():
        time.sleep(0.2)
        return redirect("/slow")

    op.answers["/slow"] = slowly
    with app.test_request_context(), pytest.raises(CALL_FAILED) as failed:
        session.get("/slow", timeout=0.5)
    assert isinstance(failed.value, TIMED_OUT)
    assert len(op.asked_for("/slow")) < 10


# -- connections -------------------------------------------------------------------------------


def test_calls_share_a_connection(op):
    """Ten calls use one connection, and no call has the cookies of another one."""
    app, session = session_of(op)
    with keeping_alive() as (url, connections), app.test_request_context():
        assert {"none"} == {session.get(url).text for _ in range(10)}
    assert 1 == len(connections)


def test_a_connection_that_the_provider_closed_is_opened_again(op):
    """A GET is repeated on a new connection. A POST always uses a new connection."""
    app, session = session_of(op)
    with closing_after_each() as (url, asked), app.test_request_context():
        for _ in range(3):
            assert "ok" == session.get(url).text
        for _ in range(3):
            assert "ok" == session.post(url).text
    assert 6 == len(asked)


@contextmanager
def keeping_alive():
    """Serve with keep-alive, and give the URL and the ports of the connections."""
    ports = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            ports.add(self.client_address)
            body = self.headers.get("Cookie", "none").encode()
            self.send_response(200)
            self.send_header("Set-Cookie", "of=one-call")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", ports
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextmanager
def closing_after_each():
    """Serve with keep-alive, but close each connection when its second request comes."""
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with connection:
            asked.append(connection.recv(65536).partition(b" ")[0])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            connection.recv(65536)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_the_metadata_cannot_change_the_client(op, recorded):
    """Aldis reads only endpoints and lists of supported features from the metadata."""
    op.metadata = {
        "verify": False,
        "proxies": {"http": "http://127.0.0.1:9"},
        "default_timeout": 0.0001,
        "token_placement": "uri",
        "client_id": "another",
        "update_token": "x",
        "adapter": "x",
        "max_response_size": 1,
        "grant_type": "password",
        "prompt": "none",
    }
    app, _ = app_with(op)
    log_in(app.test_client(), op)
    assert ["oauth-before-login", "oauth-authorized"] == recorded.names()
