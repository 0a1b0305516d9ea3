"""Apps that log in with a provider, and how a test goes through a login by hand."""

from urllib.parse import parse_qs, urlsplit

from flask import Flask
from itsdangerous import URLSafeSerializer

from aldis.oauth import OAuthBlueprint

CALLBACK = "/login/op/authorized"


def app_with(provider=None, *, app=None, **options):
    """Return an app and its blueprint, for an OpenID provider unless ``options`` say otherwise."""
    app = app or Flask("shop")
    app.secret_key = "only for tests"  # noqa: S105
    app.testing = True
    if provider is not None:
        options = {
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "server_metadata_url": provider.metadata_url,
            "scope": "openid email",
            "timeout": patience(silent=False),
            **options,
        }
    blueprint = OAuthBlueprint("op", **options)
    app.register_blueprint(blueprint)
    return app, blueprint


def patience(silent):
    """Return a timeout: short only where it is to run out, since the machine may be busy."""
    return 1 if silent else 20


def begin(client, provider=None, path="/login/op"):
    """Begin a login; return what was sent to the provider's address."""
    answer = client.get(path)
    assert answer.status_code == 302, answer.text
    sent = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    if provider is not None:
        provider.nonce = sent.get("nonce")
    return sent


def log_in(client, provider, path="/login/op", **changed):
    """Go through a login; ``changed`` is what the provider's redirect says instead."""
    sent = begin(client, provider, path)
    args = {"code": "the-code", "state": sent["state"], **changed}
    return client.get(CALLBACK, query_string={k: v for k, v in args.items() if v is not None})


def login_cookies(client):
    """Return the values of the cookies of the pending logins in a test client, by their names."""
    cookies = client._cookies.values()
    return {each.key: each.value for each in cookies if each.key.startswith("aldis_login_")}


def read_cookie(value):
    """Return the content of such a cookie."""
    return URLSafeSerializer("").load_payload(value.rsplit(".", 2)[0].encode())


def pending_logins(client):
    """Return the content of the pending logins in a test client."""
    return [read_cookie(value) for value in login_cookies(client).values()]
