"""The keys of an id_token's signature, and the time at which its user proved who they are."""

import threading
import time

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from tests.oauth.apps import CALLBACK, app_with, begin, log_in
from tests.oauth.providers.scripted import key

pytestmark = pytest.mark.usefixtures("framework")

GOOD = key("one").as_dict(private=False)
ELLIPTIC = ECKey.generate_key("P-256", {"kid": "elliptic"})

MALFORMED = {
    "short modulus": {**GOOD, "n": "AQAB"},
    "modulus is a number": {**GOOD, "n": 7},
    "modulus is not base64": {**GOOD, "n": "!!"},
    "no modulus": {"kty": "RSA", "e": "AQAB", "kid": "one"},
    "no type": {"n": "AQAB", "e": "AQAB"},
    "unknown type": {"kty": "AKP", "kid": "one"},
    "off the curve": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "one"},
    "list": [],
    "null": None,
    "text": "key",
    "for encryption": {**GOOD, "use": "enc", "n": key("two").as_dict(private=False)["n"]},
    "for another algorithm": {**GOOD, "alg": "RS512"},
    "another key with this id": {**key("two").as_dict(private=False), "kid": "one"},
    "elliptic with this id": {**ELLIPTIC.as_dict(private=False), "kid": "one"},
}


def signed(op, header, signing_key):
    """Return a good id_token with this header."""
    claims = jwt.decode(op.id_token(), key("one")).claims
    return jwt.encode(header, claims, signing_key, algorithms=[header["alg"]])


def finish(client, op, header, signing_key):
    """Log in with an id_token that has this header."""
    sent = begin(client, op)
    op.says("/token", op.token(id_token=signed(op, header, signing_key)))
    return client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("kid", ["one", None])
def test_a_malformed_key_does_not_affect_the_others(op, recorded, malformed, kid):
    """The matching key is found, with and without an id."""
    op.says("/jwks", {"keys": [malformed, GOOD]})
    app, _ = app_with(op)
    header = {"alg": "RS256"} | ({"kid": kid} if kid else {})
    finish(app.test_client(), op, header, key("one"))
    assert "oauth-error" not in recorded.names()


def test_keys_without_ids_are_tried(op, recorded):
    """If the provider's keys have no ids, aldis ignores the id in the id_token."""
    bare = {name: value for name, value in GOOD.items() if name != "kid"}
    op.says("/jwks", {"keys": [ELLIPTIC.as_dict(private=False), bare]})
    app, _ = app_with(op)
    finish(app.test_client(), op, {"alg": "RS256", "kid": "any"}, key("one"))
    assert "oauth-error" not in recorded.names()


@pytest.mark.parametrize("keys", [None, 7, "x", {}, []])
def test_a_document_without_keys_is_an_error(op, recorded, keys):
    """The login fails."""
    op.says("/jwks", {"keys": keys})
    log_in(app_with(op)[0].test_client(), op)
    assert "id_token_invalid" == recorded.only("oauth-error")["error"]


@pytest.mark.parametrize("kid", ["one", "two", None])
def test_rotated_keys_are_fetched_once(op, recorded, kid):
    """The login with the new key succeeds, also if the new key has the old id."""
    app, _ = app_with(op)
    client = app.test_client()
    log_in(client, op)
    new = {**key("two").as_dict(private=False), "kid": kid or "two"}
    op.says("/jwks", {"keys": [new]})
    header = {"alg": "RS256"} | ({"kid": kid} if kid else {})
    for _ in range(3):
        finish(client, op, header, key("two"))
    assert "oauth-error" not in recorded.names()
    assert 2 == len(op.asked_for("/jwks"))


def test_concurrent_logins_fetch_rotated_keys_once(op, recorded):
    """Eight logins at the same time need one request for the new keys."""
    app, _ = app_with(op)
    log_in(app.test_client(), op)
    op.says("/jwks", {"keys": [key("two").as_dict(private=False)]})
    op.says("/token", op.token(id_token="not used"))  # noqa: S106
    clients = [app.test_client() for _ in range(8)]
    states = [begin(client, op) for client in clients]
    tokens = {}
    for sent in states:
        op.nonce = sent["nonce"]
        tokens[sent["state"]] = signed(op, {"alg": "RS256", "kid": "two"}, key("two"))

    def token():
        import json

        from flask import Response, request

        body = op.token(id_token=tokens[request.form["code"]])
        return Response(json.dumps(body), mimetype="application/json")

    op.answers["/token"] = token
    gate = threading.Barrier(8)

    def work(client, state):
        gate.wait(10)
        client.get(CALLBACK, query_string={"code": state, "state": state})

    threads = [
        threading.Thread(target=work, args=(client, sent["state"]))
        for client, sent in zip(clients, states, strict=True)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert "oauth-error" not in recorded.names()
    assert 2 == len(op.asked_for("/jwks"))


@pytest.mark.parametrize("allowed", [None, ["HS256"], ["RS256"], ["none", "HS256"]])
@pytest.mark.parametrize("ours", [True, False])
def test_a_signature_with_the_clients_secret_needs_permission(op, recorded, allowed, ours):
    """LINE signs with the client's secret. Without the setting, only public keys count."""
    app, _ = app_with(op, id_token_algorithms=allowed)
    secret = op.client_secret if ours else "another-secret-of-the-same-size"
    finish(app.test_client(), op, {"alg": "HS256"}, OctKey.import_key(secret))
    accepted = allowed is not None and "HS256" in allowed and ours
    assert accepted == ("oauth-error" not in recorded.names())


# -- max_age -----------------------------------------------------------------------------------

#: The ``auth_time`` for the present time, and whether it is accepted.
TIMES = {
    "now": (int, True),
    "100 seconds ago": (lambda now: int(now) - 100, True),
    "400 seconds ago": (lambda now: int(now) - 400, False),
    "a fraction": (float, True),
    "missing": (lambda now: None, False),
    "text": (lambda now: "now", False),
    "a bool": (lambda now: True, False),
    "zero": (lambda now: 0, False),
    "a list": (lambda now: [int(now)], False),
}


@pytest.mark.parametrize("for_one_login", [True, False])
@pytest.mark.parametrize("case", TIMES)
def test_max_age_is_checked(op, recorded, case, for_one_login):
    """The user's last authentication must be within ``max_age`` plus the leeway."""
    limit = {"max_age": 120}
    app, blueprint = app_with(op, authorization_url_params={} if for_one_login else limit)
    app.add_url_rule("/enter", "enter", lambda: blueprint.start_login(**limit))
    client = app.test_client()
    sent = begin(client, op, "/enter" if for_one_login else "/login/op")
    assert "120" == sent["max_age"]
    auth_time, accepted = TIMES[case]
    at = auth_time(time.time())
    without = ["auth_time"] if at is None else []
    op.says("/token", op.token(id_token=op.id_token(auth_time=at, without=without)))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert accepted == ("oauth-error" not in recorded.names())


@pytest.mark.parametrize(("age", "accepted"), [(10, True), (100, False)])
def test_a_max_age_of_zero_needs_a_new_proof(op, recorded, age, accepted):
    """Zero is a limit. The leeway is 60 seconds."""
    app, _ = app_with(op, authorization_url_params={"max_age": 0})
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(id_token=op.id_token(auth_time=int(time.time()) - age)))
    client.get(CALLBACK, query_string={"code": "the-code", "state": sent["state"]})
    assert accepted == ("oauth-error" not in recorded.names())
