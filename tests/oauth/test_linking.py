"""The receiver that links logins to users by (provider, subject)."""

import json
import threading

import pytest
from flask import Response, request
from flask_login import current_user
from sqlalchemy import String
from sqlalchemy.orm import Session

from aldis.errors import LoginError, OAuthSetupError
from aldis.oauth import OAuthBlueprint, oauth_authorized, oauth_error
from aldis.oauth._accounts import Accounts
from aldis.oauth.linking import UserLinker
from tests.oauth.apps import CALLBACK, begin, log_in, pending_logins
from tests.oauth.needs import need


def test_a_new_account_creates_a_user_and_the_next_login_finds_them(op, new_shop, recorded):
    """A new account creates a user once, and its row has the token."""
    shop = new_shop()
    first, second = shop.app.test_client(), shop.app.test_client()
    shop.enter(op, first, "ada")
    shop.enter(op, second, "ada")
    assert ["1", "1"] == [client.get("/who").text for client in (first, second)]
    assert [("ada", 1, True)] == shop.rows()
    assert "oauth-error" not in recorded.names()


def test_without_an_id_token_the_users_id_comes_from_the_providers_api(op, new_shop, recorded):
    """The setting `userinfo_subject` names it. Without an id, no account is linked."""
    shop = new_shop(create_user=lambda blueprint, token: shop.User())
    shop.blueprint._settings.update(
        scope=("email",), userinfo_url=f"{op.url}/user", userinfo_subject="id"
    )
    op.says("/token", op.token(id_token=None))
    for _ in range(2):
        op.says("/user", {"id": 7})
        log_in(shop.app.test_client(), op)
    assert [("7", 1, True)] == shop.rows()
    op.says("/user", {})
    log_in(shop.app.test_client(), op)
    assert "userinfo_invalid" == recorded.only("oauth-error")["error"]
    assert [("7", 1, True)] == shop.rows()


def test_an_email_address_does_not_link_an_account(op, new_shop):
    """The same e-mail address in another account makes another user."""
    shop = new_shop()
    shop.add_user(email="ada@example.org")
    client = shop.app.test_client()
    shop.enter(op, client, "mallory", email="ada@example.org", email_verified=True)
    assert "2" == client.get("/who").text


def test_a_logged_in_user_links_an_account(op, new_shop):
    """A logged-in user links an account and can log in with it from then on."""
    shop = new_shop()
    number = shop.add_user()
    client, later = shop.app.test_client(), shop.app.test_client()
    client.get(f"/enter/{number}")
    shop.enter(op, client, "ada")
    shop.enter(op, later, "ada")
    assert [str(number)] * 2 == [each.get("/who").text for each in (client, later)]


def test_an_account_of_another_user_is_refused(op, new_shop, recorded):
    """An account of another user is rejected, and no row changes."""
    shop = new_shop()
    shop.enter(op, shop.app.test_client(), "ada")
    number = shop.add_user()
    client = shop.app.test_client()
    client.get(f"/enter/{number}")
    before = shop.rows()
    answer = shop.enter(op, client, "ada")
    assert "/sorry" == answer.headers["Location"]
    assert "account_taken" == recorded.only("oauth-error")["error"]
    assert str(number) == client.get("/who").text
    assert before == shop.rows()


def test_an_account_with_a_subject_in_another_case_is_refused(op, new_shop, recorded):
    """Case matters in subjects, even if the column's collation ignores case."""
    shop = new_shop()
    subject = shop.OAuth.__table__.c.provider_user_id
    with shop.app.app_context():
        shop.db.drop_all()
        subject.type = String(255, collation="NOCASE")
        shop.db.create_all()
    shop.enter(op, shop.app.test_client(), "ada")
    client = shop.app.test_client()
    shop.enter(op, client, "ADA")
    assert "account_taken" == recorded.only("oauth-error")["error"]
    assert "nobody" == client.get("/who").text


def test_a_second_account_with_one_provider_is_refused(op, new_shop, recorded):
    """A second account of one user at a provider is rejected."""
    shop = new_shop()
    client = shop.app.test_client()
    shop.enter(op, client, "ada")
    shop.enter(op, client, "ada-at-work")
    assert "account_differs" == recorded.only("oauth-error")["error"]
    assert [("ada", 1, True)] == shop.rows()


def test_a_second_account_at_the_same_time_is_refused_too(op, new_shop, recorded, monkeypatch):
    """A second account is rejected too if another request links one at the same time."""
    shop, finds = new_shop(), []
    number, plain = shop.add_user(), Accounts._row

    def slow(accounts, **values):
        found = plain(accounts, **values)
        finds.append(values)
        if len(finds) == 2:
            with Session(shop.db.engine) as other:
                other.add(shop.OAuth(provider="op", user_id=number, provider_user_id="work"))
                other.commit()
        return found

    monkeypatch.setattr(Accounts, "_row", slow)
    client = shop.app.test_client()
    client.get(f"/enter/{number}")
    assert "/sorry" == shop.enter(op, client, "ada").headers["Location"]
    assert "account_differs" == recorded.only("oauth-error")["error"]
    assert [("work", number, False)] == shop.rows()


def test_a_row_without_a_subject_is_completed(op, new_shop):
    """A token without a subject was stored before aldis linked accounts. Its user gets the link."""
    shop = new_shop()
    number = shop.add_user()
    with shop.app.app_context():
        shop.db.session.add(shop.OAuth(provider="op", user_id=number, token={"a": "b"}))
        shop.db.session.commit()
    client = shop.app.test_client()
    client.get(f"/enter/{number}")
    shop.enter(op, client, "ada")
    assert [("ada", number, True)] == shop.rows()


def test_a_user_who_may_not_log_in_is_refused(op, new_shop, recorded):
    """Flask-Login's ``is_active`` is respected, and no token is stored."""
    shop = new_shop()
    shop.enter(op, shop.app.test_client(), "ada")
    with shop.app.app_context():
        shop.db.session.get(shop.User, 1).active = False
        shop.db.session.commit()
    client = shop.app.test_client()
    shop.enter(op, client, "ada")
    assert "user_inactive" == recorded.only("oauth-error")["error"]
    assert "nobody" == client.get("/who").text


@pytest.mark.parametrize("refused_by", ["a later receiver", "the storage"])
def test_a_failed_login_logs_the_user_out(op, new_shop, recorded, monkeypatch, refused_by):
    """If the login fails after all, the user is logged out before `oauth_error` is sent."""
    shop, seen = new_shop(remember=True), []

    def refuse(sender, token):
        if refused_by == "a later receiver":
            raise LoginError("not_invited", "only invited users")

    def full(blueprint, token):
        raise OSError("disk")

    def look(sender, **payload):
        seen.append(current_user.is_authenticated)

    monkeypatch.setattr(shop.blueprint.storage, "set", full)
    client = shop.app.test_client()
    with (
        oauth_authorized.connected_to(refuse, shop.blueprint),
        oauth_error.connected_to(look, shop.blueprint),
    ):
        answer = shop.enter(op, client, "ada")
    assert "/sorry" == answer.headers["Location"]
    assert [False] == seen
    assert client.get_cookie("remember_token") is None
    assert "nobody" == client.get("/who").text
    assert 1 == recorded.names().count("oauth-error")


@pytest.mark.parametrize("found", [None, ""])
def test_a_login_without_a_subject_is_refused(op, new_shop, recorded, found):
    """Without a subject, aldis cannot link the account."""
    shop = new_shop(subject=lambda blueprint, token: found)
    log_in(shop.app.test_client(), op)
    assert "subject_missing" == recorded.only("oauth-error")["error"]
    assert [] == shop.rows()


@pytest.mark.parametrize("answer", [{"message": "rate limit"}, "<html>"])
def test_a_failed_call_for_the_subject_makes_the_login_fail(op, new_shop, recorded, answer):
    """An error in `subject` makes the login fail."""
    op.says("/user", answer, 503)
    shop = new_shop(
        subject=lambda blueprint, _: blueprint.session.get(f"{op.url}/user").json()["id"]
    )
    assert "/sorry" == log_in(shop.app.test_client(), op).headers["Location"]
    assert "subject_missing" == recorded.only("oauth-error")["error"]
    assert [] == shop.rows()


READERS = {
    "item": lambda answer: answer.json()["id"],
    "get": lambda answer: answer.json().get("id"),
    "number": lambda answer: int(answer.json()["id"]),
}


@pytest.mark.parametrize("answer", [[], None, "x", 3, {"id": None}])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_response_without_a_subject_makes_the_login_fail(op, new_shop, recorded, answer, reader):
    """No JSON of the provider causes an error 500 in `subject`."""
    op.answers["/user"] = lambda: Response(json.dumps(answer), mimetype="application/json")
    shop = new_shop(subject=lambda blueprint, _: reader(blueprint.session.get(f"{op.url}/user")))
    assert "/sorry" == log_in(shop.app.test_client(), op).headers["Location"]
    assert "subject_missing" == recorded.only("oauth-error")["error"]
    assert [] == shop.rows()


@pytest.mark.parametrize("subject", [lambda: "x", lambda blueprint: "x", lambda a, b, c: "x", "x"])
def test_a_subject_that_cannot_be_called_is_refused_at_once(subject):
    """A `subject` with a wrong signature is rejected before any login."""
    with pytest.raises(TypeError):
        UserLinker(None, None, None, subject)


def test_a_subject_without_a_readable_signature_is_accepted():
    """A callable without a signature is accepted."""
    assert UserLinker(None, None, None, max).subject is max


def test_a_mistake_in_the_settings_raises_an_error(op, new_shop):
    """A call to a provider without settings raises an error."""

    def ask(blueprint, token):
        return OAuthBlueprint("two", authorization_url="/a").session.get("/user")

    with pytest.raises(OAuthSetupError):
        log_in(new_shop(subject=ask).app.test_client(), op)


def test_the_subject_function_may_call_the_provider(op, new_shop):
    """`subject` can call the provider with the token that is not stored yet."""
    op.says("/user", {"id": 7})

    def ask(blueprint, token):
        return blueprint.session.get(f"{op.url}/user").json()["id"]

    shop = new_shop(subject=ask)
    log_in(shop.app.test_client(), op)
    assert [("7", 1, True)] == shop.rows()
    assert "Bearer the-access-token" == op.asked_for("/user")[0][2]["Authorization"]


def test_a_user_who_logs_out_and_in_is_the_same_user(op, new_shop):
    """Deleting the token leaves the account linked."""
    shop = new_shop()
    client = shop.app.test_client()
    shop.enter(op, client, "ada")

    client.get("/leave")
    assert [("ada", 1, False)] == shop.rows()
    again = shop.app.test_client()
    shop.enter(op, again, "ada")
    assert "1" == again.get("/who").text


def test_two_simultaneous_first_logins_create_one_user(op, new_shop):
    """Of two simultaneous logins, the second one finds the user of the first."""
    shop = new_shop()
    gate, plain = threading.Barrier(2), shop.linker.create_user

    def together(blueprint, token):
        gate.wait(5)
        return plain(blueprint, token)

    shop.linker.create_user = together
    clients = [shop.app.test_client() for _ in range(2)]
    states = [begin(each, op)["state"] for each in clients]
    shop.linker.subject = lambda blueprint, token: "ada"
    answers = {}

    def finish(number):
        answers[number] = clients[number].get(
            CALLBACK, query_string={"code": str(number), "state": states[number]}
        )

    nonces = [_nonce(each) for each in clients]

    def token():
        # The nonces differ, so each login needs its own id_token.
        answer = op.token(id_token=op.id_token(nonce=nonces[int(request.form["code"])]))
        return Response(json.dumps(answer), mimetype="application/json")

    op.answers["/token"] = token
    threads = [threading.Thread(target=finish, args=(number,)) for number in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert ["/", "/"] == [answers[number].headers["Location"] for number in range(2)]
    assert [("ada", 1, True)] == shop.rows()
    assert ["1", "1"] == [each.get("/who").text for each in clients]


def _nonce(client):
    (login,) = pending_logins(client)
    return login["n"]


def test_flask_dances_storage_works_behind_the_blueprint(op, new_shop):
    """Flask-Dance's storage works unmodified with Flask-Login's user, but links no accounts."""
    need("flask_dance")
    from flask_dance.consumer.storage.sqla import SQLAlchemyStorage as FlaskDances

    shop = new_shop(storage=FlaskDances)
    oauth_authorized.disconnect(shop.linker, shop.blueprint)
    numbers = [shop.add_user(), shop.add_user()]

    shop.app.add_url_rule("/me", "me", shop.blueprint.authorization_required(lambda: "me"))
    ada, bob = (shop.app.test_client() for _ in range(2))
    assert "/login/op?next=/me" == ada.get("/me").headers["Location"]
    for number, client in zip(numbers, (ada, bob), strict=True):
        client.get(f"/enter/{number}")
        log_in(client, op)
    assert [(None, 1, True), (None, 2, True)] == shop.rows()
    ada.get("/leave")
    assert [(None, 2, True)] == shop.rows()
