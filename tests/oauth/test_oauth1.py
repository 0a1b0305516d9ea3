"""Logins with OAuth 1.0a, with a provider that checks the signatures."""

# ruff: noqa: D103 - the names of the helpers explain them

import pytest
import requests
from flask import Flask, redirect

from aldis.oauth import ErrorText, MemoryStorage, SessionStorage, oauth_authorized, oauth_error
from tests.oauth.apps import app_with, timeout_for
from tests.oauth.browser import Browser
from tests.oauth.providers import oauth1
from tests.oauth.serving import served


@pytest.fixture(scope="module")
def provider():
    with oauth1.running() as made:
        yield made


@pytest.fixture
def shop(provider):
    app = Flask("shop")
    with served(app) as url:
        app, blueprint = app_with(
            app=app,
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            request_token_url=f"{provider.url}/request",
            authorization_url=f"{provider.url}/authorize",
            token_url=f"{provider.url}/access",
            base_url=provider.url,
            redirect_url="/home",
        )
        app.add_url_rule("/home", "home", lambda: "home")
        app.add_url_rule("/me", "me", lambda: blueprint.session.get("/me").json())
        yield url, blueprint


def test_a_user_logs_in_and_calls_are_signed(shop, recorded):
    """The request token's secret is kept until the user is back. The provider checks signatures."""
    url, blueprint = shop
    browser = Browser()
    browser.http.cookies.set("user", "bob")
    assert "home" == browser.open(f"{url}/login/op").text
    assert ["oauth-before-login", "oauth-authorized"] == recorded.names()
    assert {blueprint} == {sender for _, sender, _ in recorded}
    token = recorded.only("oauth-authorized")["token"]
    assert {"oauth_token", "oauth_token_secret"} <= set(token)
    assert {"name": "bob"} == browser.open(f"{url}/me").json()


def test_a_receiver_calls_the_provider_with_the_new_token(shop):
    """The call works before the token is stored, and the user gets to the page of ``next``."""
    url, blueprint = shop
    told = []

    def who(sender, token):
        told.append((sender.token, sender.session.get("/me").json()))

    browser = Browser()
    with oauth_authorized.connected_to(who, blueprint):
        assert {"name": "ada"} == browser.open(f"{url}/login/op?next=/me").json()
    assert [(None, {"name": "ada"})] == told


def test_two_tabs_both_log_in(shop, recorded):
    """Each login keeps the secret of its own request token."""
    url, _ = shop
    browser = Browser()
    first = browser.open(f"{url}/login/op", until="/authorized?").headers["Location"]
    second = browser.open(f"{url}/login/op", until="/authorized?").headers["Location"]
    for back in (second, first):
        assert "home" == browser.open(back).text
    assert 2 == recorded.names().count("oauth-authorized")
    assert "oauth-error" not in recorded.names()


def test_a_user_who_declines_causes_oauth_error(shop, recorded):
    """A response without a verifier is an error with the payload of OAuth 1."""
    url, _ = shop
    browser = Browser()
    out = browser.open(f"{url}/login/op", until="/authorize?").headers["Location"]
    assert "home" == browser.open(f"{out}&declines=1").text
    payload = recorded.only("oauth-error")
    assert {"message", "response"} == set(payload)
    assert payload["message"].startswith("verifier_missing")
    assert isinstance(payload["message"], ErrorText)
    assert payload["response"] is None


@pytest.mark.parametrize("query", ["", "?oauth_token=guessed&oauth_verifier=x", "?denied=spoofed"])
def test_a_response_without_a_login(shop, recorded, query):
    """Such a URL could come from an attacker, so the message has no text from it."""
    url, _ = shop
    Browser().open(f"{url}/login/op/authorized{query}")
    assert recorded.only("oauth-error")["message"].startswith("state_")
    assert "spoofed" not in str(recorded)


def test_a_request_token_can_be_used_once(shop, recorded):
    """A repeated response does not belong to a login."""
    url, blueprint = shop
    browser = Browser()
    back = browser.open(f"{url}/login/op", until="/authorized?").headers["Location"]
    browser.open(back)
    blueprint.storage = SessionStorage("another key")  # the user has no token now
    browser.open(back)
    assert recorded.only("oauth-error")["message"].startswith("state_unknown")


def oauth1_app(op, **options):
    return app_with(
        client_id="app",
        client_secret=op.client_secret,
        request_token_url=f"{op.url}/request",
        authorization_url=f"{op.url}/authorize",
        token_url=f"{op.url}/access",
        redirect_url="/home",
        **options,
    )


GOOD = "oauth_token=one&oauth_token_secret=leaks&oauth_callback_confirmed=true"

ANSWERS = {
    "401": (lambda op, path: op.says(path, GOOD, 401), "token_refused", 401),
    "500": (lambda op, path: op.says(path, GOOD, 500), "token_refused", 500),
    "HTML": (lambda op, path: op.says(path, "<html>leaks</html>"), "provider_error", 200),
    "no secret": (lambda op, path: op.says(path, "oauth_token=leaks"), "provider_error", 200),
    "JSON": (lambda op, path: op.says(path, '{"error": "leaks"}'), "provider_error", 200),
    "broken JSON": (lambda op, path: op.says(path, '{"leaks'), "provider_error", 200),
    "silent": (lambda op, path: op.keeps_silent(path), "provider_unreachable", None),
}


@pytest.mark.parametrize(("happens", "code", "status"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("path", ["/request", "/access"])
def test_a_wrong_response_of_the_provider(  # noqa: PLR0913, PLR0917 - four arguments are parameters
    op, recorded, caplog, happens, code, status, path
):
    """At both endpoints, ``oauth_error`` has the response. Only the response may hold a secret."""
    app, blueprint = oauth1_app(op, timeout=timeout_for(status is None))
    client = app.test_client()
    op.answers.clear()
    op.says("/request", GOOD)
    happens(op, path)
    answer = client.get("/login/op")
    if path == "/access":
        answer = client.get("/login/op/authorized?oauth_token=one&oauth_verifier=two")
    assert 302 == answer.status_code
    payload = recorded.only("oauth-error")
    assert payload["message"].startswith(code)
    assert status == getattr(payload["response"], "status_code", None)
    told = f"{payload['message']} {payload['message'].exception!r} {payload['response']!r}"
    assert "leaks" not in told + caplog.text
    with app.test_request_context():
        assert blueprint.token is None


def test_the_user_gets_the_response_of_a_receiver(op):
    """Each failure of OAuth 1 uses the receiver's Response."""
    app, blueprint = oauth1_app(op)
    op.answers.clear()
    op.says("/request", "no", 401)

    def handle(sender, message, response):
        return redirect(f"/told/{response.status_code}")

    with oauth_error.connected_to(handle, blueprint):
        assert "/told/401" == app.test_client().get("/login/op").headers["Location"]


def test_oauth_error_has_the_exception_of_the_storage(op, recorded):
    """In this case, ``error`` is the only argument."""

    class Refusing(MemoryStorage):
        def set(self, blueprint, token):
            raise ValueError

    app, _ = oauth1_app(op, storage=Refusing())
    op.answers.clear()
    op.says("/request", GOOD)
    op.says("/access", GOOD)
    client = app.test_client()
    client.get("/login/op")
    client.get("/login/op/authorized?oauth_token=one&oauth_verifier=two")
    assert ["error"] == list(recorded.only("oauth-error"))
    assert isinstance(recorded.only("oauth-error")["error"], ValueError)


def test_a_provider_that_cannot_be_reached(recorded):
    """``oauth_error`` has no response."""
    app, _ = app_with(
        client_id="app",
        request_token_url="http://127.0.0.1:9/",  # noqa: S106
        authorization_url="http://127.0.0.1:9/",
        token_url="http://127.0.0.1:9/",  # noqa: S106
    )
    app.test_client().get("/login/op")
    payload = recorded.only("oauth-error")
    assert isinstance(payload["message"].exception, requests.ConnectionError)
    assert payload["response"] is None
