"""The user's claims, the end of a session, and responses to scripts."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import redirect

from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth import MemoryStorage
from tests.oauth.apps import app_with, log_in
from tests.oauth.frameworks import CALL_FAILED

pytestmark = pytest.mark.usefixtures("framework")


def session_of(op, **options):
    """Return an app and a blueprint whose user has a token for "ada"."""
    token = {"access_token": "the-access-token", "id_token": op.id_token()}
    storage = MemoryStorage({**token, **options.pop("token", {})})
    return app_with(op, storage=storage, **options)


# -- userinfo ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["metadata", "setting"])
def test_the_claims_of_the_user(op, known):
    """The URL of the claims comes from the metadata or from the app's settings."""
    url = f"{op.url}/claims"
    op.metadata = {"userinfo_endpoint": url} if known == "metadata" else {}
    op.says("/claims", {"sub": "ada", "name": "Ada"})
    app, blueprint = session_of(op, userinfo_url=url if known == "setting" else None)
    with app.test_request_context():
        assert {"sub": "ada", "name": "Ada"} == blueprint.session.userinfo()
    assert "Bearer the-access-token" == op.asked_for("/claims")[0][2]["Authorization"]


@pytest.mark.parametrize(
    ("subject", "body", "expected"),
    [
        ("id", {"id": 7}, "7"),
        ("data.0.id", {"data": [{"id": "x"}]}, "x"),
        ("data.user.id", {"data": {"user": {"id": -1}}}, "-1"),
        (["team", "user.id"], {"team": "t", "user": {"id": 1}}, "t/1"),
    ],
)
def test_the_users_id_may_be_anywhere(op, subject, body, expected):
    """It becomes the text `sub`, and the rest stays as it is."""
    op.says("/user", body)
    app, blueprint = app_with(
        op,
        userinfo_url=f"{op.url}/user",
        userinfo_subject=subject,
        storage=MemoryStorage({"access_token": "x"}),
    )
    with app.test_request_context():
        assert {**body, "sub": expected} == blueprint.session.userinfo()


NO_IDS = [[], [{}], [{"id": None}], [{"id": ""}], [{"id": True}], [{"id": {}}], [{"id": 1.5}], "id"]


@pytest.mark.parametrize("data", NO_IDS)
def test_a_response_without_the_users_id_is_refused(op, data):
    """Two users must not share an account because both have none."""
    op.says("/user", {"data": data})
    app, blueprint = app_with(
        op,
        userinfo_url=f"{op.url}/user",
        userinfo_subject="data.0.id",
        storage=MemoryStorage({"access_token": "x"}),
    )
    with (
        app.test_request_context(),
        pytest.raises(LoginError, match=r"no user id at 'data\.0\.id'"),
    ):
        blueprint.session.userinfo()


def test_the_options_of_the_call_for_the_user(op):
    """The method, the body and headers, beside those of the provider."""
    app, blueprint = session_of(
        op,
        userinfo_url=f"{op.url}/claims",
        headers={"Accept": "application/x", "X-Client": "app"},
        userinfo_options={"method": "POST", "data": {"fields": "id"}},
    )
    op.says("/claims", {"sub": "ada"})
    with app.test_request_context():
        blueprint.session.userinfo()
    ((_, form, headers),) = op.asked_for("/claims")
    assert {"fields": "id"} == form
    assert ("application/x", "app") == (headers["Accept"], headers["X-Client"])


def test_the_claims_of_the_id_token_are_enough_for_some_providers(op):
    """Apple has no URL for them."""
    app, blueprint = session_of(op, userinfo_in_id_token=True)
    with app.test_request_context():
        assert "ada" == blueprint.session.userinfo()["sub"]
        blueprint.token = {"access_token": "x"}
        with pytest.raises(LoginError, match="no id_token"):
            blueprint.session.userinfo()


@pytest.mark.parametrize("body", [{"sub": "eve"}, {}, [], "page", None, {"sub": None}])
def test_claims_of_another_user_are_refused(op, body):
    """The subject must be that of the id_token (OpenID Connect Core, 5.3.2)."""
    op.says("/claims", body)
    app, blueprint = session_of(op, userinfo_url=f"{op.url}/claims")
    with app.test_request_context(), pytest.raises(LoginError, match="userinfo_invalid"):
        blueprint.session.userinfo()


def test_the_call_for_the_claims_has_limits(op):
    """A redirect is refused, and a refused token raises an error."""
    op.answers["/claims"] = lambda: redirect("/me")
    app, blueprint = session_of(op, userinfo_url=f"{op.url}/claims")
    with app.test_request_context():
        with pytest.raises(LoginError, match="provider_redirected"):
            blueprint.session.userinfo()
        op.says("/claims", {}, 401)
        with pytest.raises(CALL_FAILED):
            blueprint.session.userinfo()


@pytest.mark.parametrize("call", ["userinfo", "revoke"])
def test_an_unknown_endpoint_is_named(op, call):
    """The error names the missing setting."""
    app, blueprint = session_of(op)
    with app.test_request_context(), pytest.raises(OAuthSetupError, match="=") as failed:
        blueprint.session.userinfo() if call == "userinfo" else blueprint.revoke_token()
    assert ("userinfo_url" if call == "userinfo" else "revocation_url") in str(failed.value)


# -- logout ------------------------------------------------------------------------------------


def test_a_logout_ends_the_providers_session_too(op):
    """The provider gets the id_token and the page to return to."""
    op.metadata = {"end_session_endpoint": f"{op.url}/end"}
    app, blueprint = session_of(op)
    with app.test_request_context():
        id_token = blueprint.token["id_token"]
        answer = blueprint.logout("https://shop.example/bye")
        assert blueprint.token is None
    parts = urlsplit(answer.headers["Location"])
    sent = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert f"{op.url}/end" == f"{parts.scheme}://{parts.netloc}{parts.path}"
    assert ("app", id_token) == (sent["client_id"], sent["id_token_hint"])
    assert "https://shop.example/bye" == sent["post_logout_redirect_uri"]


@pytest.mark.parametrize(("target", "expected"), [(None, "/home"), ("/bye", "/bye")])
@pytest.mark.parametrize("down", [True, False])
def test_a_logout_without_a_page_of_the_provider(op, target, expected, down):
    """The user is logged out of the app, even if the provider is down."""
    if down:
        op.says("/.well-known/openid-configuration", "down", 503)
    app, blueprint = session_of(op, redirect_url="/home")
    with app.test_request_context():
        assert expected == blueprint.logout(target).headers["Location"]
        assert blueprint.token is None


# -- revocation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind"), [({}, "access_token"), ({"refresh_token": "r"}, "refresh_token")]
)
def test_a_token_is_revoked_and_deleted(op, more, kind):
    """The refresh token is revoked if there is one, and the client authenticates."""
    op.metadata = {"revocation_endpoint": f"{op.url}/revoke"}
    app, blueprint = session_of(op, token=more)
    with app.test_request_context():
        value = blueprint.token[kind]
        blueprint.revoke_token()
        assert blueprint.token is None
        blueprint.revoke_token()
    ((_, form, headers),) = op.asked_for("/revoke")
    assert {"token": value, "token_type_hint": kind} == form
    assert headers["Authorization"].startswith("Basic ")


def test_a_refused_revocation_raises_and_deletes_the_token(op):
    """The error has the status."""
    op.says("/revoke", {"error": "x"}, 400)
    app, blueprint = session_of(op, revocation_url=f"{op.url}/revoke")
    with app.test_request_context():
        with pytest.raises(LoginError, match="HTTP 400"):
            blueprint.revoke_token()
        assert blueprint.token is None


# -- scripts -----------------------------------------------------------------------------------

SCRIPTS = {
    "fetch": {"Sec-Fetch-Mode": "cors"},
    "fetch of the same site": {"Sec-Fetch-Mode": "same-origin"},
    "XMLHttpRequest": {"X-Requested-With": "XMLHttpRequest"},
    "JSON accepted": {"Accept": "application/json"},
    "JSON preferred": {"Accept": "text/html;q=0.5, application/json"},
    "JSON sent": {"Content-Type": "application/json"},
}
PAGES = {
    "nothing": {},
    "browser": {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
    "navigation": {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    "anything": {"Accept": "*/*"},
}


@pytest.mark.parametrize("headers", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_gets_401(op, headers):
    """The response has the URL of the login."""
    app, blueprint = app_with(op)
    app.add_url_rule("/data", "data", blueprint.authorization_required(lambda: "data"))
    answer = app.test_client().get("/data", headers=headers)
    assert 401 == answer.status_code
    assert {"error": "login_required", "login_url": "/login/op"} == answer.json
    assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
def test_a_page_gets_a_redirect(op, headers):
    """The redirect leads to the login."""
    app, blueprint = app_with(op)
    app.add_url_rule("/data", "data", blueprint.authorization_required(lambda: "data"))
    assert "/login/op?next=/data" == app.test_client().get("/data", headers=headers).location


def test_a_login_after_a_logout(op):
    """The user can log in again after a logout."""
    app, blueprint = app_with(op)
    app.add_url_rule("/exit", "exit", blueprint.logout)
    app.add_url_rule("/in", "in", lambda: str(blueprint.session.authorized))
    client = app.test_client()
    for _ in range(2):
        log_in(client, op)
        assert "True" == client.get("/in").text
        client.get("/exit")
        assert "False" == client.get("/in").text
