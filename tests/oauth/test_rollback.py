"""If a login fails, the changes by its receivers are undone."""

import pytest
from flask import session

from aldis.errors import LoginError
from aldis.oauth import MemoryStorage, oauth_authorized, on_login_failure
from tests.oauth.apps import app_with, log_in


def greet(sender, token):
    """Log the user in, in the simplest way."""
    session["visitor"] = token["userinfo"]["sub"]
    on_login_failure(lambda: session.pop("visitor"))


class Full(MemoryStorage):
    """A storage without space."""

    def set(self, blueprint, token):
        """Store nothing."""
        raise OSError("full")


def refuse(sender, token):
    """Refuse the login."""
    raise LoginError("not_invited")


def broken(sender, token):
    """Fail with an error of the app."""
    raise ZeroDivisionError


@pytest.mark.parametrize("later", [refuse, broken, None], ids=["refusal", "bug", "storage"])
def test_the_changes_by_an_earlier_receiver_are_undone(op, later):
    """A later receiver or the storage makes the login fail."""
    app, blueprint = app_with(op, storage=Full() if later is None else None)
    app.testing = False
    app.add_url_rule("/visitor", "visitor", lambda: session.get("visitor", "nobody"))
    client = app.test_client()
    with (
        oauth_authorized.connected_to(greet, blueprint),
        oauth_authorized.connected_to(later or (lambda sender, token: None), blueprint),
    ):
        log_in(client, op)
    assert "nobody" == client.get("/visitor").text


def test_a_login_that_succeeds_is_not_undone(op):
    """A failure of the next login does not run the functions of this login."""
    app, blueprint = app_with(op)
    app.add_url_rule("/visitor", "visitor", lambda: session.get("visitor", "nobody"))
    client = app.test_client()
    with oauth_authorized.connected_to(greet, blueprint):
        log_in(client, op)
        log_in(client, op, error="access_denied")
    assert "ada" == client.get("/visitor").text


def test_the_functions_run_in_reverse_order_and_all_of_them(op, caplog):
    """An error of a function is logged without its text."""
    app, blueprint = app_with(op)
    called = []

    def work(sender, token):
        on_login_failure(lambda: called.append("first"))
        on_login_failure(lambda: [][token["access_token"]])
        on_login_failure(lambda: called.append("last"))

    with (
        oauth_authorized.connected_to(work, blueprint),
        oauth_authorized.connected_to(refuse, blueprint),
    ):
        log_in(app.test_client(), op)
    assert ["last", "first"] == called
    assert "raised TypeError" in caplog.text
    assert "the-access-token" not in caplog.text


def test_outside_of_a_login_nothing_is_registered():
    """A test can call a receiver directly."""
    on_login_failure(lambda: 1 / 0)
