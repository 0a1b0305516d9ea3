"""A provider whose responses a test can change, for cases in which a certified one never is."""

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

SECRET = "the-client-secret-that-no-log-may-show"  # noqa: S105 - of a provider that lives for one test


def _text(value):
    return urlsafe_b64encode(value).rstrip(b"=").decode()


@cache
def key(kid):
    """Return a signing key. Each key is made only once, because that takes time."""
    return RSAKey.generate_key(2048, {"kid": kid})


class Scripted:
    """The provider and its responses.

    Attributes:
        answers: Functions that make other responses than the usual ones, by path.
        asked: The requests, with path, form and headers.
        nonce: The nonce of id_tokens. A test copies it from the URL of the login.
        metadata: Additional metadata of the provider.
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
        """Return the URL of the metadata."""
        return f"{self.url}/.well-known/openid-configuration"

    def id_token(self, *, signed_by="one", without=(), **claims):
        """Return a valid id_token. The arguments can make it invalid."""
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
        """Return an id_token without a signature, or signed with the text of the public key."""
        _, claims, _ = self.id_token().split(".")
        signed = f"{_text(json.dumps({'alg': algorithm, 'kid': 'one'}).encode())}.{claims}"
        if algorithm == "none":
            return f"{signed}."
        public = key("one").as_pem(private=False)
        return f"{signed}.{_text(hmac.digest(public, signed.encode(), 'sha256'))}"

    def token(self, **changed):
        """Return the usual response to a code, changed by the arguments."""
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
        """Let ``path`` respond with a JSON object or with a text."""
        if isinstance(answer, str):
            self.answers[path] = lambda: Response(answer, status, mimetype="text/html")
        else:
            text = json.dumps(answer)
            self.answers[path] = lambda: Response(text, status, mimetype="application/json")

    def keeps_silent(self, path):
        """Let ``path`` not respond before the end of the test."""

        def wait():
            self.released.wait(20)
            return Response("late")

        self.answers[path] = wait

    def asked_for(self, path):
        """Return the requests to ``path``."""
        return [each for each in self.asked if each[0] == path]

    def __call__(self, environ, start_response):
        """Respond to a request, as a WSGI app."""
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
    """Serve the provider."""
    provider = Scripted()
    with served(provider) as provider.url:
        yield provider
        provider.released.set()
