"""Two processes refresh the tokens of the same users on each database."""

import json
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask, Response, request

from tests.oauth.providers import refreshing
from tests.oauth.refresh_app import make_app
from tests.oauth.serving import served
from tests.services import MARIADB, POSTGRESQL, needs_service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

USERS = range(1, 9)


class RotatingProvider:
    """A provider that rotates refresh tokens. A second use of one ends the login."""

    def __init__(self):
        self.lock = threading.Lock()
        self.valid = {f"refresh-{user}-0": user for user in USERS}
        self.access = {}
        self.ended = set()
        self.refreshes = 0
        self.silent = False
        self.asked = 0

    def app(self):
        """Return the provider as a WSGI app."""
        app = Flask("provider")
        app.add_url_rule("/token", "token", self._token, methods=["POST"])
        app.add_url_rule("/me", "me", self._me)
        return app

    def _token(self):
        self.asked += 1
        if self.silent:
            time.sleep(60)
        time.sleep(0.05)  # other requests arrive in this time
        with self.lock:
            old = request.form["refresh_token"]
            user = self.valid.pop(old, None)
            if user is None:
                self.ended.add(int(old.split("-")[1]))
            if user is None or user in self.ended:
                return Response('{"error": "invalid_grant"}', 400, mimetype="application/json")
            self.refreshes += 1
            number = self.refreshes
            self.valid[f"refresh-{user}-{number}"] = user
            self.access[f"access-{user}-{number}"] = user
            token = {
                "access_token": f"access-{user}-{number}",
                "refresh_token": f"refresh-{user}-{number}",
                "expires_in": 300,
            }
            return Response(json.dumps(token), mimetype="application/json")

    def _me(self):
        user = self.access.get(request.headers["Authorization"].split()[1])
        return (str(user), 200) if user and user not in self.ended else ("revoked", 401)


@contextmanager
def database(kind, folder):
    """Give the URL of a database with eight users whose tokens have expired."""
    if kind == "sqlite":
        url = f"sqlite:///{folder}/shop.db"
    elif kind == "postgresql":
        POSTGRESQL.require()
        url = POSTGRESQL.sqlalchemy_url("postgresql+psycopg")
    else:
        MARIADB.require()
        url = MARIADB.sqlalchemy_url("mariadb+pymysql")
    shop = make_app(url, "http://unused")
    with shop.app.app_context():
        shop.db.drop_all()
        shop.db.create_all()
        expire(shop)
        yield shop, url
        shop.db.session.remove()
        shop.db.drop_all()
        shop.db.engine.dispose()


def expire(shop):
    """Let the token of each user expire. The first call creates the users."""
    session = shop.db.session
    for user in USERS:
        if session.get(shop.User, user) is None:
            session.add(shop.User(id=user))
            session.flush()
            token = {"access_token": f"access-{user}", "refresh_token": f"refresh-{user}-0"}
            session.add(shop.OAuth(provider="op", user_id=user, token={**token, "expires_at": 1}))
    for row in session.scalars(shop.db.select(shop.OAuth).with_for_update()):
        row.token = {**row.token, "expires_at": 1}
    session.commit()


KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=needs_service),
    pytest.param("mariadb", marks=needs_service),
]


@contextmanager
def two_processes(**settings):
    """Run two processes that are ready."""
    with ExitStack() as stack:
        workers = [stack.enter_context(refreshing.running(settings)) for _ in range(2)]
        for worker in workers:
            worker.is_ready()
        yield workers


@pytest.mark.parametrize("kind", KINDS)
def test_no_login_is_lost(kind, tmp_path):
    """Each token is refreshed once in three rounds of eight requests for each of eight users."""
    provider = RotatingProvider()
    with (
        served(provider.app()) as url,
        database(kind, tmp_path) as (shop, where),
        two_processes(database=where, provider=url) as workers,
    ):
        for round_number in range(1, 4):
            for worker in workers:
                worker.call([*USERS] * 2)
            found = [each for worker in workers for each in worker.responses()]
            assert [] == [each for each in found if each[1:] != [200, str(each[0])]]
            assert 8 * round_number == provider.refreshes
            expire(shop)
    assert set() == provider.ended


@pytest.mark.parametrize("kind", KINDS)
def test_all_requests_share_one_wait(kind, tmp_path):
    """If the provider does not respond, each process calls it at most once."""
    provider = RotatingProvider()
    provider.silent = True
    with (
        served(provider.app()) as url,
        database(kind, tmp_path) as (_, where),
        two_processes(database=where, provider=url, timeout=2) as workers,
    ):
        for worker in workers:
            worker.call([1] * 4)
        found = [each for worker in workers for each in worker.responses()]
    assert [[1, 503, "provider_unreachable"]] * 8 == found
    assert provider.asked <= 2
