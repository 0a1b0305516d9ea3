"""The dashboard in real frameworks on real servers, under a prefix and behind a proxy."""

import re
from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from flask import Flask
from quart import Quart
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from aldis.durable import Outbox
from aldis.web import Dashboard, Grant
from tests.web.browser import form_in
from tests.web.serving import Browser, serving_asgi, serving_wsgi

pytestmark = pytest.mark.slow  # each test starts a server


def flask_app(dashboard):
    """Mount the dashboard into a Flask app."""
    app = Flask("shop")
    app.register_blueprint(dashboard.blueprint(), url_prefix="/signals")
    return serving_wsgi(app)


def wsgi_app(dashboard):
    """Mount the dashboard as a WSGI app."""
    return serving_wsgi(DispatcherMiddleware(Flask("shop"), {"/signals": dashboard.wsgi}))


def quart_app(dashboard):
    """Mount the dashboard into a Quart app."""
    app = Quart("shop")
    app.register_blueprint(dashboard.quart_blueprint(), url_prefix="/signals")
    return serving_asgi(app)


def starlette_app(dashboard):
    """Mount the dashboard into a Starlette app."""
    app = Starlette()
    app.mount("/signals", dashboard.asgi)
    return serving_asgi(app)


def fastapi_app(dashboard):
    """Mount the dashboard into a FastAPI app."""
    app = FastAPI()
    app.mount("/signals", dashboard.asgi)
    return serving_asgi(app)


def asgi_app(dashboard):
    """Serve the dashboard alone, under a root path."""

    async def app(scope, receive, send):
        await dashboard.asgi({**scope, "root_path": "/signals"}, receive, send)

    return serving_asgi(app)


FRAMEWORKS = [flask_app, wsgi_app, quart_app, starlette_app, fastapi_app, asgi_app]


@pytest.fixture(params=FRAMEWORKS, ids=lambda each: each.__name__.removesuffix("_app"))
def framework(request):
    """Give a function that serves a dashboard under /signals."""
    return request.param


def operator(_request):
    """Let ada operate."""
    return Grant("operate", "ada")


class TestFrameworks:
    def test_pages_files_and_changes(self, framework, place):
        """Pages, files, links and forms work under the prefix."""
        (dead,) = place.die("OSError: no paper")
        with framework(Dashboard(place.outbox, access=operator)) as port:
            browser = Browser(port)
            status, headers, html = browser.request("GET", f"/signals/deliveries/{dead}")
            assert (200, "no-store") == (status, headers["Cache-Control"])
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            for url in re.findall(r'(?:href|src)="(/[^"]*)"', html):
                assert url.startswith("/signals/"), url
                assert 200 == browser.request("GET", url.replace("&amp;", "&"))[0], url
            url, fields = form_in(html, "/replay")
            origin = f"http://127.0.0.1:{port}"
            assert 403 == browser.request("POST", url, fields, Origin="http://evil.example")[0]
            status, headers, _ = browser.request("POST", url, fields, Origin=origin)
            assert (303, f"/signals/deliveries/{dead}?done=replay&n=1") == (
                status,
                headers["Location"],
            )
            assert "pending" == place.state(dead)
            assert 409 == browser.request("POST", url, fields, Origin=origin)[0]

    def test_head_and_odd_requests(self, framework, place):
        """HEAD has no body, a huge body is refused, and a slash at the end does not matter."""
        with framework(Dashboard(place.outbox, access=operator)) as port:
            browser = Browser(port)
            assert (200, "") == browser.request("HEAD", "/signals/")[::2]
            assert 200 == browser.request("GET", "/signals/?live=off&x=%ff%00")[0]
            assert 404 == browser.request("GET", "/signals/%E2%82%AC/..%2f")[0]
            assert 413 == browser.request("POST", "/signals/prune", {"x": "y" * 70_000})[0]

    def test_closed_by_default(self, framework, place):
        """Without access= and without debug mode, even this machine gets a 404."""
        with framework(Dashboard(place.outbox)) as port:
            for path in ("/signals/", "/signals/static/aldis.css", "/signals/deliveries/1"):
                assert 404 == Browser(port).request("GET", path)[0]

    def test_the_native_request(self, framework, place):
        """The access function gets the framework's own request, and the path and the client."""
        seen = []

        def access(request):
            seen.append(request)
            return "read"

        with framework(Dashboard(place.outbox, access=access)) as port:
            assert 200 == Browser(port, {"X-Test": "1"}).request("GET", "/signals/dead?a=b")[0]
        (request,) = seen
        assert ("/signals", "/dead", "a=b") == (request.root, request.path, request.query)
        assert ("127.0.0.1", "1") == (request.client, request.headers["x-test"])
        assert request.native is not None


@pytest.mark.parametrize("mount", [flask_app, quart_app], ids=["flask", "quart"])
def test_debug_mode(mount, place, monkeypatch):
    """In debug mode, this machine may look and operate without access=."""
    monkeypatch.setattr("flask.Flask.debug", True)
    monkeypatch.setattr("quart.Quart.debug", True)
    with mount(Dashboard(place.outbox)) as port:
        assert 200 == Browser(port).request("GET", "/signals/")[0]
        proxied = Browser(port, {"X-Forwarded-For": "203.0.113.9"})
        assert 404 == proxied.request("GET", "/signals/")[0]


class TestProxies:
    PROXY = {  # noqa: RUF012 - nothing changes it
        "Host": "ops.example",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/shop",
    }

    def test_wsgi(self, place):
        """Behind a proxy with a prefix, links have the prefix and the cookie is secure."""
        app = Flask("shop")
        dashboard = Dashboard(place.outbox, access=operator)
        app.register_blueprint(dashboard.blueprint(), url_prefix="/signals")
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
        place.die("OSError")
        with serving_wsgi(app) as port:
            browser = Browser(port, self.PROXY)
            _, headers, html = browser.request("GET", "/signals/dead")
            assert 'href="/shop/signals/deliveries' in html
            assert "Path=/shop/signals; HttpOnly; SameSite=Lax; Secure" in headers["Set-Cookie"]
            url, fields = form_in(html, "/dead/replay")
            answer = browser.request(
                "POST", url.removeprefix("/shop"), fields, Origin="https://ops.example"
            )
            assert 303 == answer[0]

    def test_asgi(self, place):
        """On ASGI, the server's root path is the prefix."""
        middleware = [Middleware(ProxyHeadersMiddleware, trusted_hosts="127.0.0.1")]
        app = Starlette(middleware=middleware)
        app.mount("/signals", Dashboard(place.outbox, access=operator).asgi)
        with serving_asgi(app, root="/shop") as port:
            _, headers, html = Browser(port, self.PROXY).request("GET", "/signals/")
            assert 'href="/shop/signals/deliveries' in html
            assert "Secure" in headers["Set-Cookie"]


def test_async_access(place):
    """On ASGI and Quart, the access function may be async."""

    async def access(request):
        return Grant("read", "ada")

    for mount in (quart_app, starlette_app):
        with mount(Dashboard(place.outbox, access=access)) as port:
            assert 200 == Browser(port).request("GET", "/signals/")[0]


@pytest.mark.parametrize("mount", [starlette_app, flask_app], ids=["asgi", "wsgi"])
def test_an_async_engine(mount, place, tmp_path):
    """An outbox with an async engine is read with connections of the dashboard's own."""
    (dead,) = place.die("OSError: no paper")
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/place.db", poolclass=NullPool)
    dashboard = Dashboard(Outbox(engine=engine), access=operator)
    with ExitStack() as until_end:
        browser = Browser(until_end.enter_context(mount(dashboard)))
        html = browser.request("GET", "/signals/dead")[2]
        assert "no paper" in html
        url, fields = form_in(html, "/dead/replay")
        origin = f"http://127.0.0.1:{browser.port}"
        assert 303 == browser.request("POST", url, fields, Origin=origin)[0]
    assert "pending" == place.state(dead)
