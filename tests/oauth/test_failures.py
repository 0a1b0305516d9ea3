"""Every failure between the redirect and the token causes ``oauth_error`` and a redirect."""

# ruff: noqa: D102, D103, S106 - the names of the helpers explain them

import time

import pytest
from flask import redirect

from aldis.errors import LoginError, TokenStorageError
from aldis.oauth import ErrorText, MemoryStorage, oauth_authorized, oauth_error
from tests.oauth.apps import CALLBACK, app_with, begin, log_in, timeout_for
from tests.oauth.frameworks import CALL_FAILED, flask_only

pytestmark = pytest.mark.usefixtures("framework")


def token_says(**changed):
    return lambda op: op.says("/token", op.token(**changed))


def token_answers(answer, status=200):
    return lambda op: op.says("/token", answer, status)


def token_answers_at(path, answer):
    return lambda op: op.says(path, answer)


def id_token(**changed):
    return lambda op: op.says("/token", op.token(id_token=op.id_token(**changed)))


def fails(path, status=500):
    return lambda op: op.says(path, "<h1>Oops</h1>", status)


NOT_JSON = "<html>maintenance</html>"

# The provider's responses, the code in oauth_error, and the class of the exception.
AFTER_THE_REDIRECT = {
    "invalid_grant": (token_answers({"error": "invalid_grant"}, 400), "invalid_grant", None),
    "error no text": (
        token_answers({"error": ["x"], "error_description": {"a": 1}, "error_uri": 7}, 400),
        "['x']",
        None,
    ),
    "token 500": (fails("/token"), "provider_error", "HTTPError"),
    "token 502 with JSON": (token_answers({"access_token": "x"}, 502), "provider_error", None),
    "token HTML": (token_answers(NOT_JSON), "provider_error", "LoginError"),
    "token a list": (token_answers(["access_token"]), "provider_error", None),
    "token silent": (lambda op: op.keeps_silent("/token"), "provider_unreachable", "ReadTimeout"),
    "no access token": (token_says(access_token=None), "token_missing", None),
    "access token no text": (token_says(access_token=7), "token_missing", None),
    "token type mac": (token_says(token_type="mac"), "token_type_unknown", None),
    "token type DPoP": (token_says(token_type="DPoP"), "token_type_unknown", None),
    "token type no text": (token_says(token_type=7), "token_type_unknown", None),
    "expires_in no number": (token_says(expires_in="soon"), "provider_error", None),
    "id_token absent": (token_says(id_token=None), "id_token_missing", None),
    "id_token empty": (token_says(id_token=""), "id_token_missing", None),
    "id_token garbage": (token_says(id_token="a.b.c"), "id_token_invalid", "DecodeError"),
    "id_token signature": (id_token(signed_by="two"), "id_token_invalid", "BadSignatureError"),
    "id_token nonce": (id_token(nonce="another"), "id_token_invalid", "InvalidClaimError"),
    "id_token no nonce": (id_token(without=["nonce"]), "id_token_invalid", "MissingClaimError"),
    "id_token audience": (id_token(aud="another"), "id_token_invalid", "InvalidClaimError"),
    "id_token other audience for us": (
        id_token(aud="another", azp="app"),
        "id_token_invalid",
        "InvalidClaimError",
    ),
    "id_token issuer": (
        id_token(iss="https://elsewhere.example"),
        "id_token_invalid",
        "InvalidClaimError",
    ),
    "id_token no issuer": (id_token(without=["iss"]), "id_token_invalid", "MissingClaimError"),
    "id_token expired": (
        id_token(exp=int(time.time()) - 600),
        "id_token_invalid",
        "ExpiredTokenError",
    ),
    "id_token no expiry": (id_token(without=["exp"]), "id_token_invalid", "MissingClaimError"),
    "id_token no subject": (id_token(without=["sub"]), "id_token_invalid", "MissingClaimError"),
    "jwks 500": (fails("/jwks"), "provider_error", "HTTPError"),
    "jwks HTML": (lambda op: op.says("/jwks", NOT_JSON), "provider_error", "JSONDecodeError"),
    "jwks silent": (lambda op: op.keeps_silent("/jwks"), "provider_unreachable", "ReadTimeout"),
    "jwks not keys": (
        lambda op: op.says("/jwks", {"error": "x"}),
        "id_token_invalid",
        "LoginError",
    ),
}


@pytest.mark.parametrize(
    ("happens", "code", "kind"), AFTER_THE_REDIRECT.values(), ids=AFTER_THE_REDIRECT
)
def test_a_wrong_response_of_the_provider(op, recorded, happens, code, kind):
    """Every bad answer to a code causes one `oauth_error` and a redirect."""
    app, blueprint = app_with(op, redirect_url="/home", timeout=timeout_for(kind == "ReadTimeout"))
    client = app.test_client()
    sent = begin(client, op)
    happens(op)
    answer = client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert (302, "/home") == (answer.status_code, answer.headers["Location"])
    assert ["oauth-before-login", "oauth-error"] == recorded.names()
    payload = recorded.only("oauth-error")
    assert {"error", "error_description", "error_uri"} == set(payload)
    assert code == payload["error"]
    exception = payload["error"].exception
    assert isinstance(exception, Exception)
    names = {"HTTPStatusError": "HTTPError"}  # of httpx2, and of requests
    assert kind in (None, names.get(type(exception).__name__, type(exception).__name__))
    with app.test_request_context():
        assert blueprint.token is None


LISTED = [["none"], ["RS256", "none"], ["RS256", "HS256"], ["RS256"], None]


# joserfc accepts "none" with a warning. If warnings were errors, the test could not see that.
@pytest.mark.filterwarnings("ignore:JWS algorithm")
@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_id_token_must_be_signed_by_the_provider(op, recorded, algorithm, listed):
    """The algorithm "none", or a public key as a secret, is never accepted."""
    op.metadata = {"id_token_signing_alg_values_supported": listed}
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(id_token=op.forged_id_token(algorithm)))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert "id_token_invalid" == recorded.only("oauth-error")["error"]


# The parameters of the provider's redirect.
IN_THE_REDIRECT = {
    "denied": ({"error": "access_denied", "code": None}, "access_denied"),
    "no code": ({"code": None}, "code_missing"),
    "empty code": ({"code": ""}, "code_missing"),
    "wrong issuer": ({"iss": "https://elsewhere.example"}, "issuer_mismatch"),
    "denied by a wrong issuer": (
        {"error": "access_denied", "iss": "https://elsewhere.example"},
        "issuer_mismatch",
    ),
}


@pytest.mark.parametrize(("changed", "code"), IN_THE_REDIRECT.values(), ids=IN_THE_REDIRECT)
def test_a_wrong_redirect_of_the_provider(op, recorded, changed, code):
    """A response without a code, or of another provider, fetches no token."""
    app, _ = app_with(op, redirect_url="/home")
    answer = log_in(app.test_client(), op, **changed)
    assert (302, "/home") == (answer.status_code, answer.headers["Location"])
    assert code == recorded.only("oauth-error")["error"]
    assert [] == op.asked_for("/token")


def test_a_promised_issuer_is_required(op, recorded):
    """If the metadata announces the issuer in responses (RFC 9207), it is required."""
    op.metadata = {"authorization_response_iss_parameter_supported": True}
    app, _ = app_with(op)
    log_in(app.test_client(), op)
    assert "issuer_missing" == recorded.only("oauth-error")["error"]


def test_the_error_of_the_provider_is_passed_on(op, recorded):
    """``oauth_error`` has the provider's error with its description and page, and no exception."""
    app, _ = app_with(op)
    log_in(app.test_client(), op, error="access_denied", error_description="no", error_uri="u")
    payload = recorded.only("oauth-error")
    expected = {"error": "access_denied", "error_description": "no", "error_uri": "u"}
    assert expected == payload
    assert isinstance(payload["error"], ErrorText)
    assert payload["error"].exception is None


# Responses that do not belong to a login of this user.
STRANGERS = {
    "no state": ({"code": "x"}, "state_missing"),
    "wrong state": ({"code": "x", "state": "guessed"}, "state_unknown"),
    "an error without a login": ({"error": "<b>click here</b>"}, "state_missing"),
    "an error with a wrong state": ({"error": "spoofed", "state": "guessed"}, "state_unknown"),
    "nothing": ({}, "state_missing"),
}


@pytest.mark.parametrize(("args", "code"), STRANGERS.values(), ids=STRANGERS)
def test_a_response_without_a_login(op, recorded, args, code):
    """An error in a URL without a pending login is not reported to receivers."""
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    begin(client, op)
    answer = client.get(CALLBACK, query_string=args)
    assert (302, "/login/op/failed") == (answer.status_code, answer.headers["Location"])
    assert "/home" == client.get("/login/op/failed").headers["Location"]
    payload = recorded.only("oauth-error")
    assert code == payload["error"]
    assert isinstance(payload["error"].exception, LoginError)
    assert "spoofed" not in str(payload)
    assert [] == op.asked_for("/token")


@flask_only
def test_a_state_can_be_used_once(op, recorded):
    """A second response with one state is rejected and fetches no token."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    args = {"code": "the-code", "state": sent["state"]}
    client.get(CALLBACK, query_string=args)
    with client.session_transaction() as kept:
        del kept["op_oauth_token"]
    client.get(CALLBACK, query_string=args)
    assert "state_unknown" == recorded.only("oauth-error")["error"]
    assert 1 == len(op.asked_for("/token"))


def test_the_state_of_another_user_is_rejected(op, recorded):
    """A state belongs to the session that began the login."""
    app, _ = app_with(op)
    mallory, ada = app.test_client(), app.test_client()
    sent = begin(mallory, op)
    begin(ada, op)
    ada.get(CALLBACK, query_string={"code": "mallorys", "state": sent["state"]})
    assert "state_unknown" == recorded.only("oauth-error")["error"]


def test_a_login_expires(op, recorded, monkeypatch):
    """A login expires after an hour."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    now = time.time()
    monkeypatch.setattr("aldis.oauth._login_state.time.time", lambda: now + 3601)
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert "state_unknown" == recorded.only("oauth-error")["error"]


METADATA = "/.well-known/openid-configuration"

BEFORE_THE_REDIRECT = {
    "500": fails(METADATA),
    "404": fails(METADATA, 404),
    "HTML": lambda op: op.says(METADATA, NOT_JSON),
    "a list": lambda op: op.says(METADATA, ["issuer"]),
    "nothing in it": lambda op: op.says(METADATA, {}),
    "silent": lambda op: op.keeps_silent(METADATA),
}


@pytest.mark.parametrize("happens", BEFORE_THE_REDIRECT.values(), ids=BEFORE_THE_REDIRECT)
def test_metadata_that_cannot_be_loaded(op, recorded, happens):
    """Unavailable metadata causes `oauth_error`, and the next login loads it again."""
    silent = happens is BEFORE_THE_REDIRECT["silent"]
    app, _ = app_with(op, redirect_url="/home", timeout=timeout_for(silent))
    client = app.test_client()
    happens(op)
    answer = client.get("/login/op")
    assert (302, "/login/op/failed") == (answer.status_code, answer.headers["Location"])
    assert "/home" == client.get("/login/op/failed").headers["Location"]
    assert ["oauth-error"] == recorded.names()
    op.answers.clear()
    assert client.get("/login/op").headers["Location"].startswith(f"{op.url}/authorize?")


def test_a_provider_that_cannot_be_reached(op, recorded):
    """An unreachable provider causes `oauth_error`."""
    app, _ = app_with(op, token_url="http://127.0.0.1:9/token")
    answer = log_in(app.test_client(), op)
    assert 302 == answer.status_code
    error = recorded.only("oauth-error")["error"]
    assert "provider_unreachable" == error
    assert isinstance(error.exception, CALL_FAILED)


def test_wrong_keys_are_fetched_again(op, recorded):
    """After wrong keys, the next login loads the keys again."""
    app, _ = app_with(op)
    op.says("/jwks", {"keys": []})
    assert 302 == log_in(app.test_client(), op).status_code
    op.answers.clear()
    log_in(app.test_client(), op)
    assert ["oauth-error", "oauth-authorized"] == [n for n in recorded.names() if "before" not in n]


class Refusing(MemoryStorage):
    """A storage that stores nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def set(self, blueprint, token):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no user"), OSError("disk"), TokenStorageError("x")])
def test_a_storage_that_raises(op, recorded, error):
    """A storage's exception is the only payload of `oauth_error`."""
    app, _ = app_with(op, storage=Refusing(error), redirect_url="/home", error_url="/sorry")
    answer = log_in(app.test_client(), op, "/login/op?next=/basket")
    assert (302, "/sorry") == (answer.status_code, answer.headers["Location"])
    assert {"error": error} == recorded.only("oauth-error")


def test_a_token_too_large_for_the_cookie(op, recorded):
    """A token that is too large for the session causes `oauth_error`."""
    op.says("/token", op.token())
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    sent = begin(client, op)
    large = "".join(f"{n:x}" for n in range(2000))
    op.says("/token", op.token(access_token=large))
    answer = client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert "/home" == answer.headers["Location"]
    assert isinstance(recorded.only("oauth-error")["error"], TokenStorageError)


FAILING = {
    "denied": lambda client, op: log_in(client, op, error="access_denied"),
    "token endpoint": lambda client, op: (fails("/token")(op), log_in(client, op))[1],
    "state": lambda client, op: client.get(CALLBACK, query_string={"state": "x"}),
    "discovery": lambda client, op: (fails(METADATA)(op), client.get("/login/op"))[1],
}


@pytest.mark.parametrize("fail", FAILING.values(), ids=FAILING)
def test_the_user_gets_the_response_of_a_receiver(op, fail):
    """The first Response of a receiver of `oauth_error` is sent after every failure."""
    app, blueprint = app_with(op)

    def silent(sender, **payload):
        return "not a Response"

    def handle(sender, error, error_description=None, error_uri=None):
        return redirect(f"/told/{error}")

    def late(sender, **payload):
        return redirect("/too/late")

    with (
        oauth_error.connected_to(silent, blueprint),
        oauth_error.connected_to(handle, blueprint),
        oauth_error.connected_to(late, blueprint),
    ):
        answer = fail(app.test_client(), op)
    assert answer.headers["Location"].startswith("/told/")


def test_the_user_gets_the_response_of_a_receiver_if_the_storage_raises(op):
    """Flask-Dance ignores the response in this case."""
    app, blueprint = app_with(op, storage=Refusing(ValueError("no")))
    with oauth_error.connected_to(lambda sender, error: redirect("/told"), blueprint):
        assert "/told" == log_in(app.test_client(), op).headers["Location"]


def test_a_receiver_may_refuse_a_login(op, recorded):
    """A LoginError in a receiver of `oauth_authorized` makes the login fail."""
    app, blueprint = app_with(op, error_url="/sorry")

    def refuse(sender, token):
        raise LoginError("not_invited", "only invited users")

    with oauth_authorized.connected_to(refuse, blueprint):
        answer = log_in(app.test_client(), op)
    assert "/sorry" == answer.headers["Location"]
    assert "not_invited" == recorded.only("oauth-error")["error"]


@flask_only
def test_other_exceptions_of_a_receiver_propagate(op):
    """A bug in a receiver is not hidden."""
    app, blueprint = app_with(op)

    def broken(sender, token):
        raise ZeroDivisionError

    with (
        oauth_authorized.connected_to(broken, blueprint),
        pytest.raises(ZeroDivisionError),
    ):
        log_in(app.test_client(), op)
