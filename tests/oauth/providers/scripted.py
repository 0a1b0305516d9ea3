"""A provider that does what a test tells it to: for everything that a certified one never does."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from functools import cache, cached_property
from threading import Event

from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.oauth.serving import served

SECRET = "the-client-secret-that-nobody-may-see"  # noqa: S105 - of a provider that lives for one test


def _text(value):
    return urlsafe_b64encode(value).rstrip(b"=").decode()


@cache
def key(kid):
    """Return a signing key; making one takes a while, so each is made once."""
    return RSAKey.generate_key(2048, {"kid": kid})


class Scripted:
    """The provider, and what it is to do.

    Attributes:
        answers: What to answer instead, by path: a function.
        asked: The requests: their path, form and headers.
        nonce: What id_tokens repeat; a test copies it from the address of the login.
        metadata: Added to what the provider says of itself.
    """

    client_id = "app"
    client_secret = SECRET

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.nonce = None
        self.metadata = {}
        self.url = None
        self.released = Event()

    @property
    def metadata_url(self):
        """Where it says so."""
        return f"{self.url}/.well-known/openid-configuration"

    def id_token(self, *, signed_by="one", without=(), **claims):
        """Return an id_token: a good one, but for what the arguments say."""
        now = int(time.time())
        good = {
            "iss": self.url,
            "sub": "ada",
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
        }
        stated = {name: value for name, value in {**good, **claims}.items() if name not in without}
        return jwt.encode({"alg": "RS256", "kid": "one"}, stated, key(signed_by))

    def forged_id_token(self, algorithm):
        """Return an id_token that anybody could make: unsigned, or with the public key's text."""
        _, claims, _ = self.id_token().split(".")
        signed = f"{_text(json.dumps({'alg': algorithm, 'kid': 'one'}).encode())}.{claims}"
        if algorithm == "none":
            return f"{signed}."
        public = key("one").as_pem(private=False)
        return f"{signed}.{_text(hmac.digest(public, signed.encode(), 'sha256'))}"

    def token(self, **changed):
        """Return the answer to a code, but for what the arguments say."""
        good = {
            "access_token": "the-access-token",
            "refresh_token": "the-refresh-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "openid email",
            "id_token": self.id_token(),
        }
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def says(self, path, answer, status=200):
        """Let ``path`` answer with a JSON object, or with a text."""
        if isinstance(answer, str):
            self.answers[path] = lambda: Response(answer, status, mimetype="text/html")
        else:
            text = json.dumps(answer)
            self.answers[path] = lambda: Response(text, status, mimetype="application/json")

    def keeps_silent(self, path):
        """Let ``path`` not answer until the test is over."""

        def wait():
            self.released.wait(20)
            return Response("late")

        self.answers[path] = wait

    def asked_for(self, path):
        """Return the requests to ``path``."""
        return [each for each in self.asked if each[0] == path]

    def __call__(self, environ, start_response):
        """Answer, as a WSGI app."""
        return self._app(environ, start_response)

    @cached_property
    def _app(self):
        app = Flask("provider")

        @app.route("/<path:path>", methods=["GET", "POST"])
        def anything(path):
            path = f"/{path}"
            self.asked.append((path, request.form.to_dict(), dict(request.headers)))
            if path in self.answers:
                return self.answers[path]()
            return Response(json.dumps(self._usual(path)), mimetype="application/json")

        return app

    def _usual(self, path):
        if path == "/token":
            return self.token()
        if path == "/jwks":
            return {"keys": [key("one").as_dict(private=False)]}
        if path == "/me":
            return {"bearer": request.headers.get("Authorization")}
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
            **self.metadata,
        }


@contextmanager
def scripted():
    """Serve such a provider."""
    provider = Scripted()
    with served(provider) as provider.url:
        yield provider
        provider.released.set()
