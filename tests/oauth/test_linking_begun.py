"""A new account is linked only to the user who began the login."""

import sys

import pytest
from flask_login import login_user

from aldis.oauth import oauth_authorized
from tests.oauth.apps import CALLBACK, app_with, begin, log_in, pending_logins


def finish(op, client, sent, subject):
    """Log in at the provider as ``subject`` and return to the app."""
    op.nonce = sent["nonce"]
    op.says("/token", op.token(id_token=op.id_token(sub=subject)))
    return client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})


BEFORE_AND_AFTER = [
    (None, "ada"),
    ("bob", "ada"),
    ("ada", None),
]


@pytest.mark.parametrize(("before", "after"), BEFORE_AND_AFTER)
def test_a_new_account_needs_the_user_who_began_the_login(op, new_shop, recorded, before, after):
    """If the user changes during a login, the account is not linked, and no user is created."""
    shop = new_shop()
    numbers = {name: shop.add_user(email=name) for name in ("ada", "bob")}
    client = shop.app.test_client()
    if before:
        client.get(f"/enter/{numbers[before]}")
    sent = begin(client, op)
    client.get(f"/enter/{numbers[after]}" if after else "/exit")
    answer = finish(op, client, sent, "somebody")
    assert "/sorry" == answer.headers["Location"]
    assert "user_changed" == recorded.only("oauth-error")["error"]
    assert [] == shop.rows()
    assert (str(numbers[after]) if after else "nobody") == client.get("/who").text


def test_a_row_without_a_subject_is_not_completed_by_another_user(op, new_shop, recorded):
    """If the user logs out during a login, the account is not linked."""
    shop = new_shop()
    number = shop.add_user()
    with shop.app.app_context():
        shop.db.session.add(shop.OAuth(provider="op", user_id=number, token={"a": "b"}))
        shop.db.session.commit()
    client = shop.app.test_client()
    sent = begin(client, op)
    client.get(f"/enter/{number}")
    finish(op, client, sent, "somebody")
    assert "user_changed" == recorded.only("oauth-error")["error"]
    assert [(None, number, True)] == shop.rows()


def test_a_linked_account_logs_in_although_the_user_has_changed(op, new_shop, recorded):
    """Logins in two tabs work, although the first one logs the user in."""
    shop = new_shop()
    client = shop.app.test_client()
    first, second = begin(client, op), begin(client, op)
    finish(op, client, first, "ada")
    finish(op, client, second, "ada")
    assert "oauth-error" not in recorded.names()
    assert [("ada", 1, True)] == shop.rows()
    assert "1" == client.get("/who").text


def test_a_linked_account_logs_in_after_the_user_is_gone(op, new_shop, recorded):
    """A user who logged out in another tab can log in with their own account."""
    shop = new_shop()
    client = shop.app.test_client()
    shop.enter(op, client, "ada")
    sent = begin(client, op)
    client.get("/exit")
    finish(op, client, sent, "ada")
    assert "oauth-error" not in recorded.names()
    assert "1" == client.get("/who").text


# Flask-Login 0.6.3 computes the expiry of its cookie with a deprecated function.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_a_remembered_user_counts_as_the_user_at_the_start(op, new_shop, recorded):
    """A user whom the remember cookie logs in counts as the user at the start."""
    shop = new_shop()
    number = shop.add_user()
    client = shop.app.test_client()
    client.get(f"/enter/{number}?remember=yes")
    client.delete_cookie("session")
    shop.enter(op, client, "ada")
    assert "oauth-error" not in recorded.names()
    assert [("ada", number, True)] == shop.rows()


def test_the_user_at_the_start_uses_little_space_in_the_cookie(op, new_shop):
    """The session keeps a short digest of the user's id."""
    shop = new_shop()
    shop.User.get_id = lambda user: "x" * 200 + str(user.id)
    shop.app.login_manager.user_loader(
        lambda key: shop.db.session.get(shop.User, int(key.lstrip("x")))
    )
    client = shop.app.test_client()
    client.get(f"/enter/{shop.add_user()}")
    begin(client, op)
    (login,) = pending_logins(client)
    assert 16 == len(login["w"])


def test_a_receiver_may_log_the_linked_user_in(op, new_shop, recorded):
    """A user that the app's receiver logs in does not count as a changed user."""
    shop = new_shop()
    number = shop.add_user()
    oauth_authorized.disconnect(shop.linker, shop.blueprint)

    def old_receiver(sender, token):
        login_user(shop.db.session.get(shop.User, number))

    with (
        oauth_authorized.connected_to(old_receiver, shop.blueprint),
        oauth_authorized.connected_to(shop.linker, shop.blueprint),
    ):
        shop.enter(op, shop.app.test_client(), "ada")
    assert "oauth-error" not in recorded.names()
    assert [("ada", number, True)] == shop.rows()


def test_an_attribute_login_manager_of_the_app_is_ignored(op, monkeypatch):
    """Without Flask-Login, no user is logged in."""
    monkeypatch.setitem(sys.modules, "flask_login", None)
    app, _ = app_with(op)
    app.login_manager = "the app's own"
    assert "/" == log_in(app.test_client(), op).headers["Location"]


def begun_from(site, op, new_shop, *, logged_in=True):
    """Return the app, its user and the response to a login as "ada" that ``site`` began."""
    shop = new_shop()
    number = shop.add_user()
    client = shop.app.test_client()
    if logged_in:
        client.get(f"/enter/{number}")
    client.environ_base["HTTP_SEC_FETCH_SITE"] = site
    sent = begin(client, op)
    # The provider's redirect always comes from another site.
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "cross-site"
    return shop, number, finish(op, client, sent, "ada")


def test_another_site_does_not_link_an_account_to_a_user(op, new_shop, recorded):
    """An account is not linked if another site began the login."""
    shop, _, answer = begun_from("cross-site", op, new_shop)
    assert "/sorry" == answer.headers["Location"]
    assert "begun_elsewhere" == recorded.only("oauth-error")["error"]
    assert [] == shop.rows()


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_pages_of_this_site_link_accounts(op, new_shop, recorded, site):
    """A link of the app or its subdomain, and a bookmark, are not another site."""
    shop, number, _ = begun_from(site, op, new_shop)
    assert "oauth-error" not in recorded.names()
    assert [("ada", number, True)] == shop.rows()


def test_another_site_may_lead_to_a_first_login(op, new_shop, recorded):
    """If no user is logged in, another site may begin the login."""
    shop, number, _ = begun_from("cross-site", op, new_shop, logged_in=False)
    assert "oauth-error" not in recorded.names()
    assert [("ada", number + 1, True)] == shop.rows()


def test_another_site_may_lead_to_a_login_with_a_linked_account(op, new_shop, recorded):
    """Another site may begin a login with a linked account."""
    shop = new_shop()
    client = shop.app.test_client()
    shop.enter(op, client, "ada")
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "cross-site"
    shop.enter(op, client, "ada")
    assert "oauth-error" not in recorded.names()
    assert [("ada", 1, True)] == shop.rows()
