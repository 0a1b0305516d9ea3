"""No response of a provider causes a 500, in a login or in a later call."""

import json

import pytest
from flask import Response
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aldis.oauth import MemoryStorage
from tests.oauth.apps import CALLBACK, app_with, begin
from tests.oauth.providers.scripted import scripted

pytestmark = pytest.mark.slow

METADATA = "/.well-known/openid-configuration"

names = st.sampled_from(
    [
        *("access_token", "refresh_token", "token_type", "expires_in", "expires_at", "scope"),
        *("id_token", "error", "error_description", "error_uri", "errors", "ok", "userinfo"),
        *("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "keys", "kty", "n"),
        *("id_token_signing_alg_values_supported", "token_endpoint_auth_methods_supported"),
    ]
)
scalars = st.sampled_from(
    [
        *(None, True, False, 0, -1, 7, 10**400, 1.5, float("inf"), "", "x", "a\nb", "\0", "\ud800"),
        *("Bearer", "3600", "http://[", "javascript:1", "RSA", "none", "invalid_grant", "9" * 5000),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(names, values, max_size=8).map(json.dumps) | values.map(json.dumps)
texts = st.text(max_size=40).map(lambda text: text.encode(errors="replace"))
contents = bodies | texts | st.binary(max_size=40)
statuses = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 404, 429, 500, 503])
types = st.sampled_from(["application/json", "text/html", "application/x-www-form-urlencoded", "x"])

quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def provider():
    """Give a provider that does what a test tells it to."""
    with scripted() as made:
        yield made


def app_for(provider, scope="openid email"):
    """Return a new app, as users see it, and its blueprint."""
    provider.answers.clear()
    provider.metadata, provider.nonce = {}, None
    app, blueprint = app_with(provider, scope=scope, storage=MemoryStorage(), base_url=provider.url)
    app.testing = False
    app.add_url_rule("/me", "me", lambda: blueprint.session.get("/me").text)
    return app, blueprint


@quickly
@given(content=contents, status=statuses, kind=types, scope=st.sampled_from(["openid", "email"]))
@example(content='{"access_token": "x", "expires_in": 1e400}', status=200, kind="x", scope="email")
@example(content='{"access_token": "x", "id_token": {}}', status=200, kind="x", scope="openid")
@example(content="access_token=x&expires=soon", status=200, kind="x", scope="email")
def test_a_token_response(provider, content, status, kind, scope):
    """The login ends with a redirect, and a call to the provider with a response."""
    app, _ = app_for(provider, scope)
    client = app.test_client()
    sent = begin(client, provider)
    provider.answers["/token"] = lambda: Response(content, status, content_type=kind)
    answer = client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert 302 == answer.status_code
    assert client.get("/me").status_code in (200, 302)


@quickly
@given(content=contents, status=statuses, path=st.sampled_from([METADATA, "/jwks"]))
@example(content='{"keys": [{"kty": "RSA", "n": 7, "e": null}, null]}', status=200, path="/jwks")
def test_metadata_and_keys(provider, content, status, path):
    """The login ends with a redirect."""
    app, _ = app_for(provider)
    client = app.test_client()
    provider.answers[path] = lambda: Response(content, status, content_type="application/json")
    answer = client.get("/login/op")
    assert 302 == answer.status_code
    if "state=" in answer.location and path == "/jwks":
        provider.answers.pop(METADATA, None)
        sent = begin(client, provider)
        args = {"code": "the-code", "state": sent["state"]}
        assert 302 == client.get(CALLBACK, query_string=args).status_code


@quickly
@given(content=contents, status=statuses, kind=types)
def test_a_refresh_response(provider, content, status, kind):
    """The call succeeds, or it raises an error of aldis, and no other one."""
    from aldis.errors import LoginError

    app, blueprint = app_for(provider)
    app.register_error_handler(LoginError, lambda error: (error.code, 503))
    with app.test_request_context():
        blueprint.token = {"access_token": "x", "refresh_token": "y", "expires_at": 1}
    provider.answers["/token"] = lambda: Response(content, status, content_type=kind)
    assert app.test_client().get("/me").status_code in (200, 302, 503)
