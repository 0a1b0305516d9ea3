"""Runs the tests of logins on Flask and on Quart: a sync view of a Quart app and its blueprint."""

import asyncio
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import httpx2
import pytest
import requests
from quart import Quart

from aldis.oauth import _async_http, _http
from aldis.oauth.quart import OAuthBlueprint

#: The framework of the apps that :func:`tests.oauth.apps.app_with` makes.
CHOSEN = ["flask"]

_CONTEXT = ContextVar("request", default=None)


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, coroutine):
        """Return the result of ``coroutine``."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def close(self):
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


LOOPS = []


class SyncApp:
    """A Quart app with the methods of a Flask app."""

    def __init__(self, name="shop"):
        self.quart = Quart(name)
        self.loop = Loop()
        LOOPS.append(self)

    def close(self):
        """Close the app's connections and its loop."""

        async def shut_down():
            for function in self.quart.after_serving_funcs:
                await function()

        with suppress(Exception):
            self.loop.run(shut_down())
        self.loop.close()

    def __getattr__(self, name):
        return getattr(self.quart, name)

    def __setattr__(self, name, value):
        if name in ("quart", "loop"):
            super().__setattr__(name, value)
        else:
            setattr(self.quart, name, value)

    def register_blueprint(self, blueprint, **options):
        """Register the blueprint behind a sync one."""
        self.quart.register_blueprint(getattr(blueprint, "real", blueprint), **options)

    def add_url_rule(self, path, endpoint, view):
        """Add a sync view. It runs in a thread, so that it may use the sync blueprint."""
        self.quart.add_url_rule(path, endpoint, view)

    def test_client(self):
        """Return a client with the methods of Flask's."""
        return SyncClient(self)

    @contextmanager
    def test_request_context(self, path="/", headers=None):
        """Let the sync blueprint use a request."""
        token = _CONTEXT.set((path, headers or {}))
        try:
            yield
        finally:
            _CONTEXT.reset(token)


class SyncClient:
    """A test client of a Quart app."""

    def __init__(self, app):
        self._app = app
        self._client = app.quart.test_client()

    @property
    def _cookies(self):
        return {each.name: _Cookie(each) for each in self._client.cookie_jar}

    def _send(self, method, path, **options):
        async def send():
            response = await getattr(self._client, method)(path, **options)
            return Answer(response, await response.get_data(as_text=True))

        return self._app.loop.run(send())

    def get(self, path, **options):
        """Send a GET."""
        return self._send("get", path, **options)

    def post(self, path, data=None, **options):
        """Send a form."""
        return self._send("post", path, **({"form": data} if data else {}), **options)


class _Cookie:
    def __init__(self, cookie):
        self.key = cookie.name
        self.value = cookie.value


class Answer:
    """A response with its body."""

    def __init__(self, response, text):
        self.status_code = response.status_code
        self.headers = response.headers
        self.location = response.headers.get("Location")
        self.text = text

    @property
    def json(self):
        """The body as JSON."""
        import json

        return json.loads(self.text)


class SyncBlueprint:
    """The blueprint of a Quart app, with the calls of a Flask blueprint."""

    def __init__(self, app, name, **options):
        self._app = app
        self.real = OAuthBlueprint(name, **options)
        self.session = SyncSession(self)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def call(self, function, *args, **kwargs):
        """Run an async function in the current request, or in a new one."""
        path, headers = _CONTEXT.get() or ("/", {})

        async def run():
            from quart import has_request_context

            if has_request_context():
                return await function(*args, **kwargs)
            async with self._app.quart.test_request_context(path, headers=headers):
                return await function(*args, **kwargs)

        return self._app.loop.run(run())

    def _get_current_object(self):
        # Signals take the object behind a proxy for the sender.
        return self.real

    def start_login(self, *args, **params):
        """Begin a login."""
        return self.call(self.real.start_login, *args, **params)

    @property
    def token(self):
        """The user's token."""
        return self.call(self.real.token)

    @token.setter
    def token(self, token):
        self.call(self.real.set_token, token)

    def logout(self, *args):
        """Log out."""
        return self.call(self.real.logout, *args)

    def revoke_token(self):
        """Revoke the token."""
        return self.call(self.real.revoke_token)

    def authorization_required(self, view):
        """Guard a sync view."""
        return self.real.authorization_required(view)


class SyncSession:
    """The session of that blueprint."""

    def __init__(self, blueprint):
        self._blueprint = blueprint

    @property
    def authorized(self):
        """Whether the user has a token."""
        return self._blueprint.call(self._blueprint.real.session.is_authorized)

    def get(self, url, **options):
        """Send a GET."""
        if options.pop("stream", False):
            return self._blueprint.call(self._streamed, url)
        response = self._blueprint.call(self._blueprint.real.session.get, url, **options)
        response.ok = response.is_success
        return response

    def post(self, url, **options):
        """Send a POST."""
        return self._blueprint.call(self._blueprint.real.session.post, url, **options)

    async def _streamed(self, url):
        async with self._blueprint.real.session.stream("GET", url) as response:
            return Streamed([chunk async for chunk in response.aiter_bytes()])

    def userinfo(self):
        """Fetch the claims."""
        return self._blueprint.call(self._blueprint.real.session.userinfo)


class Streamed(list):
    """The pieces of a streamed response."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def iter_content(self, _size):
        """Return the pieces."""
        return self


#: A mark for tests of functions of Flask, or of no framework.
flask_only = pytest.mark.parametrize("framework", ["flask"], indirect=True)

#: The errors of both HTTP clients.
CALL_FAILED = (requests.RequestException, httpx2.HTTPError)
TIMED_OUT = (requests.Timeout, requests.ConnectionError, httpx2.TimeoutException)
TOO_LARGE = (_http.ResponseTooLargeError, _async_http.ResponseTooLargeError)
