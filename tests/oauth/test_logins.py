"""Logins as the user sees them: the page at the end, and redirects that end."""

import random
import time
from string import ascii_letters, digits
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Response, redirect

from aldis.errors import OAuthSetupError
from aldis.oauth import OAuthBlueprint, oauth_authorized, oauth_error
from aldis.oauth._login_cookies import MAX_BYTES, MAX_LOGINS
from tests.oauth.apps import CALLBACK, app_with, begin, log_in, login_cookies

NOISE = "".join(random.Random(7).choices(ascii_letters + digits, k=3400))

# -- the page at the end -----------------------------------------------------------------------


@pytest.mark.usefixtures("framework")
def test_the_page_after_a_login_without_next(op):
    """After a login, the user gets to the app's root, ``redirect_url`` or ``redirect_to``."""
    assert "/" == log_in(app_with(op)[0].test_client(), op).headers["Location"]
    app, _ = app_with(op, redirect_to="home")
    app.add_url_rule("/welcome", "home", lambda: "")
    assert "/welcome" == log_in(app.test_client(), op).headers["Location"]


def test_an_app_under_a_prefix_stays_under_it(op):
    """Below SCRIPT_NAME, all redirects keep the prefix."""
    app, blueprint = app_with(op)
    app.add_url_rule("/deep", "deep", blueprint.authorization_required(lambda: ""))
    client = app.test_client()
    under = {"SCRIPT_NAME": "/shop"}
    away = client.get("/deep?a=b", environ_overrides=under).headers["Location"]
    assert "/shop/login/op?next=/shop/deep?a%3Db" == away
    client.get("/login/op", environ_overrides=under)
    gone = client.get(f"{CALLBACK}?state=x", environ_overrides=under).headers["Location"]
    assert "/shop/login/op/failed" == gone
    back = client.get("/login/op/failed", environ_overrides=under).headers["Location"]
    assert "/shop/" == back


def follow(client, path, limit=12):
    """Follow all redirects; return the visited URLs and the last response."""
    visited = [path]
    for _ in range(limit):
        answer = client.get(visited[-1])
        if answer.status_code != 302:
            return visited, answer
        parts = urlsplit(answer.headers["Location"])
        if parts.path == "/authorize":
            state = parse_qs(parts.query)["state"][0]
            visited.append(f"{CALLBACK}?{client.outcome}&state={state}")
        else:
            visited.append(answer.headers["Location"])
    raise AssertionError(f"endless redirects: {visited}")


@pytest.mark.parametrize("cookies", [True, False])
@pytest.mark.parametrize("error_url", [None, "/", "/public"])
@pytest.mark.parametrize("outcome", ["error=access_denied", "code=bad", "code="])
def test_failed_logins_do_not_redirect_without_end(op, recorded, cookies, error_url, outcome):
    """If the home page needs a login, two failures end the redirects, also without cookies."""
    app, blueprint = app_with(op, error_url=error_url)
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    app.add_url_rule("/public", "public", lambda: "public")
    op.says("/token", {"error": "invalid_grant"}, 400)
    client = app.test_client(use_cookies=cookies)
    client.outcome = outcome
    _, last = follow(client, "/")
    failures = recorded.names().count("oauth-error")
    if cookies and error_url == "/public":
        assert ("public", 1) == (last.text, failures)
    else:
        assert 400 == last.status_code
        assert "Login failed" in last.text
        assert (2 if cookies else 1) == failures
    assert "cookies" not in last.text if cookies else "does not send cookies" in last.text


@pytest.mark.parametrize("cookies", [True, False])
def test_missing_metadata_does_not_redirect_without_end(op, recorded, cookies):
    """If a login fails at its start, the redirects end too."""
    app, blueprint = app_with(op)
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    op.says("/.well-known/openid-configuration", "down", 503)
    _, last = follow(app.test_client(use_cookies=cookies), "/")
    assert 400 == last.status_code
    assert recorded.names().count("oauth-error") <= 2


ANSWERED = {"False": lambda: False, "a Response": lambda: redirect("/"), "nothing": lambda: None}


@pytest.mark.parametrize("answer", ANSWERED.values(), ids=ANSWERED)
def test_a_login_without_a_token_does_not_redirect_without_end(op, recorded, answer):
    """After a login that stores no token, a page that needs a login shows an error."""
    app, blueprint = app_with(op, scope="email")
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    op.says("/token", op.token(expires_in=-1, refresh_token=None))
    client = app.test_client()
    client.outcome = "code=the-code"
    with oauth_authorized.connected_to(lambda sender, token: answer(), blueprint):
        _, last = follow(client, "/")
    assert (400, 1) == (last.status_code, recorded.names().count("oauth-authorized"))
    assert 'href="/login/op?next=/"' in last.text
    op.says("/token", op.token())
    assert "home" == follow(client, "/login/op")[1].text
    with client.session_transaction() as kept:
        del kept["op_oauth_token"]
    assert 302 == client.get("/").status_code


def test_a_lost_session_does_not_redirect_without_end(op, recorded):
    """A browser that drops each new cookie gets an error page."""
    app, blueprint = app_with(op)
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    client = app.test_client(use_cookies=False)
    with app.test_request_context():
        serializer = app.session_interface.get_signing_serializer(app)
        client.environ_base["HTTP_COOKIE"] = f"session={serializer.dumps({'old': 1})}"
    client.outcome = "code=the-code"
    _, last = follow(client, "/")
    assert 400 == last.status_code


def test_a_successful_login_resets_the_failure(op):
    """After a success, the next failure counts as the first one."""
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    log_in(client, op, error="access_denied")
    log_in(client, op)
    log_in(client, op, error="access_denied")
    with client.session_transaction() as kept:
        assert ["op"] == list(kept["_aldis_oauth_failed"])
    assert "/home" == log_in(client, op).headers["Location"]
    with client.session_transaction() as kept:
        assert {} == kept["_aldis_oauth_failed"]


@pytest.mark.parametrize(("later", "status"), [(-0.0004, 302), (0, 302), (9, 302), (11, 400)])
def test_a_failure_counts_for_some_seconds(op, monkeypatch, later, status):
    """The time of a failure may be rounded up to the next millisecond."""
    app, _ = app_with(op)
    client, now = app.test_client(), time.time() // 1 + 0.0006
    monkeypatch.setattr("aldis.oauth._login_state.time.time", lambda: now)
    client.get(f"{CALLBACK}?state=x")
    monkeypatch.setattr("aldis.oauth._login_state.time.time", lambda: now + later)
    assert status == client.get("/login/op/failed").status_code


def test_the_failure_page_links_to_the_login_and_the_home_page(op):
    """The page also names the provider."""
    app, _ = app_with(op)
    page = app.test_client(use_cookies=False).get("/login/op/failed")
    assert 400 == page.status_code
    assert 'href="/login/op"' in page.text
    assert 'href="/"' in page.text


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("kind", [{}, {"token_type": None}, {"token_type": ""}])
def test_a_token_without_a_type_is_a_bearer_token(op, kind):
    """A token without a type works as a bearer token."""
    answer = {k: v for k, v in op.token().items() if k not in ("token_type", "id_token")}
    op.says("/token", {**answer, **kind})
    op.says("/me", "hello")
    app, blueprint = app_with(op, scope="email", base_url=op.url)
    app.add_url_rule("/me", "me", lambda: blueprint.session.get("/me").text)
    client = app.test_client()
    log_in(client, op)
    assert "hello" == client.get("/me").text
    assert "Bearer the-access-token" == op.asked_for("/me")[0][2]["Authorization"]


@pytest.mark.usefixtures("framework")
def test_responses_may_not_be_cached(op):
    """No cache may store a redirect with a user's state."""
    app, _ = app_with(op)
    client = app.test_client()
    answers = [client.get("/login/op"), log_in(client, op), client.get(f"{CALLBACK}?state=x")]
    assert ["no-store"] * 3 == [each.headers["Cache-Control"] for each in answers]


@pytest.mark.parametrize("expected", [None, "private, max-age=60"])
@pytest.mark.parametrize("signal", [oauth_authorized, oauth_error], ids=lambda each: each.name)
def test_a_response_of_a_receiver_may_not_be_cached(op, signal, expected):
    """A receiver's Response may set its own Cache-Control."""
    app, blueprint = app_with(op)
    headers = {"Cache-Control": expected} if expected else {}

    def answers(sender, **payload):
        return Response("one user's", headers=headers)

    with signal.connected_to(answers, blueprint):
        changed = {"error": "denied"} if signal is oauth_error else {}
        answer = log_in(app.test_client(), op, **changed)
    assert "one user's" == answer.text
    assert [expected or "no-store"] == answer.headers.getlist("Cache-Control")


# -- many logins at once -----------------------------------------------------------------------


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("link", ["", "?next=/" + "a" * 400, "?next=/" + NOISE[:500]])
def test_abandoned_logins_do_not_fill_the_cookies(op, link):
    """Servers accept about 8,000 bytes of cookies, and the session may take half of them."""
    app, _ = app_with(op)
    client = app.test_client()
    for _ in range(30):
        client.get(f"/login/op{link}")
    sent = "; ".join(f"{name}={value}" for name, value in login_cookies(client).items())
    assert 1 <= len(login_cookies(client)) <= MAX_LOGINS
    assert len(sent) <= MAX_BYTES


def test_a_login_does_not_change_the_session(op):
    """A large token in the session leaves space, and no tab overwrites another tab's session."""
    app, _ = app_with(op)
    client = app.test_client()
    with client.session_transaction() as kept:
        kept["op_oauth_token"] = {"access_token": NOISE}
    names = [
        line.partition("=")[0] for line in client.get("/login/op").headers.getlist("Set-Cookie")
    ]
    assert all(name.startswith("aldis_login") for name in names)


@pytest.mark.usefixtures("framework")
def test_the_newest_logins_are_kept(op, recorded):
    """After many abandoned logins, the last ones still succeed."""
    app, _ = app_with(op)
    client = app.test_client()
    states = [begin(client, op)["state"] for _ in range(MAX_LOGINS + 1)]
    client.get(CALLBACK, query_string={"code": "c", "state": states[0]})
    client.get(CALLBACK, query_string={"code": "c", "state": states[-1]})
    assert "oauth-authorized" in recorded.names()
    assert "state_unknown" == recorded.only("oauth-error")["error"]


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("seed", range(3))
def test_logins_in_eight_tabs_end_at_their_pages(op, recorded, seed):
    """A browser restores eight tabs at once, and each login ends at the page of its tab."""
    app, blueprint = app_with(op)
    for number in range(8):
        view = blueprint.authorization_required(lambda number=number: f"page {number}")
        app.add_url_rule(f"/page/{number}", f"page{number}", view)
    client = app.test_client()
    pages = {f"/page/{number}": client.get(f"/page/{number}") for number in range(8)}
    started = {page: client.get(answer.headers["Location"]) for page, answer in pages.items()}
    back = list(started.items())
    random.Random(seed).shuffle(back)
    for page, answer in back:
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        op.nonce = query["nonce"][0]
        args = {"code": "the-code", "state": query["state"][0]}
        assert page == client.get(CALLBACK, query_string=args).headers["Location"]
    assert "oauth-error" not in recorded.names()
    assert {} == login_cookies(client)


@pytest.mark.usefixtures("framework")
def test_a_repeated_response_of_a_logged_in_user(op, recorded):
    """If the state is used up and the user is logged in, they get to the home page."""
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    sent = begin(client, op)
    args = {"code": "the-code", "state": sent["state"]}
    for _ in range(2):
        assert "/home" == client.get(CALLBACK, query_string=args).headers["Location"]
    assert "oauth-error" not in recorded.names()
    assert 1 == len(op.asked_for("/token"))


def attributes(answer, prefix):
    """Return the attributes of the cookie with this prefix."""
    (line,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith(prefix)]
    return set(line.split("; ")[1:])


@pytest.mark.parametrize("samesite", ["Lax", "None"])
def test_the_cookie_of_a_login_is_sent_to_the_callback_only(op, samesite):
    """No script can read the cookie. With HTTPS, the browser never sends it without HTTPS."""
    app, _ = app_with(op, cookie_samesite=samesite)
    client = app.test_client()
    answer = client.get("/login/op", base_url="https://localhost/", environ_overrides={})
    found = attributes(answer, "aldis_login_")
    assert {f"Path={CALLBACK}", "HttpOnly", "Secure", f"SameSite={samesite}"} <= found
    under = {"SCRIPT_NAME": "/shop"}
    answer = client.get("/login/op", environ_overrides=under)
    assert f"Path=/shop{CALLBACK}" in attributes(answer, "aldis_login_")


def test_the_cookie_of_a_login_is_signed(op, recorded):
    """A changed cookie or the cookie of another login is rejected."""
    app, _ = app_with(op)
    client = app.test_client()
    first, second = begin(client, op), begin(client, op)
    one, two = login_cookies(client)
    values = login_cookies(client)
    client.set_cookie(one, values[two], path=CALLBACK)
    client.set_cookie(two, values[two][:-1], path=CALLBACK)
    for sent in (first, second):
        client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    errors = [payload["error"] for name, _, payload in recorded if name == "oauth-error"]
    assert ["state_unknown"] * 2 == errors
    assert [] == op.asked_for("/token")


@pytest.mark.usefixtures("framework")
def test_an_old_secret_key_still_opens_the_cookie(op, recorded):
    """A login that began before a change of the secret key succeeds."""
    app, _ = app_with(op)
    client = app.test_client()
    sent = begin(client, op)
    app.config["SECRET_KEY_FALLBACKS"] = [app.secret_key]
    app.secret_key = "a new one"  # noqa: S105
    client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]})
    assert "oauth-error" not in recorded.names()


def test_a_missing_secret_key_is_named(op):
    """The error names the setting."""
    app, _ = app_with(op)
    app.secret_key = None
    with pytest.raises(OAuthSetupError, match="SECRET_KEY"):
        app.test_client().get("/login/op")


def test_samesite_strict_is_refused():
    """The browser would not send such a cookie with the provider's redirect."""
    described = {"client_id": "x", "authorization_url": "/a", "token_url": "/b"}
    with pytest.raises(OAuthSetupError, match="cookie_samesite"):
        OAuthBlueprint("op", cookie_samesite="Strict", **described)


@pytest.mark.parametrize("more", [{}, {"user": '{"name": "Ada"}', "_external": "x"}])
def test_a_provider_may_respond_with_a_form(op, recorded, more):
    """The browser sends the form of Apple without the session, so aldis redirects once more."""
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    with client.session_transaction() as kept:
        kept["cart"] = [1]
    sent = begin(client, op)
    form = {"code": "the-code", "state": sent["state"], **more}
    stranger = app.test_client(use_cookies=False).post(CALLBACK, data=form)
    assert (303, "localhost") == (
        stranger.status_code,
        urlsplit(stranger.location).hostname or "localhost",
    )
    assert "Set-Cookie" not in stranger.headers
    assert "/home" == client.get(stranger.location).headers["Location"]
    with client.session_transaction() as kept:
        assert [1] == kept["cart"]


def test_a_state_of_another_provider_is_rejected(op, recorded):
    """A state of one provider does not work with another one."""
    app, _ = app_with(op)
    other = OAuthBlueprint("two", client_id="x", authorization_url="/a", token_url="/b")  # noqa: S106
    app.register_blueprint(other)
    client = app.test_client()
    sent = begin(client, op)
    client.get(f"/login/two/authorized?code=c&state={sent['state']}")
    assert "state_unknown" == recorded.only("oauth-error")["error"]
    client.get(f"{CALLBACK}?code=c&state={sent['state']}")
    assert "oauth-authorized" in recorded.names()
