"""No log line, error message or ``repr`` contains a secret, a verifier or a token."""

import html
import json
import logging
import pickle
import re
import traceback
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from aldis.errors import AldisError, LoginError
from aldis.oauth import MemoryStorage, oauth_authorized
from aldis.oauth._drive import drive
from aldis.oauth._failures import failure_from
from aldis.oauth._login_state import PendingLogin, pop_login
from aldis.oauth.sqla import TokenText
from tests.oauth.apps import (
    CALLBACK,
    app_with,
    begin,
    log_in,
    login_cookies,
    pending_logins,
)
from tests.oauth.providers import oauth1


@pytest.fixture
def everything_logged(caplog):
    """Capture every logger at the level DEBUG."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def texts_of(recorded):
    """Return all texts that a receiver of oauth_error could print."""
    texts = []
    for name, sender, payload in recorded:
        if name == "oauth-error":
            said = [sender, payload, *payload.values()]
            behind = [getattr(each, "exception", None) for each in payload.values()]
            for each in [*said, *behind]:
                texts += [str(each), repr(each)]
            for each in [*payload.values(), *behind]:
                if isinstance(each, BaseException):
                    texts += traceback.format_exception(each)
    return "\n".join(texts)


def pending_secrets(client):
    """Return the secrets of the pending logins, from their cookies."""
    logins = pending_logins(client)
    return [each[name] for each in logins for name in ("s", "n") if name in each]


TOKENS = ["the-access-token", "the-refresh-token", "renewed-access", "renewed-refresh"]


def test_a_successful_login(op, recorded, everything_logged):
    """Neither the login nor a call to the provider logs a secret."""
    app, blueprint = app_with(op, base_url=op.url, storage=MemoryStorage())
    client = app.test_client()
    sent = begin(client, op)
    secrets = [*pending_secrets(client), op.client_secret, *TOKENS]
    assert 2 + 5 == len(secrets)
    id_token = op.id_token()
    op.says("/token", op.token(id_token=id_token))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    with app.test_request_context():
        blueprint.session.get("/me")
    assert "oauth-authorized" in recorded.names()
    assert everything_logged.records
    for secret in [*secrets, id_token, "the-code"]:
        assert secret not in everything_logged.text


def test_a_provider_that_repeats_the_parameters(op, recorded, everything_logged):
    """``oauth_error`` has the provider's text without the secrets."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    verifier, nonce = pending_secrets(client)

    def repeats():
        from flask import jsonify, request

        told = f"{request.form} {request.authorization} {op.client_secret} {nonce}"
        return jsonify(error=f"bad {verifier}", error_description=told), 400

    op.answers["/token"] = repeats
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    texts = texts_of(recorded) + everything_logged.text
    assert "[removed]" in texts
    for secret in (verifier, nonce, op.client_secret, "the-code"):
        assert secret not in texts


def test_a_provider_that_repeats_the_raw_request(op, recorded, everything_logged):
    """The encoded secrets of the header and of the form are removed, too."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)

    def repeats():
        from flask import jsonify, request

        told = f"{request.headers['Authorization']} code=4%2Fthe-code%3D"
        return jsonify(error="bad", error_description=told), 400

    op.answers["/token"] = repeats
    client.get(CALLBACK, query_string={"code": "4/the-code=", "state": sent["state"]})
    texts = texts_of(recorded) + everything_logged.text
    header = op.asked_for("/token")[0][2]["Authorization"].removeprefix("Basic ")
    assert "Basic [removed] code=[removed]" == recorded.only("oauth-error")["error_description"]
    assert header not in texts
    assert "the-code" not in texts


def test_a_secret_that_begins_with_another_one():
    """No part of the longer secret remains, in any order of the two."""
    said = failure_from(LoginError("bad", "abc abcdef"), ["abc", "abcdef"]).description
    assert "[removed] [removed]" == said


@pytest.mark.parametrize(
    "changed",
    [
        {"id_token": "the-access-token.the-refresh-token.x"},
        {"access_token": ["the-access-token"]},
        {"expires_in": "the-access-token"},
        {"token_type": "the-access-token", "id_token": None},
    ],
)
def test_an_unusable_response(op, recorded, everything_logged, changed):
    """No part of a broken response is repeated, because the token may be anywhere in it."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(**changed))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    texts = texts_of(recorded) + everything_logged.text
    assert "oauth-error" in recorded.names()
    for secret in TOKENS:
        assert secret not in texts


def test_a_refresh(op, everything_logged):
    """Neither a refresh nor its refusal repeats a token."""
    storage = MemoryStorage({"access_token": "the-access-token", "refresh_token": TOKENS[1]})
    app, blueprint = app_with(op, base_url=op.url, storage=storage)
    with app.test_request_context():
        blueprint.token = {**blueprint.token, "expires_at": 1}
        op.says(
            "/token",
            {"error": "oops", "error_description": f"{TOKENS[:2]} {op.client_secret}"},
            400,
        )
        with pytest.raises(AldisError) as refused:
            blueprint.session.get("/me")
        blueprint.token = {"access_token": TOKENS[0], "refresh_token": TOKENS[1], "expires_at": 1}
        op.says("/token", {"access_token": TOKENS[2], "refresh_token": TOKENS[3]})
        blueprint.session.get("/me")
        assert TOKENS[2] == blueprint.token["access_token"]
    shown = "".join(traceback.format_exception(refused.value))
    for secret in [*TOKENS[:2], op.client_secret]:
        assert secret not in shown + everything_logged.text
    assert TOKENS[2] not in everything_logged.text


@pytest.mark.parametrize("place", ["itself", "cause", "context"])
def test_a_storage_that_repeats_the_token(op, recorded, everything_logged, place):
    """The exception of a storage is passed on only if it does not contain the token."""

    class Talkative(MemoryStorage):
        def set(self, blueprint, token):
            try:
                self.refuse(token)
            except ValueError as error:
                if place == "itself":
                    raise
                if place == "cause":
                    raise OSError("not pending_secrets") from error
                raise OSError("not pending_secrets")  # noqa: B904 - the test needs the context

        def refuse(self, token):
            raise ValueError(token)

    app, _ = app_with(op, storage=Talkative())
    log_in(app.test_client(), op)
    texts = texts_of(recorded) + everything_logged.text
    assert ["error"] == list(recorded.only("oauth-error"))
    for secret in TOKENS:
        assert secret not in texts


def test_oauth1(recorded, everything_logged):
    """Authlib would log request tokens. aldis prevents this."""
    with oauth1.running() as provider:
        app, blueprint = app_with(
            client_id="app",
            client_secret=provider.client_secret,
            request_token_url=f"{provider.url}/request",
            authorization_url=f"{provider.url}/authorize",
            token_url=f"{provider.url}/access",
            base_url=provider.url,
            storage=MemoryStorage(),
        )
        client = app.test_client()
        sent = begin(client)
        secrets = [*pending_secrets(client), provider.client_secret]
        back = _authorize(provider, sent)
        client.get(back)
        with app.test_request_context():
            assert {"name": "ada"} == blueprint.session.get("/me").json()
            secrets.append(blueprint.token["oauth_token_secret"])
    assert 3 == len(secrets)
    for secret in secrets:
        assert secret not in everything_logged.text


def _authorize(provider, sent):
    import requests

    answer = requests.get(
        f"{provider.url}/authorize", params=sent, allow_redirects=False, timeout=5
    )
    return answer.headers["Location"].replace("http://localhost", "")


def test_the_repr_of_objects_has_no_secret(op):
    """This is true of the blueprint, its session and a pending login."""
    app, blueprint = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    secrets = [*pending_secrets(client), op.client_secret]
    cookies = "; ".join(f"{name}={value}" for name, value in login_cookies(client).items())
    with app.test_request_context(CALLBACK, headers={"Cookie": cookies}):
        login = pop_login(blueprint._cookies(), sent["state"])
        provider = blueprint.provider
        shown = [
            blueprint,
            blueprint.session,
            blueprint.storage,
            provider,
            provider.settings,
            login,
            drive(provider.start("http://localhost/", {})),
        ]
        texts = " ".join(f"{each!r} {each}" for each in shown)
    assert isinstance(login, PendingLogin)
    for secret in secrets:
        assert secret not in texts


def test_the_bound_token_has_a_repr_without_the_token():
    """SQLAlchemy binds a text with the token. The ``repr`` of the text does not show it."""
    bound = TokenText().process_bind_param({"access_token": "the-access-token"}, None)
    assert "the-access-token" in str(bound)
    assert "the-access-token" not in repr(bound)
    assert {"access_token": "the-access-token"} == TokenText().process_result_value(bound, None)


def test_a_receiver_that_fails(op, everything_logged):
    """The exception of a receiver gets no secret from aldis."""
    app, blueprint = app_with(op)

    def broken(sender, token):
        raise RuntimeError(sender.name)

    with (
        oauth_authorized.connected_to(broken, blueprint),
        pytest.raises(RuntimeError) as raised,
    ):
        log_in(app.test_client(), op)
    shown = "".join(traceback.format_exception(raised.value)) + everything_logged.text
    for secret in [*TOKENS, op.client_secret]:
        assert secret not in shown


def test_errors_can_be_pickled():
    """Error trackers pickle errors. The copy has the message and the attributes."""
    from aldis.errors import LoginExpiredError

    login = pickle.loads(  # noqa: S301 - the test pickles the error itself
        pickle.dumps(LoginError("code", "text", "uri"))
    )
    expired = pickle.loads(  # noqa: S301 - the test pickles the error itself
        pickle.dumps(LoginExpiredError("hub", "text"))
    )
    assert ("code", "text", "uri") == (login.code, login.description, login.uri)
    assert ("hub", "text") == (expired.provider, str(expired))


SECRET = "p+w/d&q\"= 7'<s3cret>"  # noqa: S105


def half(text):
    """Encode every second character for URLs."""
    return "".join(f"%{ord(each):02x}" if n % 2 else each for n, each in enumerate(text))


SPELLINGS = {
    "plain": str,
    "URL": lambda text: quote(text, safe=""),
    "URL in lower case": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text, safe="")),
    "URL with slashes": quote,
    "form": quote_plus,
    "form in lower case": lambda text: re.sub("%..", lambda m: m[0].lower(), quote_plus(text)),
    "URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "half of the characters": half,
    "HTML": html.escape,
    "HTML by number": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON for HTML": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "repr": repr,
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in the middle": lambda text: b64encode(f"app:{text}!".encode()).decode(),
    "base64 one later": lambda text: b64encode(f"apps:{text}!".encode()).decode(),
    "base64 two later": lambda text: b64encode(f"a:{text}!".encode()).decode(),
    "base64 in a URL": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_removed_in_every_spelling(spelling):
    """The other characters of the text stay."""
    said = spelling(SECRET)
    failure = failure_from(LoginError("bad", f"it was {said} and more"), [SECRET])
    assert "[removed]" in failure.description
    assert failure.description.startswith("it was ")
    assert failure.description.endswith(" and more")
    middle = said[6:-6]
    assert middle not in f"{failure.description} {failure.error.exception!r}"


def test_a_text_without_the_secret_stays_as_it_is():
    """Only texts that contain the secret are changed."""
    text = "the provider said: invalid_grant (code 7), 50% of & <b>"
    assert text == failure_from(LoginError("bad", text), [SECRET, "another-secret"]).description


FAILING = {
    "redirect to the provider": "discovery_failed",
    "state of the response": "state_unknown",
    "response of the provider": "access_denied",
    "token": "invalid_grant",
    "receiver of oauth_authorized": "not_invited",
    "storage": "token not stored",
}


@pytest.mark.parametrize("step", FAILING)
def test_the_log_names_the_provider_the_step_the_error_and_the_reason(op, caplog, step):
    """One log line describes the failure."""
    caplog.set_level(logging.WARNING, "aldis.oauth")

    class Full(MemoryStorage):
        def set(self, blueprint, token):
            raise OSError("the reason")

    app, blueprint = app_with(op, storage=Full() if step == "storage" else None)
    client = app.test_client()

    def refuse(sender, token):
        if step == "receiver of oauth_authorized":
            raise LoginError("not_invited", "the reason")

    if step == "redirect to the provider":
        op.says("/.well-known/openid-configuration", {})
        client.get("/login/op")
    elif step == "state of the response":
        client.get(CALLBACK, query_string={"state": "x"})
    elif step == "response of the provider":
        log_in(client, op, error="access_denied", error_description="the reason")
    else:
        if step == "token":
            said = {"error": "invalid_grant", "error_description": "the reason"}
            op.says("/token", said, 400)
        with oauth_authorized.connected_to(refuse, blueprint):
            log_in(client, op)
    (line,) = [each.getMessage() for each in caplog.records]
    assert line.startswith(f"a login with op failed at the step {step!r}: {FAILING[step]} (")
    assert "the reason" in line or step in ("redirect to the provider", "state of the response")
