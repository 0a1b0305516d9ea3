"""An expired token is refreshed once for all requests, and again when it expires."""

import json
import threading
import time
from itertools import count

import pytest
from flask import Response, request

from aldis.errors import LoginError, LoginExpiredError
from aldis.oauth import MemoryStorage, oauth_authorized
from aldis.oauth._refresh import TokenRefresher
from tests.oauth.apps import app_with, log_in
from tests.oauth.frameworks import flask_only

pytestmark = pytest.mark.usefixtures("framework")


def expires(number, refresh="again", at=1):
    """Return a token that expires at ``at``. By default, it has expired."""
    return {"access_token": f"access-{number}", "refresh_token": refresh, "expires_at": at}


@pytest.fixture
def refreshing(op):
    """Give a provider that issues access-1, access-2 and so on. It can rotate refresh tokens."""
    numbers = count(1)
    op.rotates, op.expired = False, ()

    def token():
        number = next(numbers)
        lasting = {"expires_at": 1} if number in op.expired else {"expires_in": 300}
        answer = {"access_token": f"access-{number}", **lasting}
        if op.rotates:
            answer["refresh_token"] = f"refresh-{number}"
        return Response(json.dumps(answer), mimetype="application/json")

    op.answers["/token"] = token
    op.answers["/me"] = lambda: Response(request.headers["Authorization"].split()[1])
    return op


def make(op, **options):
    """Return a function that calls the provider in a request, and the storage."""
    storage = options.setdefault("storage", MemoryStorage(expires(0)))
    app, blueprint = app_with(op, base_url=op.url, **options)

    def call():
        with app.test_request_context():
            return blueprint.session.get("/me").text

    return call, storage, blueprint


def test_a_refresh_token_that_is_not_rotated_is_used_again(refreshing):
    """Each expired token is refreshed, even one with a short lifetime."""
    call, storage, blueprint = make(refreshing)
    assert ["access-1", "access-1"] == [call(), call()]
    storage.set(blueprint, {**storage.get(blueprint), "expires_at": 1})
    assert ["access-2", "access-2"] == [call(), call()]
    assert ["again", "again"] == [
        each[1]["refresh_token"] for each in refreshing.asked_for("/token")
    ]


def test_a_request_with_an_old_cookie_gets_the_newest_token(refreshing):
    """The cookie is two refreshes old."""
    refreshing.rotates, refreshing.expired = True, (1,)
    call, storage, blueprint = make(refreshing)
    old = storage.get(blueprint)
    assert ["access-1", "access-2"] == [call(), call()]
    storage.set(blueprint, old)
    assert "access-2" == call()
    used = [each[1]["refresh_token"] for each in refreshing.asked_for("/token")]
    assert ["again", "refresh-1"] == used


def test_an_old_cookie_does_not_use_a_refresh_token_twice(refreshing):
    """If the newer token has expired too, its refresh token is used."""
    refreshing.rotates, refreshing.expired = True, (1,)
    call, storage, blueprint = make(refreshing)
    old = storage.get(blueprint)
    call()
    storage.set(blueprint, old)
    assert "access-2" == call()
    used = [each[1]["refresh_token"] for each in refreshing.asked_for("/token")]
    assert ["again", "refresh-1"] == used


def test_a_refresh_keeps_the_scopes(refreshing):
    """A refresh keeps every value that the provider does not send again."""
    first = {**expires(0), "scope": ["email"], "id_token": "kept", "token_type": "Bearer"}
    call, storage, blueprint = make(refreshing, storage=MemoryStorage(first))
    call()
    stored = storage.get(blueprint)
    assert (["email"], "kept", "again") == tuple(
        stored[name] for name in ("scope", "id_token", "refresh_token")
    )
    assert "scope" not in refreshing.asked_for("/token")[0][1]
    assert stored["expires_at"] > 1000


def test_the_token_of_another_process_is_used(refreshing):
    """If the storage has a newer token, the provider is not called."""

    class Shared(MemoryStorage):
        reads = 0

        def get(self, blueprint):
            Shared.reads += 1
            return expires(0) if Shared.reads == 1 else expires(9, "other", 4_000_000_000)

    call, _, _ = make(refreshing, storage=Shared())
    assert "access-9" == call()
    assert [] == refreshing.asked_for("/token")


@pytest.mark.parametrize("status", [500, 503])
def test_a_provider_that_is_down_does_not_end_a_login(refreshing, status):
    """The token stays, and a later request refreshes it."""
    call, storage, blueprint = make(refreshing)
    works = refreshing.answers["/token"]
    refreshing.says("/token", "down", status)
    with pytest.raises(LoginError) as failed:
        call()
    assert "provider_error" == failed.value.code
    assert expires(0) == storage.get(blueprint)
    refreshing.answers["/token"] = works
    assert "access-1" == call()


def test_a_refused_refresh_deletes_the_token(refreshing):
    """If the provider withdrew the grant, the token is deleted."""
    call, storage, blueprint = make(refreshing)
    refreshing.says("/token", {"error": "invalid_grant"}, 400)
    with pytest.raises(LoginExpiredError):
        call()
    assert storage.get(blueprint) is None


def test_a_refreshed_token_of_another_type_is_refused(refreshing):
    """An unusable new token does not replace the old one."""
    call, storage, blueprint = make(refreshing)
    refreshing.says("/token", {"access_token": "x", "token_type": "DPoP", "expires_in": 300})
    with pytest.raises(LoginError, match="token_type_unknown"):
        call()
    assert "access-0" == storage.get(blueprint)["access_token"]


def test_a_token_that_cannot_be_refreshed_ends_the_login(op):
    """Without a refresh token, an expired token ends the login."""
    call, _, _ = make(op, storage=MemoryStorage({"access_token": "x", "expires_at": 1}))
    with pytest.raises(LoginExpiredError):
        call()
    assert [] == op.asked_for("/me")


@flask_only
def test_concurrent_requests_refresh_once():
    """Requests during a refresh wait for it and get its token."""
    refresher, asked, gate = TokenRefresher(), [], threading.Barrier(8)
    results = []

    def refresh(token):
        asked.append(token)
        time.sleep(0.1)  # long enough for the other requests to arrive
        return expires(1, "next", 4_000_000_000)

    def work():
        gate.wait(5)
        results.append(refresher.refresh(expires(0), refresh, lambda token: False)["access_token"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert ["access-1"] * 8 == results
    assert 1 == len(asked)


@flask_only
def test_concurrent_requests_share_one_failure():
    """Requests during a refresh get its error, and a later request tries again."""
    refresher, asked, gate = TokenRefresher(), [], threading.Barrier(8)
    errors = []

    def refresh(token):
        asked.append(token)
        if len(asked) > 1:
            return expires(1, "next", 4_000_000_000)
        time.sleep(0.3)  # long enough for the other requests to arrive
        raise LoginError("provider_unreachable")

    def work():
        gate.wait(5)
        try:
            refresher.refresh(expires(0), refresh, lambda token: False)
        except LoginError as error:
            errors.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert ["provider_unreachable"] * 8 == errors
    assert 1 == len(asked)
    later = refresher.refresh(expires(0), refresh, lambda token: False)
    assert "access-1" == later["access_token"]


@flask_only
def test_a_provider_may_alternate_between_two_refresh_tokens():
    """A refresh token that is issued again counts as new."""
    refresher = TokenRefresher()
    tokens = {"a": expires(1, "b"), "b": expires(2, "a")}

    def refresh(token):
        return tokens[token["refresh_token"]]

    token = expires(0, "a")
    for _ in range(6):
        token = refresher.refresh(token, refresh, lambda token: token["expires_at"] == 1)
    assert "a" == token["refresh_token"]


@pytest.mark.parametrize("lifetime", [{"expires_in": 60}, {"expires_in": 2}, {"expires_at": None}])
def test_a_token_with_a_short_lifetime_is_not_refreshed_at_each_call(refreshing, lifetime):
    """The leeway is at most half of the lifetime. `expires_at` alone may give the lifetime."""
    if "expires_at" in lifetime:
        lifetime = {"expires_at": int(time.time()) + 50}
    refreshing.says("/token", {"access_token": "short", **lifetime})
    call, _, _ = make(refreshing)
    assert ["short", "short"] == [call(), call()]
    assert 1 == len(refreshing.asked_for("/token"))


@flask_only
def test_different_users_do_not_wait_for_each_other():
    """A refresh blocks only requests with the same refresh token."""
    refresher = TokenRefresher()
    seen = []

    def slow(token):
        seen.append(refresher.refresh(expires(5, "bobs"), lambda _: expires(6, "b2"), bool))
        return expires(1, "a2")

    ada = refresher.refresh(expires(0, "adas"), slow, lambda token: False)
    assert ("access-1", "access-6") == (ada["access_token"], seen[0]["access_token"])


@flask_only
def test_old_refreshes_are_deleted(monkeypatch):
    """Refreshed tokens do not accumulate in memory."""
    refresher, now = TokenRefresher(), [1000.0]
    monkeypatch.setattr("aldis.oauth._refresh.time.monotonic", lambda: now[0])
    for number in range(50):
        refresher.refresh(expires(0, f"r{number}"), lambda token: expires(1), lambda token: False)
        now[0] += 60
    assert len(refresher._refreshes) <= 6


@flask_only
def test_a_receiver_gets_an_expired_token_and_refreshes_it(refreshing, recorded):
    """The receiver gets the refreshed token, and the storage stores it."""
    refreshing.expired = (1,)
    refreshing.rotates = True
    app, blueprint = app_with(
        base_url=refreshing.url,
        client_id="app",
        authorization_url=f"{refreshing.url}/authorize",
        token_url=f"{refreshing.url}/token",
        storage=MemoryStorage(),
    )

    def call(sender, token):
        assert "access-2" == sender.session.get("/me").text
        assert "access-2" == token["access_token"]

    with oauth_authorized.connected_to(call, blueprint):
        log_in(app.test_client(), refreshing)
    assert ("access-2", "refresh-2") == tuple(
        blueprint.storage.get(blueprint)[name] for name in ("access_token", "refresh_token")
    )
    assert 2 == len(refreshing.asked_for("/token"))


class ChangedByAnotherProcess(MemoryStorage):
    """A storage that another process changes while this process calls the provider."""

    def __init__(self, *tokens):
        super().__init__()
        self.tokens = list(tokens)

    def get(self, blueprint):
        """Return the next token. After the last one, return the last one again."""
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]


def test_a_refused_refresh_uses_the_token_of_another_process(refreshing):
    """Another process used the refresh token and stored the new token."""
    refreshing.says("/token", {"error": "invalid_grant"}, 400)
    theirs = expires(9, "other", 4_000_000_000)
    call, _, _ = make(refreshing, storage=ChangedByAnotherProcess(expires(0), expires(0), theirs))
    assert "access-9" == call()


def test_a_newer_expired_token_is_refreshed(refreshing):
    """A newer, expired token in the storage is the one to refresh."""
    call, _, _ = make(
        refreshing, storage=ChangedByAnotherProcess(expires(0, "old"), expires(5, "newer"))
    )
    assert "access-1" == call()
    assert ["newer"] == [each[1]["refresh_token"] for each in refreshing.asked_for("/token")]


def test_a_token_without_a_refresh_token_is_used_until_it_expires(refreshing):
    """A token without ``expires_at`` does not expire."""
    call, storage, blueprint = make(refreshing, storage=MemoryStorage({"access_token": "x"}))
    assert "x" == call()
    storage.set(blueprint, {"access_token": "y", "expires_at": int(time.time()) + 30})
    assert "y" == call()
    assert [] == refreshing.asked_for("/token")


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_response_without_a_refresh_token_keeps_the_old_one(refreshing, nothing):
    """If the provider sends no refresh token, the old one stays valid."""
    refreshing.says("/token", {"access_token": "x", "expires_in": 300, "refresh_token": nothing})
    call, storage, blueprint = make(refreshing)
    assert "x" == call()
    assert "again" == storage.get(blueprint)["refresh_token"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_tokens_without_a_refresh_token_are_not_mixed_up(nothing):
    """Two users whose refresh brought no refresh token get their own tokens next time."""
    refresher, got = TokenRefresher(), []

    def expired(token):
        return token["expires_at"] == 1

    for user in ("ada", "bob"):
        old = expires(user, refresh=user)
        answers = [expires(f"{user}-dead", nothing), expires(f"{user}-new", nothing, 4_000_000_000)]
        for _ in range(2):
            found = refresher.refresh(old, lambda _, left=answers: left.pop(0), expired)
        got.append(found["access_token"])
    assert ["access-ada-new", "access-bob-new"] == got
