"""All known providers on one loopback server, under their real URLs."""

import json
import time
from base64 import b64decode, urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import requests
from flask import Flask
from joserfc import jwt
from werkzeug.wrappers import Request, Response

from aldis.oauth import MemoryStorage, OAuthBlueprint
from aldis.oauth._http import PooledAdapter
from tests.oauth.providers import oauth1
from tests.oauth.providers.known import apple_key, jira_key
from tests.oauth.providers.scripted import key
from tests.oauth.serving import served

CLIENT = "app"
KEYS_PATH = "/the-keys"


class World:
    """A server that behaves like one of the known providers.

    Attributes:
        known: The provider whose behaviour it shows.
        asked: The requests: their method, URL, form and headers.
        alive: Whether refresh tokens are valid.
    """

    def __init__(self):
        self.url = None
        self.become(None)

    def become(self, known):
        """Behave like ``known``, with nothing issued yet."""
        self.known = known
        self.asked = []
        self.alive = True
        self.numbers = count(1)
        self.login = {}
        self.access = self.refresh = None
        self.first_consent = True
        self.oauth1 = known and known.oauth1 and _oauth1_app(known)

    def __call__(self, environ, start_response):
        """Answer, as a WSGI app that sees the real URL."""
        original = urlsplit(environ["HTTP_X_ORIGINAL"])
        environ["wsgi.url_scheme"], environ["HTTP_HOST"] = original.scheme, original.netloc
        request = Request(environ)
        url = f"{original.scheme}://{original.netloc}{original.path}"
        self.asked.append((request.method, url, request.form.to_dict(), dict(request.headers)))
        if self.oauth1:
            return self.oauth1(environ, start_response)
        try:
            answer = self._answer(request, url)
        except _WrongError as error:
            answer = as_json(
                {"error": "the_request_is_wrong", "error_description": str(error)}, 400
            )
        return answer(environ, start_response)

    # -- the endpoints -------------------------------------------------------------------------

    def _answer(self, request, url):
        known = self.known
        if url == known.authorize:
            return self._authorize(request)
        if url == known.token:
            return self._token(request)
        if url == known.metadata:
            return as_json(self._metadata())
        if urlsplit(url).path == KEYS_PATH:
            return as_json({"keys": [key("one").as_dict(private=False)]})
        if url == known.revoke:
            self._check_client(request)
            return Response()
        return self._api(request, url)

    def _authorize(self, request):
        known, args = self.known, request.args
        expect(args.get("client_id") == CLIENT, "client_id")
        expect(args.get("response_type") == "code", "response_type")
        expect(args.get("scope") == known.scope, f"scope {args.get('scope')}")
        for name, value in known.params.items():
            expect(args.get(name) == value, f"{name} {args.get(name)}")
        expect(known.pkce or "code_challenge" not in args, "PKCE is not known here")
        expect(not known.needs_pkce or args.get("code_challenge_method") == "S256", "PKCE")
        self.login = args.to_dict()
        fields = {"code": "the-code", "state": args["state"]}
        if args.get("response_mode") == "form_post":
            if self.first_consent:
                name = {"firstName": "Ada", "lastName": "Lovelace"}
                fields["user"] = json.dumps({"name": name, "email": "eve@example.org"})
            self.first_consent = False
            return as_json(fields)
        return Response(
            status=302, headers={"Location": f"{args['redirect_uri']}?{urlencode(fields)}"}
        )

    def _token(self, request):
        known, form = self.known, request.form
        self._check_client(request)
        if form["grant_type"] == "refresh_token":
            if not self.alive or form["refresh_token"] != self.refresh:
                return self._as_asked(known.dead[1], known.dead[0], request)
            return self._as_asked(self._issue(first=False), 200, request)
        expect(form["redirect_uri"] == self.login["redirect_uri"], "redirect_uri")
        challenge = self.login.get("code_challenge")
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        fits = urlsafe_b64encode(digest).decode().rstrip("=") == challenge
        expect(fits if challenge else "code_verifier" not in form, "code_verifier")
        if form["code"] != "the-code":
            return self._as_asked(known.bad_code[1], known.bad_code[0], request)
        return self._as_asked(self._issue(first=True), 200, request)

    def _issue(self, *, first):
        known = self.known
        number = next(self.numbers)
        self.access = f"access-{number}"
        body = {"access_token": self.access, "token_type": "bearer"}
        if known.scope:
            body["scope"] = known.scope
        if known.lifetime is not None:
            body["expires_in"] = known.lifetime
        if known.refresh and (first or known.refresh == "rotates"):
            self.refresh = body["refresh_token"] = f"refresh-{number}"
        if known.metadata:
            body["id_token"] = self._id_token()
        return known.shape(body) if known.shape else body

    def _id_token(self):
        known, now = self.known, int(time.time())
        claims = {
            "iss": known.issuer,
            "sub": "ada",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            **known.claims,
        }
        if known.nonce:
            claims["nonce"] = self.login.get("nonce")
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key("one"))

    def _metadata(self):
        known = self.known
        parts = urlsplit(known.metadata)
        methods = {"post": ["client_secret_post"], "apple": ["client_secret_post"]}
        found = {
            "issuer": known.issuer,
            "authorization_endpoint": known.authorize,
            "token_endpoint": known.token,
            "jwks_uri": f"{parts.scheme}://{parts.netloc}{KEYS_PATH}",
            "id_token_signing_alg_values_supported": ["RS256"],
            "userinfo_endpoint": known.userinfo[1] if known.userinfo else None,
            "revocation_endpoint": known.revoke,
            "end_session_endpoint": known.logout,
            "token_endpoint_auth_methods_supported": methods.get(
                known.auth, ["client_secret_basic", "client_secret_post"]
            ),
            **known.more_metadata,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _api(self, request, url):
        known = self.known
        expect(
            request.headers.get("Authorization") == f"{known.scheme} {self.access}",
            "Authorization",
        )
        for name, value in known.headers.items():
            expect(request.headers.get(name, "").startswith(value), f"the header {name}")
        if known.userinfo and url == known.userinfo[1]:
            expect(request.method == known.userinfo[0], f"the method {request.method}")
            return as_json(known.userinfo[2])
        return as_json({"called": url})

    # -- their checks --------------------------------------------------------------------------

    def _check_client(self, request):
        known, form = self.known, request.form
        if known.auth == "basic":
            expect("client_secret" not in form, "the secret is in the form")
            kind, _, pair = request.headers.get("Authorization", "").partition(" ")
            expect(kind == "Basic", "Basic authentication")
            found = [unquote_plus(each) for each in b64decode(pair).decode().split(":")]
            expect(found == [CLIENT, known.secret], "the client")
            return
        expect("Authorization" not in request.headers, "the secret is in a header")
        expect(form.get("client_id") == CLIENT, "client_id")
        if known.auth == "post":
            expect(form.get("client_secret") == known.secret, "client_secret")
            return
        token = jwt.decode(form.get("client_secret", ""), apple_key(), algorithms=["ES256"])
        expect(token.header["kid"] == "ABC123DEFG", "the key id")
        claims = token.claims
        expect(claims["iss"] == "DEF123GHIJ" and claims["sub"] == CLIENT, "the team or the client")
        expect(claims["aud"] == "https://appleid.apple.com", "the audience")
        expect(claims["exp"] > time.time(), "the lifetime")

    def _as_asked(self, body, status, request):
        if self.known.accepts_forms and "json" not in request.headers.get("Accept", ""):
            return Response(urlencode(body), status, mimetype="application/x-www-form-urlencoded")
        return as_json(body, status)

    # -- for tests -----------------------------------------------------------------------------

    def app(self, known, **changed):
        """Return an app whose users log in with ``known``, and its blueprint."""
        self.become(known)
        app = Flask("shop")
        app.secret_key = "only for tests"  # noqa: S105
        app.testing = True
        prefix = known.name.upper()
        app.config[f"{prefix}_OAUTH_CLIENT_ID"] = CLIENT
        app.config[f"{prefix}_OAUTH_CLIENT_SECRET"] = known.secret
        arguments = {"storage": MemoryStorage(), "timeout": 20, **known.arguments, **changed}
        blueprint = OAuthBlueprint.from_preset(known.name, **arguments)
        app.register_blueprint(blueprint)
        return app, blueprint

    def log_in(self, client, **changed):
        """Go through a login as a browser does; return the last response."""
        name = self.known.name
        started = client.get(f"/login/{name}")
        assert started.status_code == 302, started.text
        answer = self._browse(started.headers["Location"])
        callback = f"/login/{name}/authorized"
        if answer.status_code == 200:
            # A form that the provider's page sends by itself, as a request of another site.
            returned = client.post(callback, data={**answer.json(), **changed})
            assert returned.status_code == 303
            return client.get(returned.headers["Location"])
        assert answer.status_code == 302, answer.text
        query = urlsplit(answer.headers["Location"]).query
        args = {key: values[0] for key, values in parse_qs(query).items()}
        return client.get(callback, query_string={**args, **changed})

    def _browse(self, url):
        parts = urlsplit(url)
        return requests.get(
            f"{self.url}{parts.path}?{parts.query}",
            headers={"X-Original": f"{parts.scheme}://{parts.netloc}{parts.path}"},
            allow_redirects=False,
            timeout=20,
        )

    def calls(self, url):
        """Return the requests to ``url``."""
        return [each for each in self.asked if each[1] == url]


class _WrongError(Exception):
    pass


def expect(fits, what):
    """Refuse a request that the real provider would refuse."""
    if not fits:
        raise _WrongError(f"not accepted: {what}")


def as_json(body, status=200):
    """Return a JSON response."""
    return Response(json.dumps(body), status, mimetype="application/json")


def _oauth1_app(known):
    request = known.token.replace("access-token", "request-token")
    urls = {
        "request": request.replace("access_token", "request_token"),
        "access": known.token,
        "authorize": known.authorize,
        "me": known.userinfo[1],
    }
    paths = {name: urlsplit(url).path for name, url in urls.items()}
    rsa_key = jira_key().as_pem(private=False).decode() if known.name.startswith("jira") else None
    return oauth1.provider_app(paths, me=known.oauth1, rsa_key=rsa_key)


@contextmanager
def running(patch):
    """Serve the world, and lead each call of aldis to it. ``patch`` replaces an attribute."""
    world = World()
    real = PooledAdapter.send

    def send(self, request, *args, **kwargs):
        url = request.url
        parts = urlsplit(url)
        request.headers["X-Original"] = f"{parts.scheme}://{parts.netloc}{parts.path}"
        request.url = f"{world.url}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        try:
            response = real(self, request, *args, **kwargs)
        finally:
            request.url = url
        response.url = url
        return response

    with served(world) as world.url:
        patch(PooledAdapter, "send", send)
        yield world
