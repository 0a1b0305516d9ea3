"""A rejected refresh token ends the login. Each provider reports it in its own way."""

import json

import pytest
from flask import Response

from aldis.errors import LoginError, LoginExpiredError
from aldis.oauth import MemoryStorage
from tests.oauth.apps import app_with

pytestmark = pytest.mark.usefixtures("framework")

EXPIRED = {"access_token": "old", "refresh_token": "dead", "expires_at": 1}


def form(text):
    """Return a function that makes a form-encoded response."""
    return lambda: Response(text, 200, mimetype="application/x-www-form-urlencoded")


def with_json(body, status):
    """Return a function that makes a response with a JSON body, or with a page."""
    if isinstance(body, str):
        return lambda: Response(body, status, mimetype="text/html")
    return lambda: Response(json.dumps(body), status, mimetype="application/json")


DEFINITE = {
    "RFC 6749": with_json({"error": "invalid_grant"}, 400),
    "GitHub": with_json({"error": "bad_refresh_token", "error_description": "incorrect"}, 200),
    "GitHub without Accept": form("error=bad_refresh_token&error_description=incorrect"),
    "Slack": with_json({"ok": False, "error": "invalid_refresh_token"}, 200),
    "Fitbit": with_json({"errors": [{"errorType": "invalid_grant"}], "success": False}, 400),
    "Fitbit with 200": with_json(
        {"errors": [{"errorType": "invalid_grant"}], "success": False}, 200
    ),
    "Twitch": with_json({"status": 400, "message": "Invalid refresh token"}, 400),
    "Facebook": with_json({"error": {"message": "expired", "code": 190}}, 400),
    "401": with_json({"error": "invalid_token"}, 401),
    "401 without a body": with_json("", 401),
    "403 with a page": with_json("<h1>Forbidden</h1>", 403),
    "WeChat": with_json({"errcode": 40030, "errmsg": "invalid refresh_token"}, 200),
    "success false": with_json({"success": False}, 200),
    "no reason": with_json({}, 400),
}

NOT_DEFINITE = {
    "429": with_json({"error": "invalid_grant"}, 429),
    "429 with a page": with_json("slow down", 429),
    "500": with_json({"error": "invalid_grant"}, 500),
    "503": with_json("<h1>Maintenance</h1>", 503),
    "408": with_json("", 408),
    "wrong secret": with_json({"error": "invalid_client"}, 401),
    "GitHub's wrong secret": with_json({"error": "incorrect_client_credentials"}, 200),
    "Slack's rate limit": with_json({"ok": False, "error": "ratelimited"}, 200),
    "RFC 6749 temporarily": with_json({"error": "temporarily_unavailable"}, 400),
    "a page with 200": with_json("<h1>Maintenance</h1>", 200),
    "an empty object": with_json({}, 200),
    "a list": with_json(["error"], 200),
    "a redirect": lambda: Response("", 302, headers={"Location": "https://other.example/"}),
}


@pytest.fixture
def app_and_blueprint(op):
    """Give an app whose user has an expired token."""
    storage = MemoryStorage(dict(EXPIRED))
    app, blueprint = app_with(op, base_url=op.url, storage=storage)
    app.add_url_rule("/plain", "plain", lambda: blueprint.session.get("/me").text)
    guarded = blueprint.authorization_required(lambda: blueprint.session.get("/me").text)
    app.add_url_rule("/guarded", "guarded", guarded)
    return app, blueprint


@pytest.mark.parametrize("answer", DEFINITE.values(), ids=DEFINITE)
def test_a_definite_rejection_ends_the_login(op, app_and_blueprint, answer):
    """The call raises LoginExpiredError, and the token is deleted."""
    app, blueprint = app_and_blueprint
    op.answers["/token"] = answer
    with app.test_request_context():
        with pytest.raises(LoginExpiredError):
            blueprint.session.get("/me")
        assert not blueprint.session.authorized
        assert blueprint.token is None


@pytest.mark.parametrize("answer", NOT_DEFINITE.values(), ids=NOT_DEFINITE)
def test_any_other_failure_keeps_the_login(op, app_and_blueprint, answer):
    """The call raises LoginError, the token stays, and the next call succeeds."""
    app, blueprint = app_and_blueprint
    op.answers["/token"] = answer
    with app.test_request_context():
        with pytest.raises(LoginError):
            blueprint.session.get("/me")
        assert EXPIRED == blueprint.token
        op.answers.clear()
        assert blueprint.session.get("/me").ok


@pytest.mark.parametrize("path", ["/plain", "/guarded"])
def test_the_user_is_redirected_to_the_login(op, app_and_blueprint, path):
    """Each page that calls the provider redirects to the login, from the first request on."""
    app, _ = app_and_blueprint
    op.answers["/token"] = DEFINITE["GitHub"]
    client = app.test_client()
    for _ in range(2):
        assert f"/login/op?next={path}" == client.get(path).headers["Location"]


@pytest.mark.parametrize("first", [True, False])
def test_an_apps_own_handler_comes_first(op, first):
    """A handler for LoginExpiredError replaces the redirect, in any order of registration."""
    from flask import Flask

    app = Flask("shop")
    if first:
        app.register_error_handler(LoginExpiredError, lambda error: "expired")
    _, blueprint = app_with(op, app=app, base_url=op.url, storage=MemoryStorage(dict(EXPIRED)))
    if not first:
        app.register_error_handler(LoginExpiredError, lambda error: "expired")
    app.add_url_rule("/plain", "plain", lambda: blueprint.session.get("/me").text)
    op.answers["/token"] = DEFINITE["RFC 6749"]
    assert "expired" == app.test_client().get("/plain").text
