"""Complete logins with a certified OpenID provider over real connections."""

import base64
import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, jsonify

from aldis.errors import LoginExpiredError, NotLoggedInError
from aldis.oauth import MemoryStorage, OAuthBlueprint, oauth_authorized
from tests.oauth.apps import read_cookie
from tests.oauth.browser import Browser
from tests.oauth.providers import oidc
from tests.oauth.serving import served

pytestmark = pytest.mark.slow

OFFLINE = "openid email offline_access"


class Shop:
    """A served app that logs in with a provider."""

    def __init__(self, site, *, seconds=600, **options):
        self.app = site.app = Flask("shop")
        self.app.secret_key = "only for tests"  # noqa: S105
        self.url, self.provider = site.url, site.provider
        self.provider.begin(seconds)
        self.blueprint = OAuthBlueprint(
            "op",
            client_id=self.provider.client_id,
            client_secret=self.provider.client_secret,
            server_metadata_url=self.provider.metadata_url,
            base_url=self.provider.issuer,
            scope=OFFLINE,
            authorization_url_params={"prompt": "consent"},
            **options,
        )
        self.app.register_blueprint(self.blueprint)
        self.app.add_url_rule("/", "home", lambda: "home")
        self.app.add_url_rule("/me", "me", self.blueprint.authorization_required(self._me))
        self.app.add_url_rule("/token", "token", lambda: jsonify(self.blueprint.token))
        self.app.add_url_rule("/age", "age", self._age)
        self.app.add_url_rule("/twice", "twice", lambda: [self._me()["sub"] for _ in range(2)])

    def _age(self):
        self.blueprint.token = {**self.blueprint.token, "expires_at": 1}
        return ""

    def _me(self):
        return self.blueprint.session.get("/me").json()


class Site:
    """A URL that the provider knows. Each test serves its own app there."""

    app = url = provider = None

    def __call__(self, environ, start_response):
        """Respond to a request, as a WSGI app."""
        return self.app(environ, start_response)


@pytest.fixture(scope="module")
def site():
    """Give the URL of all shops of this module."""
    made = Site()
    with served(made) as made.url, oidc.running(f"{made.url}/login/op/authorized") as provider:
        made.provider = provider
        yield made


def test_a_user_logs_in_and_the_app_calls_the_provider(site, recorded):
    """The login uses metadata, a code, PKCE with S256, a nonce and an id_token."""
    shop = Shop(site)
    browser = Browser("ada")
    assert "home" == browser.open(f"{shop.url}/login/op").text
    assert ["oauth-before-login", "oauth-authorized"] == recorded.names()
    assert {shop.blueprint} == {sender for _, sender, _ in recorded}

    token = recorded.only("oauth-authorized")["token"]
    assert ["openid", "email", "offline_access"] == token["scope"]
    assert "ada" == token["userinfo"]["sub"]

    url = recorded.only("oauth-before-login")["url"]
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert "S256" == sent["code_challenge_method"]
    assert token["userinfo"]["nonce"] == sent["nonce"]

    assert {"sub": "ada", "email": "ada@example.org"} == browser.open(f"{shop.url}/me").json()
    assert {"authorization_code": 1} == shop.provider.grants()


def test_the_claims_are_not_stored(site):
    """``userinfo`` is for receivers only. The storage gets the provider's response and scopes."""
    shop = Shop(site)
    browser = Browser()
    browser.open(f"{shop.url}/login/op")
    stored = browser.open(f"{shop.url}/token").json()
    expected = {"access_token", "expires_at", "expires_in", "id_token", "refresh_token", "scope"}
    assert expected | {"token_type"} == set(stored)


def test_the_provider_gets_the_verifier_of_the_challenge(site, recorded):
    """The provider requires PKCE, so the code alone is not enough for a token."""
    shop = Shop(site)
    browser = Browser()
    back = browser.open(f"{shop.url}/login/op", until="/authorized?")
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    thief = Browser("mallory")
    own = thief.open(f"{shop.url}/login/op", until="/authorized?").headers["Location"]
    assert thief.open(re.sub(r"code=[^&]+", f"code={code}", own)).ok
    assert "invalid_grant" == recorded.only("oauth-error")["error"]
    assert "null" == thief.open(f"{shop.url}/token").text.strip()


def test_a_page_that_needs_a_login_is_reached_through_it(site):
    """``authorization_required`` redirects to the login. Then the user gets to the page."""
    shop = Shop(site)
    browser = Browser("bob")
    assert "bob" == browser.open(f"{shop.url}/me?a=b&c=%20d").json()["sub"]
    assert browser.visited[-1].endswith("/me?a=b&c=%20d")


def test_an_expired_token_is_refreshed_and_stored(site):
    """The provider rotates refresh tokens. Each is used once, and the next one is stored."""
    shop = Shop(site, seconds=1, leeway=0)
    browser = Browser()
    browser.open(f"{shop.url}/login/op")
    first = browser.open(f"{shop.url}/token").json()
    for _ in range(2):
        time.sleep(1.2)
        assert "ada" == browser.open(f"{shop.url}/me").json()["sub"]
    last = browser.open(f"{shop.url}/token").json()
    assert {"authorization_code": 1, "refresh_token": 2} == shop.provider.grants()
    for name in ("access_token", "refresh_token"):
        assert first[name] != last[name]
    assert first["scope"] == last["scope"]


@pytest.mark.parametrize("storage", ["session", "memory"])
def test_concurrent_calls_refresh_once(site, storage):
    """Concurrent requests with an expired token share one refresh, and no grant is lost."""
    options = {"storage": MemoryStorage()} if storage == "memory" else {}
    shop = Shop(site, **options)
    browser = Browser()
    browser.open(f"{shop.url}/login/op")
    browser.open(f"{shop.url}/age")
    cookies = browser.http.cookies.get_dict()

    def call(_):
        another = Browser()
        another.http.cookies.update(cookies)
        return another.open(f"{shop.url}/me").json()["sub"]

    with ThreadPoolExecutor(12) as pool:
        assert ["ada"] * 24 == list(pool.map(call, range(24)))
    assert {"authorization_code": 1, "refresh_token": 1} == shop.provider.grants()


def test_two_calls_in_one_request_refresh_once(site):
    """The second call uses the token that the first call refreshed."""
    shop = Shop(site)
    browser = Browser()
    browser.open(f"{shop.url}/login/op")
    browser.open(f"{shop.url}/age")
    assert ["ada", "ada"] == browser.open(f"{shop.url}/twice").json()
    assert 1 == shop.provider.grants()["refresh_token"]


def test_a_refused_refresh_ends_the_login(site):
    """The token is deleted, so the user can log in again. The error explains this."""
    storage = MemoryStorage()
    shop = Shop(site, storage=storage)
    Browser().open(f"{shop.url}/login/op")
    dead = {**storage.get(shop.blueprint), "refresh_token": "made up", "expires_at": 1}
    storage.set(shop.blueprint, dead)
    with shop.app.test_request_context():
        assert shop.blueprint.session.authorized
        with pytest.raises(LoginExpiredError, match="log in again") as refused:
            shop.blueprint.session.get("/me")
        assert not shop.blueprint.session.authorized
        assert "op" == refused.value.provider
        with pytest.raises(NotLoggedInError, match="this user has not logged in"):
            shop.blueprint.session.get("/me")
    assert {"authorization_code": 1, "refresh_token: invalid_grant": 1} == shop.provider.grants()


def test_a_receiver_calls_the_provider_with_the_new_token(site):
    """Before the token is stored, only ``blueprint.session`` has it."""
    shop = Shop(site)
    told = []

    def who(sender, token):
        told.append((sender.session.authorized, sender.token, sender.session.get("/me").json()))
        return False

    with oauth_authorized.connected_to(who, shop.blueprint):
        browser = Browser("bob")
        browser.open(f"{shop.url}/login/op")
    assert [(True, None, {"sub": "bob", "email": "bob@example.org"})] == told
    assert "null" == browser.open(f"{shop.url}/token").text.strip()


def test_two_tabs_both_log_in(site, recorded):
    """Two logins of one browser at once do not mix their secrets, in any order of their ends."""
    shop = Shop(site)
    browser = Browser()
    first = browser.open(f"{shop.url}/login/op?next=/?tab=1", until="/authorized?")
    second = browser.open(f"{shop.url}/login/op?next=/?tab=2", until="/authorized?")
    for tab, back in ((2, second), (1, first)):
        assert "home" == browser.open(back.headers["Location"]).text
        assert browser.visited[-1].endswith(f"/?tab={tab}")
    assert 2 == recorded.names().count("oauth-authorized")
    assert "oauth-error" not in recorded.names()


def test_a_user_who_declines_causes_oauth_error(site, recorded):
    """``oauth_error`` has the provider's text, and the user gets back to the shop."""
    shop = Shop(site)
    browser = Browser()
    page = browser.open(f"{shop.url}/login/op", until="/interaction/")
    form = f"{shop.provider.issuer}{urlsplit(page.headers['Location']).path}/abort"
    browser.http.get(f"{shop.provider.issuer}{urlsplit(page.headers['Location']).path}", timeout=9)
    assert "home" == browser.open(form).text
    assert "access_denied" == recorded.only("oauth-error")["error"]
    assert "End-User aborted interaction" == recorded.only("oauth-error")["error_description"]


def _challenge(verifier):
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_each_login_has_new_secrets(site, recorded):
    """State, nonce and challenge are new for every login of a browser."""
    shop = Shop(site)
    browser = Browser()
    for _ in range(3):
        browser.open(f"{shop.url}/login/op", until=shop.provider.issuer)
    sent = [parse_qs(urlsplit(payload["url"]).query) for _, _, payload in recorded]
    for name in ("state", "nonce", "code_challenge"):
        assert 3 == len({each[name][0] for each in sent})
    kept = [each for each in browser.http.cookies if each.name.startswith("aldis_login_")]
    challenges = {_challenge(read_cookie(each.value)["s"]) for each in kept}
    assert challenges == {each["code_challenge"][0] for each in sent}


def test_claims_logout_and_revocation(site):
    """The certified provider gives the claims, ends its session, and revokes a token."""
    shop = Shop(site)
    blueprint = shop.blueprint
    shop.app.add_url_rule("/claims", "claims", lambda: blueprint.session.userinfo())
    shop.app.add_url_rule("/exit", "exit", lambda: blueprint.logout())
    shop.app.add_url_rule("/revoke", "revoke", lambda: str(blueprint.revoke_token()))
    browser = Browser()
    browser.open(f"{shop.url}/login/op")
    claims = browser.open(f"{shop.url}/claims").json()
    assert ("ada", "ada@example.org") == (claims["sub"], claims["email"])
    away = browser.open(f"{shop.url}/exit", until="/session/end")
    assert "id_token_hint" in away.headers["Location"]
    assert 200 == browser.open(away.headers["Location"]).status_code
    browser.open(f"{shop.url}/login/op")
    assert "None" == browser.open(f"{shop.url}/revoke").text
