"""A login from the user's view: where it leads, and that its redirects end."""

import json
import random
import time
from string import ascii_letters, digits
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Response, redirect

from aldis.oauth import OAuthBlueprint, oauth_authorized, oauth_error
from aldis.oauth._login_state import MAX_LOGINS
from tests.oauth.apps import CALLBACK, app_with, begin, log_in

# -- where the user ends up --------------------------------------------------------------------


def test_the_way_back_without_being_told_one(op):
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
    raise AssertionError(f"redirected without end: {visited}")


@pytest.mark.parametrize("cookies", [True, False])
@pytest.mark.parametrize("error_url", [None, "/", "/public"])
@pytest.mark.parametrize("outcome", ["error=access_denied", "code=bad", "code="])
def test_a_failed_login_never_leads_to_the_next_one_for_ever(
    op, recorded, cookies, error_url, outcome
):
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
def test_discovery_that_is_down_makes_no_loop_either(op, recorded, cookies):
    """If a login fails at its start, the redirects end too."""
    app, blueprint = app_with(op)
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    op.says("/.well-known/openid-configuration", "down", 503)
    _, last = follow(app.test_client(use_cookies=cookies), "/")
    assert 400 == last.status_code
    assert recorded.names().count("oauth-error") <= 2


ANSWERED = {"False": lambda: False, "a Response": lambda: redirect("/"), "nothing": lambda: None}


@pytest.mark.parametrize("answer", ANSWERED.values(), ids=ANSWERED)
def test_a_login_that_leaves_no_token_makes_no_loop(op, recorded, answer):
    """If a login leaves no token, a page that needs one does not redirect without end."""
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


def test_a_session_that_is_never_kept_makes_no_loop(op, recorded):
    """A browser that drops each new cookie does not get redirects without end."""
    app, blueprint = app_with(op)
    app.add_url_rule("/", "home", blueprint.authorization_required(lambda: "home"))
    client = app.test_client(use_cookies=False)
    with app.test_request_context():
        serializer = app.session_interface.get_signing_serializer(app)
        client.environ_base["HTTP_COOKIE"] = f"session={serializer.dumps({'old': 1})}"
    client.outcome = "code=the-code"
    _, last = follow(client, "/")
    assert 400 == last.status_code


def test_a_login_that_succeeds_forgets_the_failure(op):
    """A success forgets the earlier failure."""
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


def test_the_page_of_last_resort_offers_both_ways(op):
    """The failure page names the provider and links to the login and the home page."""
    app, _ = app_with(op)
    page = app.test_client(use_cookies=False).get("/login/op/failed")
    assert 400 == page.status_code
    assert 'href="/login/op"' in page.text
    assert 'href="/"' in page.text


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


def test_answers_are_not_for_caches(op):
    """No cache may store a redirect with a user's state."""
    app, _ = app_with(op)
    client = app.test_client()
    answers = [client.get("/login/op"), log_in(client, op), client.get(f"{CALLBACK}?state=x")]
    assert ["no-store"] * 3 == [each.headers["Cache-Control"] for each in answers]


@pytest.mark.parametrize("said", [None, "private, max-age=60"])
@pytest.mark.parametrize("signal", [oauth_authorized, oauth_error], ids=lambda each: each.name)
def test_a_receivers_answer_is_not_for_caches_either(op, signal, said):
    """A receiver's Response may set its own Cache-Control."""
    app, blueprint = app_with(op)
    headers = {"Cache-Control": said} if said else {}

    def answers(sender, **payload):
        return Response("one user's", headers=headers)

    with signal.connected_to(answers, blueprint):
        changed = {"error": "denied"} if signal is oauth_error else {}
        answer = log_in(app.test_client(), op, **changed)
    assert "one user's" == answer.text
    assert [said or "no-store"] == answer.headers.getlist("Cache-Control")


# -- many logins at once -----------------------------------------------------------------------


@pytest.mark.parametrize("link", ["", "?next=/" + "a" * 400])
def test_abandoned_logins_do_not_fill_the_cookie(op, link):
    """Many abandoned logins do not make the cookie large."""
    app, _ = app_with(op)
    for name in ("two", "three"):
        other = OAuthBlueprint(
            name, client_id="x", authorization_url=f"{op.url}/a", token_url=f"{op.url}/b"
        )
        app.register_blueprint(other)
    client = app.test_client()
    sizes = []
    for number in range(30):
        name = ("op", "two", "three")[number % 3]
        answer = client.get(f"/login/{name}{link}")
        sizes.append(len(answer.headers["Set-Cookie"]))
    assert max(sizes) < 2300
    with client.session_transaction() as kept:
        assert 1 <= len(kept["_aldis_oauth_logins"]) <= MAX_LOGINS
        assert len(json.dumps(kept["_aldis_oauth_logins"])) <= 1500


def test_abandoned_logins_leave_room_for_a_large_token(op):
    """If the cookie would get too large, the oldest login is dropped."""
    app, _ = app_with(op)
    client = app.test_client()
    noise = "".join(random.Random(7).choices(ascii_letters + digits, k=3400))
    with client.session_transaction() as kept:
        kept["op_oauth_token"] = {"access_token": noise}
    for number in range(MAX_LOGINS + 1):
        answer = client.get(f"/login/op?next=/page/{number}")
        assert len(answer.headers["Set-Cookie"]) < 4093
    with client.session_transaction() as kept:
        assert "/page/5" in [each["u"] for each in kept["_aldis_oauth_logins"].values()]


def test_the_newest_logins_are_the_ones_that_count(op, recorded):
    """After many abandoned logins, the last ones still succeed."""
    app, _ = app_with(op)
    client = app.test_client()
    states = [begin(client, op)["state"] for _ in range(MAX_LOGINS + 1)]
    client.get(CALLBACK, query_string={"code": "c", "state": states[-1]})
    client.get(CALLBACK, query_string={"code": "c", "state": states[0]})
    assert "oauth-authorized" in recorded.names()
    assert "state_unknown" == recorded.only("oauth-error")["error"]


def test_a_state_of_another_provider_is_a_wrong_one(op, recorded):
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
