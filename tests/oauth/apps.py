"""Apps that log in with a provider, and functions that run a login step by step."""

from urllib.parse import parse_qs, urlsplit

from flask import Flask
from itsdangerous import URLSafeSerializer

from aldis.oauth import OAuthBlueprint
from tests.oauth.frameworks import CHOSEN, SyncApp, SyncBlueprint

CALLBACK = "/login/op/authorized"


def app_with(provider=None, *, app=None, **options):
    """Return an app and its blueprint. Without other ``options``, the provider is OpenID."""
    app = app or (SyncApp() if CHOSEN[-1] == "quart" else Flask("shop"))
    app.secret_key = "only for tests"  # noqa: S105
    app.testing = True
    if provider is not None:
        options = {
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "server_metadata_url": provider.metadata_url,
            "scope": "openid email",
            "timeout": timeout_for(silent=False),
            **options,
        }
    if isinstance(app, SyncApp):
        blueprint = SyncBlueprint(app, "op", **options)
    else:
        blueprint = OAuthBlueprint("op", **options)
    app.register_blueprint(blueprint)
    return app, blueprint


def timeout_for(silent):
    """Return a timeout. It is short only if it must expire, because the machine may be busy."""
    return 1 if silent else 20


def begin(client, provider=None, path="/login/op"):
    """Begin a login, and return the parameters of the redirect to the provider."""
    answer = client.get(path)
    assert answer.status_code == 302, answer.text
    sent = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    if provider is not None:
        provider.nonce = sent.get("nonce")
    return sent


def log_in(client, provider, path="/login/op", **changed):
    """Run a login. ``changed`` replaces parameters of the provider's redirect."""
    sent = begin(client, provider, path)
    args = {"code": "the-code", "state": sent["state"], **changed}
    return client.get(CALLBACK, query_string={k: v for k, v in args.items() if v is not None})


def login_cookies(client):
    """Return the values of the cookies of the pending logins in a test client, by their names."""
    cookies = client._cookies.values()
    return {each.key: each.value for each in cookies if each.key.startswith("aldis_login_")}


def read_cookie(value):
    """Return the content of the cookie of a pending login."""
    return URLSafeSerializer("").load_payload(value.rsplit(".", 2)[0].encode())


def pending_logins(client):
    """Return the content of the pending logins in a test client."""
    return [read_cookie(value) for value in login_cookies(client).values()]
