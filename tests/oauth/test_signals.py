"""The three signals: their times, their payloads, and the return values of receivers."""

# ruff: noqa: D103 - the names of the helpers explain them

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


def test_the_three_signals_have_their_own_namespace():
    """The names are those of Flask-Dance."""
    expected = {
        "oauth-before-login": oauth_before_login,
        "oauth-authorized": oauth_authorized,
        "oauth-error": oauth_error,
    }
    assert expected == dict(oauth_signals)


def test_a_receiver_is_called_for_its_blueprint_only(op):
    """An app with two providers has a receiver for each blueprint."""
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
def test_the_first_response_is_sent_and_the_token_is_not_stored(op, kind):
    """A Response of Flask or werkzeug counts. Later receivers are still called."""
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
    """Each value that equals False prevents it, as in Flask-Dance. The redirect is as usual."""
    app, blueprint = app_with(op, redirect_url="/home")
    client = app.test_client()
    with (
        oauth_authorized.connected_to(lambda sender, token: value, blueprint),
        oauth_authorized.connected_to(lambda sender, token: None, blueprint),
    ):
        assert "/home" == log_in(client, op).headers["Location"]
    assert kept == (stored(blueprint, client) is not None)


def test_a_receiver_may_rebuild_the_session_before_the_login(op):
    """oauth_before_login is sent before the state is saved, so a receiver may clear the session."""
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


def test_the_url_is_the_target_of_the_redirect(op, recorded):
    """``url`` of oauth_before_login is the URL of the provider."""
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


@pytest.mark.parametrize(("sent_scope", "granted"), SCOPES)
def test_scope_is_the_list_of_scopes_granted(op, recorded, sent_scope, granted):
    """``"user" in token["scope"]`` compares whole scopes. A missing list is filled in."""
    app, blueprint = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    op.says("/token", op.token(scope=sent_scope))
    client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert granted == recorded.only("oauth-authorized")["token"]["scope"]
    assert granted == stored(blueprint, client)["scope"]


def test_a_receiver_that_could_not_be_called_is_refused_at_once(op):
    """Two of the signals have a contract, so a wrong receiver fails at start-up."""
    with pytest.raises(ContractError, match="token"):
        oauth_authorized.connect(lambda sender, tokens: None)
    with pytest.raises(ContractError, match="url"):
        oauth_before_login.connect(lambda sender: None)
    assert oauth_error.contract is None


def test_async_receivers_are_called_like_async_views(op, monkeypatch):
    """``ensure_sync`` of the app runs async receivers, and their return values count."""
    app, blueprint = app_with(op)
    client = app.test_client()
    monkeypatch.setattr(app, "ensure_sync", _run_async)

    async def refuse(sender, token):
        return False

    with oauth_authorized.connected_to(refuse, blueprint):
        assert 302 == log_in(client, op).status_code
    assert stored(blueprint, client) is None


def _run_async(function):
    # Flask would use asgiref, which only its extra "async" installs.
    if not inspect.iscoroutinefunction(function):
        return function
    return lambda *args, **kwargs: asyncio.run(function(*args, **kwargs))
