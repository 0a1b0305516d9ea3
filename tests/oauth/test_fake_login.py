"""The mock for tests of apps logs a user in with one line, without a provider."""

import pytest
from flask import Flask

from aldis.errors import LoginExpiredError
from aldis.oauth import OAuthBlueprint
from aldis.testing.oauth import log_in


@pytest.fixture
def hub_app():
    """Give an app without credentials for its provider."""
    app = Flask("shop")
    app.secret_key = "only for tests"  # noqa: S105
    app.testing = True
    hub = OAuthBlueprint(
        "hub",
        base_url="https://api.hub.example/v1/",
        server_metadata_url="https://hub.example/.well-known/openid-configuration",
        scope="openid",
    )
    app.register_blueprint(hub)
    profile = hub.authorization_required(lambda: hub.session.get("user").json()["login"])
    app.add_url_rule("/profile", "profile", profile)
    app.add_url_rule("/claims", "claims", lambda: hub.session.userinfo())
    return app, hub


def test_one_line_logs_a_user_in(hub_app, recorded):
    """The receivers get the claims, and calls get canned responses."""
    app, hub = hub_app
    client = app.test_client()
    assert 302 == client.get("/profile").status_code
    log_in(client, hub, userinfo={"sub": "ada"}, responses={"/v1/user": {"login": "ada"}})
    assert {"sub": "ada"} == recorded.only("oauth-authorized")["token"]["userinfo"]
    assert "ada" == client.get("/profile").text
    assert {"sub": "ada"} == client.get("/claims").json
    assert 302 == app.test_client().get("/profile").status_code


def test_a_login_that_the_provider_refuses(hub_app, recorded):
    """The app's handler of `oauth_error` can be tested."""
    app, hub = hub_app
    log_in(app.test_client(), hub, error="access_denied")
    assert "access_denied" == recorded.only("oauth-error")["error"]


def test_a_call_without_a_canned_response_is_named(hub_app):
    """The call is not sent, and the error names it."""
    app, hub = hub_app
    client = app.test_client()
    log_in(client, hub)
    with pytest.raises(AssertionError, match="/v1/user"):
        client.get("/profile")


def test_an_expired_token_is_refreshed(hub_app):
    """A test may set values of the token."""
    app, hub = hub_app
    client = app.test_client()
    token = {"expires_at": 1, "refresh_token": "again"}
    log_in(client, hub, token=token, responses={"/v1/user": {"login": "ada"}})
    assert "ada" == client.get("/profile").text
    log_in(client, hub, token={"expires_at": 1})
    with app.test_request_context():
        hub.token = {"access_token": "x", "expires_at": 1}
        with pytest.raises(LoginExpiredError):
            hub.session.get("user")
