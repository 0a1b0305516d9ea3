"""Logins of Quart apps: real servers, async receivers and storages, and event loops.

The behaviour that Flask and Quart share is tested with the fixture ``framework`` in other modules.
"""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from flask import Response
from quart import Quart, redirect, request
from quart_auth import AuthUser, QuartAuth, current_user, login_user, logout_user
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.pool import NullPool

import aldis.oauth
from aldis.errors import LoginError, LoginExpiredError, NotLoggedInError, OAuthSetupError
from aldis.oauth import MemoryStorage, oauth_authorized, oauth_error, on_login_failure
from aldis.oauth.async_linking import AsyncUserLinker
from aldis.oauth.encrypted import AsyncEncryptedStorage, EncryptedStorage
from aldis.oauth.quart import OAuthBlueprint, SessionStorage
from aldis.oauth.sqla import AsyncSQLAlchemyStorage, OAuthMixin, SQLAlchemyStorage
from aldis.testing.oauth_quart import log_in
from tests.oauth.browser import Browser
from tests.oauth.providers import oidc
from tests.servers.running import on_hypercorn
from tests.services import POSTGRESQL, needs_service

CALLBACK = "/login/op/authorized"
DESCRIBED = {
    "client_id": "x",
    "authorization_url": "https://a.example/",
    "token_url": "https://a.example/t",
}


MADE = []


@pytest.fixture(autouse=True)
async def closed():
    """Close the connections of each app in the event loop that opened them."""
    yield
    while MADE:
        for function in MADE.pop().after_serving_funcs:
            await function()


def app_with(op, **options):
    """Return a Quart app and its blueprint."""
    app = Quart("shop")
    MADE.append(app)
    app.secret_key = "only for tests"  # noqa: S105
    app.testing = True
    settings = {
        "client_id": op.client_id,
        "client_secret": op.client_secret,
        "server_metadata_url": op.metadata_url,
        "scope": "openid email",
        "timeout": 20,
        "base_url": getattr(op, "url", None) or op.issuer,
    }
    blueprint = OAuthBlueprint("op", **{**settings, **options})
    app.register_blueprint(blueprint)

    @app.get("/")
    async def home():
        return "home"

    @app.get("/me")
    @blueprint.authorization_required
    async def me():
        answer = await blueprint.session.get("/me")
        return answer.json()

    return app, blueprint


async def enter(client, op, **changed):
    """Go through a login by hand; return the response of the callback."""
    answer = await client.get("/login/op")
    sent = dict(each.split("=", 1) for each in answer.headers["Location"].split("?")[1].split("&"))
    op.nonce = sent.get("nonce")
    args = {"code": "the-code", "state": sent["state"], **changed}
    return await client.get(CALLBACK, query_string=args)


# -- real servers ------------------------------------------------------------------------------


def test_a_login_on_hypercorn(op):
    """A browser logs in, and the app calls the provider with its token."""
    app, _ = app_with(op)
    MADE.remove(app)  # the server closes its connections
    with on_hypercorn(app) as port:
        browser = Browser()
        url = f"http://127.0.0.1:{port}"
        answer = browser.open(f"{url}/me", until="/authorize")
        state = answer.headers["Location"].split("state=")[1].split("&")[0]
        op.nonce = answer.headers["Location"].split("nonce=")[1].split("&")[0]
        me = browser.open(f"{url}{CALLBACK}?code=c&state={state}")
        assert {"bearer": "Bearer the-access-token"} == me.json()
        assert f"{url}/me" == browser.visited[-1]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_200_logins_of_8_users_on_quart():
    """All logins succeed, and each call has the token of its own user."""
    holder = []

    async def pass_on(scope, receive, send):
        # The app needs the port of the server, so it is made after the start.
        if scope["type"] != "lifespan":
            await holder[0](scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for function in MADE.pop().after_serving_funcs:
            await function()
        await send({"type": "lifespan.shutdown.complete"})

    users = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"]

    def visit(user):
        browser = Browser(user)
        home = browser.open(f"http://127.0.0.1:{port}/login/op")
        if not home.ok or home.text != "home":
            return Counter(["login failed"])
        seen = Counter(["login"])
        for _ in range(2):
            answer = browser.open(f"http://127.0.0.1:{port}/me")
            who = answer.json().get("sub") if answer.ok else None
            seen["own" if who == user else "another's" if who else "call failed"] += 1
        return seen

    with on_hypercorn(pass_on) as port:
        callback = f"http://127.0.0.1:{port}{CALLBACK}"
        with oidc.running(callback, consented=True) as provider:
            app, _ = app_with(provider)
            holder.append(app)
            with ThreadPoolExecutor(8) as pool:
                found = pool.map(visit, [users[number % 8] for number in range(200)])
            assert {"login": 200, "own": 400} == sum(found, Counter())


# -- signals -----------------------------------------------------------------------------------


async def test_receivers_may_be_async(op):
    """An async receiver calls the provider with the token that is not stored yet."""
    app, blueprint = app_with(op)
    seen = []

    async def call(sender, token):
        answer = await sender.session.get("/me")
        seen.append(answer.json()["bearer"])

    def sync(sender, token):
        seen.append(token["userinfo"]["sub"])

    with (
        oauth_authorized.connected_to(call, blueprint),
        oauth_authorized.connected_to(sync, blueprint),
    ):
        assert 302 == (await enter(app.test_client(), op)).status_code
    assert ["Bearer the-access-token", "ada"] == seen


async def test_an_async_receiver_may_answer(op):
    """The user gets the receiver's Response, and the token is not stored."""
    app, blueprint = app_with(op)

    async def answer(sender, token):
        return redirect("/told")

    client = app.test_client()
    with oauth_authorized.connected_to(answer, blueprint):
        assert "/told" == (await enter(client, op)).location
    async with client.session_transaction() as kept:
        assert "op_oauth_token" not in kept


async def test_a_failed_login_undoes_the_work_of_async_receivers(op):
    """The functions of `on_login_failure` may be async, and `oauth_error` is sent afterwards."""
    app, blueprint = app_with(op)
    done = []

    async def undo():
        await asyncio.sleep(0)
        done.append("undone")

    async def work(sender, token):
        on_login_failure(undo)

    async def refuse(sender, token):
        raise LoginError("not_invited")

    async def note(sender, error, **extra):
        done.append(error)

    with (
        oauth_authorized.connected_to(work, blueprint),
        oauth_authorized.connected_to(refuse, blueprint),
        oauth_error.connected_to(note, blueprint),
    ):
        assert 302 == (await enter(app.test_client(), op)).status_code
    assert ["undone", "not_invited"] == done


async def test_an_error_of_a_receiver_is_not_hidden(op):
    """The app gets it, and the work of earlier receivers is undone."""
    app, blueprint = app_with(op)
    done = []

    async def work(sender, token):
        on_login_failure(lambda: done.append("undone"))
        raise ZeroDivisionError

    with oauth_authorized.connected_to(work, blueprint):
        answer = await enter(app.test_client(), op)
    assert 500 == answer.status_code
    assert "ZeroDivisionError" in await answer.get_data(as_text=True)
    assert ["undone"] == done


# -- refresh -----------------------------------------------------------------------------------


def rotating(op, wait=0.2):
    """Let the provider rotate refresh tokens, and end the login at a second use of one."""
    used = []

    def token():
        from flask import request

        old = request.form["refresh_token"]
        time.sleep(wait)  # the other requests come meanwhile
        used.append(old)
        if used.count(old) > 1:
            return Response('{"error": "invalid_grant"}', 400, mimetype="application/json")
        fresh = {"access_token": f"a{len(used)}", "refresh_token": f"r{len(used)}"}
        return Response(json.dumps({**fresh, "expires_in": 300}), mimetype="application/json")

    op.answers["/token"] = token
    return used


EXPIRED = {"access_token": "a0", "refresh_token": "r0", "expires_at": 1}


async def test_tasks_refresh_once(op):
    """Eight tasks of eight requests share one refresh."""
    used = rotating(op)
    app, blueprint = app_with(op, storage=MemoryStorage(EXPIRED))

    async def call():
        async with app.test_request_context("/"):
            return (await blueprint.session.get("/me")).json()["bearer"]

    assert {"Bearer a1"} == set(await asyncio.gather(*(call() for _ in range(8))))
    assert ["r0"] == used


async def test_tasks_share_one_failure(op):
    """Eight tasks wait once for a provider that is down, and a later call tries again."""
    op.answers["/token"] = lambda: time.sleep(0.2) or Response("down", 503)
    app, blueprint = app_with(op, storage=MemoryStorage(EXPIRED))

    async def call():
        async with app.test_request_context("/"):
            with pytest.raises(LoginError):
                await blueprint.session.get("/me")

    await asyncio.gather(*(call() for _ in range(8)))
    assert 1 == len(op.asked_for("/token"))
    await call()
    assert 2 == len(op.asked_for("/token"))


async def test_a_cancelled_request_stores_the_new_token(op):
    """If the browser disconnects during a refresh, the rotated token is not lost."""
    used = rotating(op)
    app, blueprint = app_with(op, storage=MemoryStorage(EXPIRED))

    async def call():
        async with app.test_request_context("/"):
            return (await blueprint.session.get("/me")).json()["bearer"]

    task = asyncio.create_task(call())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "Bearer a1" == await call()
    assert ["r0"] == used


def test_a_blueprint_works_in_several_event_loops(op):
    """Locks and connections belong to one loop."""
    app, blueprint = app_with(op, storage=MemoryStorage({"access_token": "x"}))

    async def calls():
        async with app.test_request_context("/"):
            await asyncio.gather(*(blueprint.session.get("/me") for _ in range(4)))
        for function in app.after_serving_funcs:
            await function()

    for _ in range(3):
        asyncio.run(calls())
    assert 12 == len(op.asked_for("/me"))


# -- storages in a database --------------------------------------------------------------------


class Database:
    """Users and accounts in an async database."""

    def __init__(self, url):
        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "quart_user"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None]

        class OAuth(OAuthMixin, Base):
            __tablename__ = "quart_account"
            user_id: Mapped[int] = mapped_column(ForeignKey("quart_user.id"))
            user: Mapped[User] = relationship()

        self.Base, self.User, self.OAuth = Base, User, OAuth
        self.engine = create_async_engine(url, poolclass=NullPool)
        self.sessions = async_sessionmaker(self.engine)

    async def create(self):
        """Create the tables."""
        async with self.engine.begin() as connection:
            await connection.run_sync(self.Base.metadata.drop_all)
            await connection.run_sync(self.Base.metadata.create_all)

    async def add(self, *users, token=None):
        """Add users, with a token each."""
        async with self.sessions() as session:
            for number in users:
                session.add(self.User(id=number))
                await session.flush()
                session.add(self.OAuth(provider="op", user_id=number, token=token))
            await session.commit()

    async def rows(self):
        """Return (subject, user, token) of each account."""
        async with self.sessions() as session:
            found = await session.scalars(select(self.OAuth).order_by(self.OAuth.id))
            return [(each.provider_user_id, each.user_id, each.token) for each in found]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_service)])
async def database(request, tmp_path):
    """A database with empty tables."""
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    if request.param == "postgresql":
        POSTGRESQL.require()
        url = POSTGRESQL.sqlalchemy_url("postgresql+asyncpg")
    made = Database(url)
    await made.create()
    yield made
    async with made.engine.begin() as connection:
        await connection.run_sync(made.Base.metadata.drop_all)
    await made.engine.dispose()


def by_header():
    """Return the id in a header of the request."""
    found = request.headers.get("X-User")
    return int(found) if found else None


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_token_in_a_database(op, database, encrypted):
    """Each user has their own token. Without a user, nothing is stored."""
    storage = AsyncSQLAlchemyStorage(database.OAuth, database.sessions)
    if encrypted:
        storage = AsyncEncryptedStorage(storage, Fernet.generate_key())
    app, blueprint = app_with(op, storage=storage, user_id=by_header)
    await database.add(1, 2)

    async def as_user(number, work):
        headers = {"X-User": str(number)} if number else {}
        async with app.test_request_context("/", headers=headers):
            return await work()

    await as_user(1, lambda: blueprint.set_token({"access_token": "ada"}))
    await as_user(2, lambda: blueprint.set_token({"access_token": "bob"}))
    assert "ada" == (await as_user(1, blueprint.token))["access_token"]
    await as_user(2, blueprint.delete_token)
    assert await as_user(2, blueprint.token) is None
    assert await as_user(None, blueprint.token) is None
    await as_user(None, blueprint.delete_token)
    with pytest.raises(ValueError, match="no user is logged in"):
        await as_user(None, lambda: blueprint.set_token({"access_token": "x"}))
    assert "ada" == (await as_user(1, blueprint.token))["access_token"]
    assert encrypted is not ("ada" in str(await database.rows()))


async def test_several_processes_refresh_once(op, database):
    """Apps that share only the database refresh each token once, under the lock of its row."""
    used = rotating(op)
    await database.add(1, token=EXPIRED)
    apps = []
    for _ in range(4):
        storage = AsyncSQLAlchemyStorage(database.OAuth, database.sessions)
        apps.append(app_with(op, storage=storage, user_id=by_header))

    async def call(app, blueprint):
        async with app.test_request_context("/", headers={"X-User": "1"}):
            return (await blueprint.session.get("/me")).json()["bearer"]

    calls = [call(*each) for each in apps for _ in range(2)]
    assert {"Bearer a1"} == set(await asyncio.gather(*calls))
    assert ["r0"] == used
    assert "r1" == (await database.rows())[0][2]["refresh_token"]


async def test_a_rejected_refresh_deletes_the_token(op, database):
    """The user gets to the login, and a second request too."""
    await database.add(1, token=EXPIRED)
    storage = AsyncSQLAlchemyStorage(database.OAuth, database.sessions)
    app, blueprint = app_with(op, storage=storage, user_id=by_header)
    op.says("/token", {"error": "invalid_grant"}, 400)
    for _ in range(2):
        answer = await app.test_client().get("/me", headers={"X-User": "1"})
        assert "/login/op?next=/me" == answer.location
    async with app.test_request_context("/", headers={"X-User": "1"}):
        with pytest.raises(NotLoggedInError):
            await blueprint.session.get("/me")
    assert [(None, 1, None)] == await database.rows()


# -- linking with quart-auth -------------------------------------------------------------------


def linked(op, database, **options):
    """Return an app whose users come from quart-auth, and its linker."""

    def user_id():
        return int(current_user.auth_id) if current_user.auth_id else None

    storage = AsyncSQLAlchemyStorage(database.OAuth, database.sessions)
    app, blueprint = app_with(op, storage=storage, user_id=user_id, error_url="/sorry", **options)
    app.config["QUART_AUTH_COOKIE_SECURE"] = False
    QuartAuth(app)
    linker = AsyncUserLinker(
        database.OAuth,
        database.sessions,
        create_user=lambda blueprint, token: database.User(name=token["userinfo"]["sub"]),
        log_in=lambda user: login_user(AuthUser(str(user.id))),
        log_out=logout_user,
    )

    @app.get("/who")
    async def who():
        return str(current_user.auth_id)

    @app.get("/enter/<int:number>")
    async def enter_as(number):
        login_user(AuthUser(str(number)))
        return ""

    return app, blueprint, linker


async def who(client):
    """Return the id of the client's user."""
    return await (await client.get("/who")).get_data(as_text=True)


async def test_a_login_creates_and_finds_its_user(op, database):
    """The first login creates the user, and the second one logs in the same user."""
    app, blueprint, linker = linked(op, database)
    with oauth_authorized.connected_to(linker, blueprint):
        for _ in range(2):
            client = app.test_client()
            await enter_as(client, op, "ada")
            assert "1" == await who(client)
            assert {"bearer": "Bearer the-access-token"} == await (await client.get("/me")).json
    ((subject, user, token),) = await database.rows()
    assert ("ada", 1, "the-access-token") == (subject, user, token["access_token"])


async def test_a_second_account_and_another_users_account_are_refused(op, database):
    """A logged-in user stays the same, and no account moves."""
    app, blueprint, linker = linked(op, database)
    with oauth_authorized.connected_to(linker, blueprint):
        ada, bob = app.test_client(), app.test_client()
        await enter_as(ada, op, "ada")
        await enter_as(bob, op, "bob")
        for subject, status in (("work", 302), ("bob", 400)):
            # A second failure within seconds leads to a plain page.
            assert status == (await enter_as(ada, op, subject)).status_code
        assert ("1", "2") == (await who(ada), await who(bob))
    assert [("ada", 1), ("bob", 2)] == [each[:2] for each in await database.rows()]


async def test_a_user_who_changed_during_the_login_gets_no_account(op, database):
    """On a shared browser, the account may belong to another person."""
    app, blueprint, linker = linked(op, database)
    await database.add(7)
    client = app.test_client()
    with oauth_authorized.connected_to(linker, blueprint):
        answer = await client.get("/login/op")
        sent = answer.headers["Location"]
        op.nonce = sent.split("nonce=")[1].split("&")[0]
        state = sent.split("state=")[1].split("&")[0]
        await client.get("/enter/7")
        op.says("/token", op.token(id_token=op.id_token(sub="eve")))
        answer = await client.get(CALLBACK, query_string={"code": "c", "state": state})
        assert "/sorry" == answer.location
    assert [(None, 7, None)] == await database.rows()


async def test_a_later_failure_logs_the_user_out_again(op, database):
    """Another receiver refuses the login after the linker has logged the user in."""
    app, blueprint, linker = linked(op, database)

    async def refuse(sender, token):
        raise LoginError("not_invited")

    client = app.test_client()
    with (
        oauth_authorized.connected_to(linker, blueprint),
        oauth_authorized.connected_to(refuse, blueprint),
    ):
        assert "/sorry" == (await enter_as(client, op, "ada")).location
    assert "None" == await who(client)


async def test_many_logins_of_a_new_account_make_one_user(op, database):
    """Eight browsers log in with one new account at the same time."""
    app, blueprint, linker = linked(op, database, nonce=False)
    sent = []
    clients = [app.test_client() for _ in range(8)]
    for client in clients:
        answer = await client.get("/login/op")
        sent.append(answer.headers["Location"].split("state=")[1].split("&")[0])

    with oauth_authorized.connected_to(linker, blueprint):
        op.says("/token", op.token(id_token=op.id_token(sub="ada")))
        pairs = zip(clients, sent, strict=True)
        await asyncio.gather(
            *(c.get(CALLBACK, query_string={"code": "c", "state": each}) for c, each in pairs)
        )
    assert ["ada"] == [subject for subject, _, _ in await database.rows()]
    async with database.sessions() as session:
        assert 1 == len(list(await session.scalars(select(database.User))))


async def enter_as(client, op, subject):
    """Log in as ``subject`` at the provider."""
    answer = await client.get("/login/op")
    sent = answer.headers["Location"]
    op.nonce = sent.split("nonce=")[1].split("&")[0]
    state = sent.split("state=")[1].split("&")[0]
    op.says("/token", op.token(id_token=op.id_token(sub=subject)))
    return await client.get(CALLBACK, query_string={"code": "c", "state": state})


async def test_a_linker_needs_the_current_user(op, database):
    """Without `user_id`, another person's account could be linked."""
    app, blueprint, linker = linked(op, database)
    blueprint.user_id = None
    async with app.test_request_context("/"):
        with pytest.raises(OAuthSetupError, match="give user_id="):
            await linker(blueprint, {"userinfo": {"sub": "ada"}})


# -- the mock ----------------------------------------------------------------------------------


async def test_a_logged_in_user_in_one_line(op):
    """The receivers get the claims, and calls get canned responses."""
    app, blueprint = app_with(op)
    client = app.test_client()
    await log_in(client, blueprint, responses={"/me": {"login": "ada"}})
    assert {"login": "ada"} == await (await client.get("/me")).json
    await log_in(client, blueprint)
    page = await (await client.get("/me")).get_data(as_text=True)
    assert "gave no response for it" in page
    assert [] == op.asked


async def test_an_expired_token_of_the_mock(op):
    """The token's values may be set, and a login may fail."""
    app, blueprint = app_with(op)
    client = app.test_client()
    token = {"expires_at": 1, "refresh_token": "again"}
    await log_in(client, blueprint, token=token, responses={"/me": {"login": "ada"}})
    assert {"login": "ada"} == await (await client.get("/me")).json
    refused = []

    async def note(sender, error, **extra):
        refused.append(error)

    with oauth_error.connected_to(note, blueprint):
        await log_in(client, blueprint, error="access_denied")
    assert ["access_denied"] == refused


# -- what is refused ---------------------------------------------------------------------------


def test_each_framework_needs_its_own_blueprint():
    """The message names the right module."""
    from flask import Flask

    with pytest.raises(OAuthSetupError, match=r"for Quart, from aldis\.oauth\.quart"):
        Quart("shop").register_blueprint(aldis.oauth.OAuthBlueprint("op", **DESCRIBED))
    with pytest.raises(OAuthSetupError, match=r"for Flask, import it from aldis\.oauth"):
        Flask("shop").register_blueprint(OAuthBlueprint("op", **DESCRIBED))


def test_oauth1_is_refused():
    """The message says where it works."""
    with pytest.raises(OAuthSetupError, match="Flask only"):
        OAuthBlueprint("op", **DESCRIBED, request_token_url="https://a.example/r")  # noqa: S106


@pytest.mark.parametrize(
    ("storage", "hint"),
    [
        (aldis.oauth.SessionStorage(), r"aldis\.oauth\.quart\.SessionStorage"),
        (SQLAlchemyStorage(None, None, None), "AsyncSQLAlchemyStorage"),
        (EncryptedStorage(SQLAlchemyStorage(None, None, None), Fernet.generate_key()), "Async"),
    ],
)
def test_storages_of_flask_are_refused(storage, hint):
    """They would block the event loop, or need Flask's session."""
    with pytest.raises(OAuthSetupError, match=hint):
        OAuthBlueprint("op", **DESCRIBED, storage=storage)
    blueprint = OAuthBlueprint("op", **DESCRIBED)
    with pytest.raises(OAuthSetupError, match=hint):
        blueprint.storage = storage


def test_async_storages_are_refused_on_flask():
    """Flask has no event loop."""
    storage = AsyncSQLAlchemyStorage(None, None)
    with pytest.raises(OAuthSetupError, match="is async"):
        aldis.oauth.OAuthBlueprint("op", **DESCRIBED, storage=storage)
    with pytest.raises(TypeError, match="AsyncEncryptedStorage"):
        EncryptedStorage(storage, Fernet.generate_key())
    with pytest.raises(TypeError, match="not async"):
        AsyncEncryptedStorage(SessionStorage(), Fernet.generate_key())


async def test_a_token_that_cannot_be_refreshed(op):
    """It is the end of the login."""
    app, blueprint = app_with(op, storage=MemoryStorage({"access_token": "x", "expires_at": 1}))
    async with app.test_request_context("/"):
        with pytest.raises(LoginExpiredError):
            await blueprint.session.get("/me")
