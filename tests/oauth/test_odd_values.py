"""Odd values of a provider cause `oauth_error`. A primary key may have any name and type."""

import json

import pytest
from flask import Flask, Response
from flask_login import LoginManager, UserMixin, current_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from aldis.oauth import oauth_authorized
from aldis.oauth.linking import UserLinker
from aldis.oauth.sqla import OAuthMixin, SQLAlchemyStorage
from tests.oauth.apps import CALLBACK, app_with, begin, log_in
from tests.services import MARIADB, POSTGRESQL, needs_service

pytestmark = pytest.mark.usefixtures("framework")

METADATA = "/.well-known/openid-configuration"

SUBJECTS = {
    "long": "a" * 300,
    "NUL": "a\0b",
    "newline": "a\nb",
    "surrogate": "a\ud800b",
    "only NUL": "\0",
    "escape": "\x1b[31m",
    "direction": "a\u202eb",
    "list": ["a"],
    "object": {"a": 1},
    "true": True,
    "number with a fraction": 1.5,
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("of_the_app", [True, False])
def test_an_odd_subject_is_refused(op, new_shop, recorded, subject, of_the_app):
    """The subject comes from the id_token or from the app's function."""
    if not of_the_app and subject == SUBJECTS["surrogate"]:
        pytest.skip("an id_token cannot contain this text")
    own = {"subject": lambda blueprint, token: subject} if of_the_app else {}
    shop = new_shop(**own)
    answer = shop.enter(op, shop.app.test_client(), "ada" if of_the_app else subject)
    assert "/sorry" == answer.headers["Location"]
    assert recorded.only("oauth-error")["error"] in ("subject_invalid", "id_token_invalid")
    assert [] == shop.rows()


@pytest.mark.parametrize("subject", ["a" * 255, "auth0|7", "Zo\u00eb \u2603", 12345])
def test_a_usual_subject_is_accepted(op, new_shop, recorded, subject):
    """A subject may be a number, or a text up to the length of the column."""
    shop = new_shop(subject=lambda blueprint, token: subject)
    shop.enter(op, shop.app.test_client(), "ada")
    assert "oauth-error" not in recorded.names()
    assert [(str(subject), 1, True)] == shop.rows()


@pytest.mark.parametrize(
    "kind",
    [pytest.param(each, marks=needs_service) for each in ("postgresql", "mariadb")],
)
def test_a_name_that_the_database_cannot_store(op, recorded, kind):
    """The login fails, and the session can be used afterwards."""
    service = {"postgresql": POSTGRESQL, "mariadb": MARIADB}[kind]
    service.require()
    driver = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}[kind]
    with site(op, service.sqlalchemy_url(driver)) as (app, *_):
        client = app.test_client()
        for name in ("x" * 100, "a\0b" if kind == "postgresql" else "y" * 100):
            sent = begin(client, op)
            op.says("/token", op.token(id_token=op.id_token(name=name)))
            client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
        errors = [payload["error"] for name, _, payload in recorded if name == "oauth-error"]
        assert ["account_invalid"] * 2 == errors
        sent = begin(client, op)
        op.says("/token", op.token(id_token=op.id_token(name="Ada")))
        client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
        assert "oauth-authorized" == recorded.names()[-1]


class site:  # noqa: N801 - a context manager
    """An app whose user's primary key is called `number`."""

    def __init__(self, op, url):
        self.app = Flask("site")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url

        class Base(DeclarativeBase):
            pass

        self.db = SQLAlchemy(self.app, model_class=Base)

        class Person(UserMixin, self.db.Model):
            __tablename__ = "odd_person"
            number: Mapped[int] = mapped_column("person_no", primary_key=True)
            name: Mapped[str | None] = mapped_column(String(20))

            def get_id(self):
                return str(self.number)

        class OAuth(OAuthMixin, self.db.Model):
            __tablename__ = "odd_account"
            user_id: Mapped[int] = mapped_column(ForeignKey("odd_person.person_no"))
            user: Mapped[Person] = relationship()

        self.OAuth = OAuth
        LoginManager(self.app).user_loader(lambda key: self.db.session.get(Person, int(key)))
        storage = SQLAlchemyStorage(OAuth, self.db.session, user=current_user)
        _, self.blueprint = app_with(
            op, app=self.app, storage=storage, error_url="/sorry", base_url=op.url
        )

        def create(blueprint, token):
            return Person(name=token["userinfo"].get("name"))

        self.linker = UserLinker(OAuth, self.db.session, create)
        oauth_authorized.connect(self.linker, self.blueprint)
        self.app.add_url_rule("/me", "me", lambda: self.blueprint.session.get("/me").json())

    def __enter__(self):
        with self.app.app_context():
            self.db.drop_all()
            self.db.create_all()
        return self.app, self.db, self.OAuth

    def __exit__(self, *error):
        with self.app.app_context():
            self.db.session.remove()
            self.db.drop_all()
            self.db.engine.dispose()


def test_the_primary_key_may_have_any_name(op, recorded, tmp_path):
    """Login, call, refresh, second login and a second account work."""
    with site(op, f"sqlite:///{tmp_path}/site.db") as (app, db, accounts):
        client = app.test_client()
        log_in(client, op)
        assert "Bearer the-access-token" == client.get("/me").json["bearer"]
        with app.app_context():
            row = db.session.scalar(db.select(accounts))
            row.token = {**row.token, "expires_at": 1}
            db.session.commit()
        op.says("/token", {"access_token": "second", "expires_in": 300})
        assert "Bearer second" == client.get("/me").json["bearer"]
        op.answers.clear()
        log_in(client, op)
        assert "oauth-error" not in recorded.names()
        sent = begin(client, op)
        op.says("/token", op.token(id_token=op.id_token(sub="another")))
        client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert "account_differs" == recorded.only("oauth-error")["error"]


ENDPOINTS = {
    "script": "javascript:alert(1)",
    "file": "file:///etc/passwd",
    "no scheme": "provider.example/authorize",
    "relative": "/authorize",
    "no host": "https://",
    "newline": "https://provider.example/\r\nX: y",
    "NUL": "https://provider.example/\0",
    "space": "https://provider.example/a b",
    "backslash": "https:\\\\provider.example",
    "bad port": "https://provider.example:x/",
    "bad bracket": "https://[provider",
    "number": 7,
    "list": ["https://provider.example/"],
    "object": {"a": 1},
    "true": True,
    "surrogate": "https://provider.example/\ud800",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_odd_authorization_endpoint(op, recorded, endpoint):
    """Aldis redirects no browser to it."""
    op.metadata = {"authorization_endpoint": endpoint}
    app, _ = app_with(op, redirect_url="/home")
    assert "/login/op/failed" == app.test_client().get("/login/op").headers["Location"]
    assert "discovery_failed" == recorded.only("oauth-error")["error"]


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "issuer"])
@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_other_odd_metadata(op, recorded, name, endpoint):
    """A login with such metadata causes `oauth_error`."""
    op.metadata = {name: endpoint}
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    answer = client.get("/login/op")
    if "state=" in answer.headers["Location"]:
        assert 302 == log_in(client, op).status_code
    assert "oauth-error" in recorded.names()


@pytest.mark.parametrize("supported", [7, "none", {"none": 1}, [7], [None], [["none"]], True])
@pytest.mark.parametrize(
    "name", ["id_token_signing_alg_values_supported", "token_endpoint_auth_methods_supported"]
)
def test_odd_lists_in_the_metadata(op, recorded, name, supported):
    """A login succeeds, or it fails with an error."""
    op.metadata = {name: supported}
    app, _ = app_with(op)
    client = app.test_client()
    if "state=" in client.get("/login/op").headers["Location"]:
        assert 302 == log_in(client, op).status_code


@pytest.mark.parametrize(
    "token", ["a\nb", "a\r\nX: y", "a\0b", "\u2603", "\x7f", " a", "a ", "\ud800", "z\u00eb", "\t"]
)
def test_an_access_token_that_no_header_can_contain(op, recorded, token):
    """The login refuses the token, so later calls need not."""
    op.says("/token", op.token(access_token=token))
    app, _ = app_with(op, scope="email", redirect_url="/home")
    assert "/home" == log_in(app.test_client(), op).headers["Location"]
    assert "token_invalid" == recorded.only("oauth-error")["error"]


ODD = [None, True, 7, 1.5, -1, 10**400, "", "x", "\0", [], ["a"], {}, {"a": 1}, "9" * 5000]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize(
    "name",
    ["token_type", "expires_in", "expires_at", "refresh_token", "scope", "id_token", "userinfo"],
)
def test_odd_values_in_a_token(op, recorded, name, value):
    """The login succeeds or fails with an error, and so does a call afterwards."""
    op.says("/token", op.token(**{"id_token": None, name: value}))
    if value is None:
        body = {**op.token(id_token=None), name: None}
        op.answers["/token"] = lambda: Response(json.dumps(body), mimetype="application/json")
    app, blueprint = app_with(op, scope="email", base_url=op.url)
    app.add_url_rule("/me", "me", lambda: blueprint.session.get("/me").text)
    client = app.test_client()
    assert 302 == log_in(client, op).status_code
    assert client.get("/me").status_code in (200, 302)


def test_deeply_nested_json(op, recorded):
    """A response that no parser can read makes the login fail."""
    app, _ = app_with(op, scope="email")
    client = app.test_client()
    sent = begin(client)
    deep = "[" * 200_000
    op.answers["/token"] = lambda: Response(deep, mimetype="application/json")
    client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert "provider_error" == recorded.only("oauth-error")["error"]
