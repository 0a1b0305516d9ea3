"""The three signals: when they are sent, with what, and what receivers may answer."""

# ruff: noqa: D103 - what the tests are made from is named for what it does

import asyncio
import inspect

import pytest
from flask import Response, session
from werkzeug.wrappers import Response as PlainResponse

from aldis.errors import ContractError
from aldis.oauth import (
    OAuthBlueprint,
    oauth_authorized,
    oauth_before_login,
    oauth_error,
    oauth_signals,
)
from tests.oauth.apps import CALLBACK, app_with, begin, log_in


def stored(blueprint, client):
    with client.session_transaction() as kept:
        return kept.get(f"{blueprint.name}_oauth_token")


def test_the_three_signals_are_in_a_namespace_of_their_own():
    """Their names are the seed's."""
    expected = {
        "oauth-before-login": oauth_before_login,
        "oauth-authorized": oauth_authorized,
        "oauth-error": oauth_error,
    }
    assert expected == dict(oauth_signals)


def test_a_receiver_hears_the_blueprint_that_it_is_connected_for(op):
    """Two providers in one app: each receiver hears its own sender only."""
    app, one = app_with(op)
    two = OAuthBlueprint("two", client_id="x", authorization_url="/a", token_url="/b")  # noqa: S106
    app.register_blueprint(two)
    recorded = []
    with (
        oauth_authorized.connected_to(lambda sender, token: recorded.append(("one", sender)), one),
        oauth_authorized.connected_to(lambda sender, token: recorded.append(("two", sender)), two),
    ):
        log_in(app.test_client(), op)
    assert [("one", one)] == recorded


@pytest.mark.parametrize("kind", [Response, PlainResponse])
def test_the_first_response_is_sent_and_the_token_not_stored(op, kind):
    """Flask's Response counts, werkzeug's too, and the receivers after it are still called."""
    app, blueprint = app_with(op)
    client, calls = app.test_client(), []
    with (
        oauth_authorized.connected_to(lambda sender, token: calls.append(1) or "text", blueprint),
        oauth_authorized.connected_to(lambda sender, token: kind("first"), blueprint),
        oauth_authorized.connected_to(lambda sender, token: kind("second"), blueprint),
        oauth_authorized.connected_to(lambda sender, token: calls.append(2), blueprint),
    ):
        answer = log_in(client, op)
    assert "first" == answer.text
    assert [1, 2] == calls
    assert stored(blueprint, client) is None


@pytest.mark.parametrize(("value", "kept"), [(False, False), (0, False), (None, True), ("", True)])
def test_false_keeps_the_token_from_being_stored(op, value, kept):
    """Whatever equals False does, as in the seed's system; the user goes on as usual."""
    app, blueprint = app_with(op, redirect_url="/home")
    client = app.test_client()
    with (
        oauth_authorized.connected_to(lambda sender, token: value, blueprint),
        oauth_authorized.connected_to(lambda sender, token: None, blueprint),
    ):
        assert "/home" == log_in(client, op).headers["Location"]
    assert kept == (stored(blueprint, client) is not None)


def test_a_receiver_may_rebuild_the_session_before_the_login(op):
    """oauth_before_login is sent before the state is saved: clearing the session breaks nothing."""
    app, blueprint = app_with(op)
    client = app.test_client()

    def rebuild(sender, url):
        session.clear()
        session["next_url"] = "/kept"
        return Response("ignored")

    with oauth_before_login.connected_to(rebuild, blueprint):
        answer = log_in(client, op)
    assert "/" == answer.headers["Location"]
    assert "the-access-token" == stored(blueprint, client)["access_token"]
    with client.session_transaction() as kept:
        assert "/kept" == kept["next_url"]


def test_the_url_is_where_the_user_is_sent_to(op, recorded):
    """``url`` is the address of the redirect."""
    app, _ = app_with(op)
    answer = app.test_client().get("/login/op")
    assert {"url": answer.headers["Location"]} == recorded.only("oauth-before-login")


SCOPES = [
    ("openid email", ["openid", "email"]),
    ("openid,user:email", ["openid", "user:email"]),
    ("openid", ["openid"]),
    ("", []),
    (None, ["openid", "email"]),
    (["openid", "other"], ["openid", "other"]),
]


@pytest.mark.parametrize(("told", "granted"), SCOPES)
def test_scope_is_the_list_of_scopes_granted(op, recorded, told, granted):
    """A list, so that ``"user" in token["scope"]`` is about scopes; filled in when left out."""
    app, blueprint = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(scope=told))
    client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert granted == recorded.only("oauth-authorized")["token"]["scope"]
    assert granted == stored(blueprint, client)["scope"]


def test_a_receiver_that_could_not_be_called_is_refused_at_once(op):
    """Two of the signals have a contract: a receiver that does not fit fails at start-up."""
    with pytest.raises(ContractError, match="token"):
        oauth_authorized.connect(lambda sender, tokens: None)
    with pytest.raises(ContractError, match="url"):
        oauth_before_login.connect(lambda sender: None)
    assert oauth_error.contract is None


def test_async_receivers_are_called_as_the_app_calls_async_views(op, monkeypatch):
    """What Flask does for views, ``ensure_sync``, it does for receivers; their values count."""
    app, blueprint = app_with(op)
    client = app.test_client()
    monkeypatch.setattr(app, "ensure_sync", _run_async)

    async def refuse(sender, token):
        return False

    with oauth_authorized.connected_to(refuse, blueprint):
        assert 302 == log_in(client, op).status_code
    assert stored(blueprint, client) is None


def _run_async(function):
    # As Flask does it with asgiref, which only its extra "async" brings.
    if not inspect.iscoroutinefunction(function):
        return function
    return lambda *args, **kwargs: asyncio.run(function(*args, **kwargs))
