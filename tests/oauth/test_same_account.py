"""A login without a refresh token keeps the old one, but only of the same account."""

import pytest

from aldis.oauth import MemoryStorage, oauth_authorized
from tests.oauth.apps import CALLBACK, app_with, begin


def enter(client, op, subject, refresh_token):
    """Log in as ``subject``. The provider sends ``refresh_token``, or none."""
    sent = begin(client, op)
    token = op.token(id_token=op.id_token(sub=subject), refresh_token=refresh_token)
    op.says("/token", token)
    return client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})


def refresh_token(app, client):
    """Return the refresh token in the session."""
    with client.session_transaction() as kept:
        return kept["op_oauth_token"].get("refresh_token")


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("subject", "kept"), [("ada", "first"), ("bob", None)])
def test_the_id_token_shows_whether_the_account_has_changed(op, subject, kept, nothing):
    """Google sends a refresh token only at the first consent of an account."""
    app, _ = app_with(op)
    client = app.test_client()
    enter(client, op, "ada", "first")
    enter(client, op, subject, nothing)
    assert kept == (refresh_token(app, client) or None)


def test_a_new_refresh_token_replaces_the_old_one(op):
    """Only the provider's newest refresh token is valid."""
    app, _ = app_with(op)
    client = app.test_client()
    enter(client, op, "ada", "first")
    enter(client, op, "ada", "second")
    assert "second" == refresh_token(app, client)


def test_without_an_id_token_no_refresh_token_is_kept(op):
    """The new login may belong to another account."""
    op.says("/token", op.token(refresh_token=None))
    storage = MemoryStorage({"access_token": "x", "refresh_token": "of another account"})
    app, blueprint = app_with(op, scope="email", storage=storage)
    client = app.test_client()
    sent = begin(client)
    client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert "refresh_token" not in storage.get(blueprint)


def test_a_linked_account_keeps_its_refresh_token(op, new_shop):
    """With the table of accounts, a login after a logout keeps the refresh token."""
    shop = new_shop(subject=lambda blueprint, token: "7")
    first, second = shop.app.test_client(), shop.app.test_client()
    enter(first, op, "ada", "first")
    with shop.app.app_context():
        row = shop.db.session.scalar(shop.db.select(shop.OAuth))
        row.token = {k: v for k, v in row.token.items() if k != "id_token"}
        shop.db.session.commit()
    enter(second, op, "ada", None)
    with shop.app.app_context():
        row = shop.db.session.scalar(shop.db.select(shop.OAuth))
        assert ("first", "the-access-token") == (
            row.token["refresh_token"],
            row.token["access_token"],
        )


def test_a_linked_account_does_not_keep_tokens_of_the_session(op, new_shop):
    """The session may still have the token of the previous user of the browser."""
    from aldis.oauth import SessionStorage

    shop = new_shop(storage=lambda *_args, **_options: SessionStorage())
    client = shop.app.test_client()
    enter(client, op, "bob", "bobs")
    client.get("/exit")
    enter(client, op, "ada", "adas")
    client.get("/exit")
    enter(client, op, "bob", None)
    assert refresh_token(shop.app, client) is None
    assert [shop.linker] == list(oauth_authorized.receivers_for(shop.blueprint))
