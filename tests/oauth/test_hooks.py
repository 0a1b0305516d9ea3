"""The settings for providers that deviate from the standard."""

import json
from base64 import b64decode
from itertools import count
from urllib.parse import unquote_plus

import pytest
from flask import Response

from aldis.errors import OAuthSetupError
from aldis.oauth import MemoryStorage
from tests.oauth.apps import CALLBACK, app_with, begin, log_in


def form_of(op, path="/token"):
    """Return the form of the last request to ``path``."""
    return op.asked_for(path)[-1][1]


def headers_of(op, path="/token"):
    """Return the headers of the last request to ``path``."""
    return op.asked_for(path)[-1][2]


def test_a_compliance_fix_reaches_each_kind_of_call(op, recorded):
    """Authlib's hooks change the response to a code, to a refresh, and the app's own calls."""

    def unwrap(response):
        body = response.json()
        response._content = json.dumps(body["data"]).encode()
        return response

    def fix(session):
        session.register_compliance_hook("access_token_response", unwrap)
        session.register_compliance_hook("refresh_token_response", unwrap)
        session.register_compliance_hook(
            "protected_request", lambda url, headers, body: (url, {**headers, "X-Fix": "y"}, body)
        )

    op.says("/token", {"data": {**op.token(id_token=None), "expires_at": 1}})
    storage = MemoryStorage()
    app, blueprint = app_with(
        op, scope="email", compliance_fix=fix, base_url=op.url, storage=storage
    )
    log_in(app.test_client(), op)
    op.says("/token", {"data": {"access_token": "second", "expires_in": 300}})
    with app.test_request_context():
        blueprint.session.get("/me")
        assert "second" == blueprint.token["access_token"]
    assert "y" == headers_of(op, "/me")["X-Fix"]
    assert "oauth-error" not in recorded.names()


def test_another_client_authentication_method(op):
    """The client uses the method for the code and for a refresh."""

    def sign(client, method, uri, headers, body):
        headers["Authorization"] = f"Own {client.client_id}"
        return uri, headers, body

    app, blueprint = app_with(
        op,
        scope="email",
        client_auth_methods=[("own", sign)],
        client_options={"token_endpoint_auth_method": "own"},
        storage=MemoryStorage(),
        base_url=op.url,
    )
    log_in(app.test_client(), op)
    assert "Own app" == headers_of(op)["Authorization"]
    with app.test_request_context():
        blueprint.token = {**blueprint.token, "expires_at": 1}
        blueprint.session.get("/me")
    assert 2 == len(op.asked_for("/token"))
    assert "Own app" == headers_of(op)["Authorization"]


def test_the_user_agent_and_the_headers_are_in_every_call(op):
    """Reddit requires a special user agent, Twitch the client id, and Heroku a version."""
    app, blueprint = app_with(
        op,
        user_agent="shop/1.0",
        headers={"Client-ID": "app", "Accept": "application/vnd.x+json; version=3"},
        storage=MemoryStorage(),
        base_url=op.url,
    )
    log_in(app.test_client(), op)
    with app.test_request_context():
        blueprint.session.get("/me")
    for path in ("/.well-known/openid-configuration", "/token", "/jwks", "/me"):
        headers = headers_of(op, path)
        assert ("shop/1.0", "app") == (headers["User-Agent"], headers["Client-Id"]), path


@pytest.mark.parametrize(("tenant", "accepted"), [("7", True), ("8", False)])
@pytest.mark.parametrize("kind", ["list", "function"])
def test_the_issuer_may_be_a_list_or_a_function(op, recorded, kind, tenant, accepted):
    """The issuer of Microsoft contains the tenant, but the metadata has only a template."""
    op.metadata = {"issuer": "https://login.example/{tenantid}/v2.0"}
    seven = "https://login.example/7/v2.0"
    issuer = {
        "list": ["https://login.example/6/v2.0", seven],
        "function": lambda claims: f"https://login.example/{claims['tid']}/v2.0",
    }[kind]
    app, _ = app_with(op, issuer=issuer)
    client = app.test_client()
    sent = begin(client, op)
    issued_by = f"https://login.example/{tenant}/v2.0"
    op.says("/token", op.token(id_token=op.id_token(iss=issued_by, tid="7")))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert accepted == ("oauth-error" not in recorded.names())


def test_the_issuer_of_the_app_overrides_the_metadata(op, recorded):
    """The app's issuer is required in the id_token and in the response."""
    op.metadata = {"issuer": "https://wrong.example"}
    app, _ = app_with(op, issuer=op.url)
    log_in(app.test_client(), op, iss=op.url)
    assert "oauth-error" not in recorded.names()
    log_in(app.test_client(), op, iss="https://wrong.example")
    assert "issuer_mismatch" == recorded.only("oauth-error")["error"]


def test_a_function_may_make_the_client_secret(op, recorded):
    """The client secret of Apple is a JWT that expires, so each call gets a new one."""
    numbers = count(1)
    app, blueprint = app_with(
        op,
        client_secret=lambda: f"made-{next(numbers)}",
        client_options={"token_endpoint_auth_method": "client_secret_post"},
        storage=MemoryStorage(),
        base_url=op.url,
    )
    log_in(app.test_client(), op)
    first = form_of(op)["client_secret"]
    with app.test_request_context():
        blueprint.token = {**blueprint.token, "expires_at": 1}
        blueprint.session.get("/me")
    assert first.startswith("made-")
    assert first != form_of(op)["client_secret"]
    assert "oauth-error" not in recorded.names()


def test_a_secret_that_a_function_made_is_in_no_error(op, recorded):
    """If the provider repeats the secret in its error, aldis removes it."""
    app, _ = app_with(op, scope="email", client_secret=lambda: "made-by-a-function")
    op.says("/token", {"error": "bad", "error_description": "not made-by-a-function"}, 400)
    log_in(app.test_client(), op)
    assert "not [removed]" == recorded.only("oauth-error")["error_description"]


@pytest.mark.parametrize("client", ["app", "id with spaces", "a:b", "z\u00eb"])
@pytest.mark.parametrize("secret", ["plain", "p+w/d&q= 7:%", "\u2603"])
def test_basic_authentication_is_form_encoded(op, client, secret):
    """A colon does not end the client id (RFC 6749, 2.3.1)."""
    app, _ = app_with(op, scope="email", client_id=client, client_secret=secret)
    log_in(app.test_client(), op)
    sent = b64decode(headers_of(op)["Authorization"].removeprefix("Basic ")).decode()
    assert [client, secret] == [unquote_plus(each) for each in sent.split(":")]


@pytest.mark.parametrize("mimetype", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_form_encoded_token(op, recorded, mimetype):
    """Old responses of Facebook were form-encoded and had another name for the lifetime."""
    body = "access_token=the-access-token&expires=300"
    op.answers["/token"] = lambda: Response(body, mimetype=mimetype)
    storage = MemoryStorage()
    app, blueprint = app_with(op, scope="email", storage=storage)
    log_in(app.test_client(), op)
    stored = storage.get(blueprint)
    assert ("the-access-token", True) == (stored["access_token"], stored["expires_at"] > 1000)
    op.answers["/token"] = lambda: Response("error=bad_code", mimetype=mimetype)
    log_in(app.test_client(), op)
    assert "bad_code" == recorded.only("oauth-error")["error"]


@pytest.mark.parametrize("nothing", [None, "", False, {}, []])
def test_an_empty_error_is_ignored(op, recorded, nothing):
    """Some providers send an empty error in each response."""
    body = json.dumps({**op.token(id_token=None), "error": nothing})
    op.answers["/token"] = lambda: Response(body, mimetype="application/json")
    log_in(app_with(op, scope="email")[0].test_client(), op)
    assert "oauth-error" not in recorded.names()


def test_scopes_may_be_joined_by_commas(op):
    """Strava accepts only commas."""
    app, _ = app_with(op, scope="read activity:write", scope_separator=",")
    assert "read,activity:write" == begin(app.test_client())["scope"]


def test_parameters_of_a_refresh(op):
    """Auth0 requires its audience in a refresh, too."""
    expired = {"access_token": "x", "refresh_token": "y", "expires_at": 1}
    app, blueprint = app_with(
        op,
        base_url=op.url,
        storage=MemoryStorage(expired),
        refresh_params={"audience": "https://api"},
    )
    with app.test_request_context():
        blueprint.session.get("/me")
    expected = {"grant_type": "refresh_token", "refresh_token": "y", "audience": "https://api"}
    assert expected == form_of(op)


@pytest.mark.parametrize("without", [[], ["nonce"]])
def test_the_nonce_can_be_turned_off(op, recorded, without):
    """LinkedIn does not repeat the nonce in the id_token."""
    app, _ = app_with(op, nonce=False)
    client = app.test_client()
    sent = begin(client)
    assert "nonce" not in sent
    op.says("/token", op.token(id_token=op.id_token(without=["nonce"])))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert "oauth-error" not in recorded.names()


@pytest.mark.parametrize(("late", "leeway", "accepted"), [(90, 60, False), (90, 120, True)])
def test_the_leeway_for_different_clocks(op, recorded, late, leeway, accepted):
    """The clock of the provider may be ahead, within the leeway."""
    import time

    app, _ = app_with(op, id_token_leeway=leeway)
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(id_token=op.id_token(iat=int(time.time()) + late)))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert accepted == ("oauth-error" not in recorded.names())


@pytest.mark.parametrize(("domain", "accepted"), [("shop.example", True), ("evil.example", False)])
def test_an_app_may_require_claims(op, recorded, domain, accepted):
    """The claim `hd` of Google names the organisation."""
    app, _ = app_with(op, claims_options={"hd": {"essential": True, "value": "shop.example"}})
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(id_token=op.id_token(hd=domain)))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert accepted == ("oauth-error" not in recorded.names())


def test_parameters_for_one_login(op, recorded):
    """A view begins a login with a hint and a target. The next login has no hint."""
    app, blueprint = app_with(op)
    app.add_url_rule(
        "/enter",
        "enter",
        lambda: blueprint.start_login("/basket", login_hint="ada", prompt="login"),
    )
    client = app.test_client()
    sent = begin(client, op, "/enter")
    assert ("ada", "login") == (sent["login_hint"], sent["prompt"])
    args = {"code": "the-code", "state": sent["state"]}
    assert "/basket" == client.get(CALLBACK, query_string=args).headers["Location"]
    assert "login_hint" not in begin(client, op)


@pytest.mark.parametrize("name", ["state", "nonce", "code_challenge"])
def test_parameters_that_belong_to_aldis_are_refused(op, name):
    """The error names the parameters."""
    app, blueprint = app_with(op)
    with app.test_request_context(), pytest.raises(OAuthSetupError, match=name):
        blueprint.start_login(**{name: "x"})


def test_the_page_after_a_login_must_be_of_this_site(op):
    """A view may pass on a target from a request, so aldis checks it."""
    app, blueprint = app_with(op)
    app.add_url_rule("/enter", "enter", lambda: blueprint.start_login("//evil.example"))
    client = app.test_client()
    sent = begin(client, op, "/enter")
    args = {"code": "the-code", "state": sent["state"]}
    assert "/" == client.get(CALLBACK, query_string=args).headers["Location"]


def test_the_base_url_may_depend_on_the_user(op):
    """Salesforce sends it with the token."""
    app, blueprint = app_with(
        op,
        base_url=lambda token: token["instance_url"],
        storage=MemoryStorage({"access_token": "x", "instance_url": op.url}),
    )
    with app.test_request_context():
        assert f"{op.url}/me" == blueprint.session.get("me").url


def test_a_function_makes_the_secret_from_the_configured_one(op, recorded):
    """The configured one is a key, and is never sent."""
    app, _ = app_with(
        op,
        scope="email",
        secret_maker=lambda client_id, key: f"{client_id}-signed-by-{len(key)}",
        client_secret="the-private-key",  # noqa: S106 - of a test
        client_options={"token_endpoint_auth_method": "client_secret_post"},
    )
    log_in(app.test_client(), op)
    assert "app-signed-by-15" == form_of(op)["client_secret"]
    op.says("/token", {"error": "x", "error_description": "not app-signed-by-15"}, 400)
    log_in(app.test_client(), op)
    assert "not [removed]" == recorded.only("oauth-error")["error_description"]


def test_claims_in_the_callback_come_after_those_of_the_id_token(op, recorded):
    """Only the id_token is signed."""
    app, _ = app_with(op, callback_claims=lambda args: {"sub": "eve", "name": args["name"]})
    log_in(app.test_client(), op, name="Ada")
    userinfo = recorded.only("oauth-authorized")["token"]["userinfo"]
    assert ("ada", "Ada") == (userinfo["sub"], userinfo["name"])


@pytest.mark.parametrize(
    ("body", "code", "description"),
    [
        ({"error": {"message": "no", "type": "OAuthException", "code": 1}}, "OAuthException", "no"),
        ({"error": {"code": 7, "message": "no"}}, "7", "no"),
        ({"errors": [{"errorType": "invalid_grant", "message": "no"}]}, "invalid_grant", "no"),
        ({"errors": [{"title": "Invalid", "detail": "no"}]}, "Invalid", "no"),
        ({"error": "bad", "message": "no"}, "bad", "no"),
        ({"error": {"message": "no"}}, "provider_error", "no"),
    ],
)
def test_the_error_of_a_token_endpoint_may_be_an_object_or_a_list(
    op, recorded, body, code, description
):
    """Facebook, Fitbit and Strava have their own forms."""
    op.says("/token", body, 400)
    log_in(app_with(op, scope="email")[0].test_client(), op)
    payload = recorded.only("oauth-error")
    assert (code, description) == (payload["error"], payload["error_description"])
