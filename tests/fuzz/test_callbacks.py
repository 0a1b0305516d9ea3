"""Any callback address gets an answer, and none leads to another site."""

from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.oauth.apps import CALLBACK, app_with, pending_logins

HOST = "localhost"
PROVIDER = "provider.example"

names = st.sampled_from(
    [
        *("state", "code", "error", "error_description", "error_uri", "iss", "next", "scope"),
        *("oauth_token", "oauth_verifier", "oauth_problem", "denied", "session_state"),
    ]
) | st.text(max_size=8)
words = st.sampled_from(
    [
        *("", "the-state", "//evil.example", "https://evil.example/", "/\\evil.example", "\0"),
        *("javascript:alert(1)", "access_denied", "a\r\nSet-Cookie: x=y", "%0d%0a", "x" * 3_000),
        *("/%09/evil.example", "\u2028", "{}", "[]", "__class__", "<script>", "https:evil.example"),
    ]
) | st.text(st.characters(codec="utf-8"), max_size=30)
queries = st.lists(st.tuples(names, words), max_size=6)
raw = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"))

ENDPOINTS = {"authorization_url": f"https://{PROVIDER}/authorize"}
KINDS = {
    # Nothing listens at the port: a code that is accepted by mistake would be noticed as well.
    "oauth2": {**ENDPOINTS, "token_url": "http://127.0.0.1:9/token"},
    "oauth1": {
        **ENDPOINTS,
        "token_url": "http://127.0.0.1:9/access",
        "request_token_url": "http://127.0.0.1:9/request",
    },
}


@pytest.fixture(params=KINDS)
def app(request):
    """Give an app that logs in with a provider."""
    options = {**KINDS[request.param], "client_id": "us", "client_secret": "s3cret", "timeout": 1}
    app, _ = app_with(**options)
    app.testing = False  # an error would be answered with 500, as users see it

    @app.post("/begun/<state>")
    def begun(state):
        from aldis.oauth import _login_state
        from aldis.oauth._flask import FLASK
        from aldis.oauth._login_cookies import LoginCookies

        login = _login_state.PendingLogin("verifier", next_url="/back")
        cookies = LoginCookies(FLASK, "op", "/login/op", CALLBACK)
        _login_state.save_login(cookies, state, login)
        return ""

    return app


def check(answer, *hosts):
    """Assert that the response is not a server error and leads to no other site."""
    assert answer.status_code in (200, 302, 400), answer.status_code
    target = answer.headers.get("Location")
    if target is None:
        return
    assert target.isprintable()
    assert "\\" not in target
    assert urlsplit(target).hostname in (None, HOST, *hosts), target
    assert urlsplit(target).hostname in hosts or not target.startswith("//"), target
    assert urlsplit(target).scheme in ("", "http", "https"), target


quickly = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quickly
@given(query=queries)
@example(query=[("state", "the-state"), ("state", "other"), ("code", "c")])
@example(query=[("state", "the-state"), ("error", "//evil.example"), ("error_uri", "//evil")])
@example(query=[("oauth_token", "the-state"), ("oauth_verifier", "\0")])
def test_the_way_back(app, query):
    """A random callback is refused, during a login and without one."""
    with app.test_client() as client:
        check(client.get(CALLBACK, query_string=query))
        client.post("/begun/the-state")
        check(client.get(CALLBACK, query_string=query))


@quickly
@given(query=raw)
@example(query="state=%ff%fe&code=%00")
@example(query="&&==&state&code")
@example(query="state[]=1&state[a]=2")
def test_a_query_that_is_none(app, query):
    """A query of bytes that are not text is refused."""
    with app.test_client() as client:
        check(client.get(f"{CALLBACK}?{query}"))


@quickly
@given(target=words, query=queries)
def test_the_way_there(app, target, query):
    """The page after the login is a path of this site; aldis ignores any other."""
    with app.test_client() as client:
        answer = client.get("/login/op", query_string=[("next", target), *query])
        check(answer, PROVIDER)
        for login in pending_logins(client):
            wanted = login.get("u")
            assert wanted is None or (wanted.startswith("/") and not wanted.startswith("//"))


@quickly
@given(state=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_an_unknown_state(app, state):
    """An unknown state finds no login and leaves the current login unchanged."""
    assume(state != "the-state")
    with app.test_client() as client:
        client.post("/begun/the-state")
        args = {"state": state, "oauth_token": state, "code": "c", "oauth_verifier": "v"}
        check(client.get(CALLBACK, query_string=args))
        assert [{"s": "verifier", "u": "/back"}] == pending_logins(client)
