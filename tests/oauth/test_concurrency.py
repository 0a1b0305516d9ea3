"""Many users use a threaded server at once. Each call must have its own user's token."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.oauth.browser import Browser
from tests.oauth.needs import need
from tests.oauth.providers import oidc, shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

USERS = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"]
LOGINS = 200
CALLS = 2


@pytest.fixture(scope="module")
def running_shop():
    """Give a shop and a provider that knows it."""
    # By default, Flask-Dance sends no PKCE challenge, so the provider does not require one.
    with (
        shop.running() as started,
        oidc.running(started.callback, consented=True, pkce=False) as provider,
    ):
        yield started, provider


def visit(url, user):
    """Log in and call the provider, and return the result of each call."""
    browser = Browser(user)
    try:
        home = browser.open(f"{url}/login/op")
    except AssertionError:
        return Counter(["login failed"])
    if not home.ok or home.text != "home":
        return Counter(["login failed"])
    seen = Counter(["login"])
    for _ in range(CALLS):
        answer = browser.open(f"{url}/me")
        who = answer.json().get("sub") if answer.ok else None
        seen["own" if who == user else "call failed" if who is None else "another's"] += 1
    return seen


def visit_all(url, logins=LOGINS):
    """Let all users log in again and again at the same time."""
    users = [USERS[number % len(USERS)] for number in range(logins)]
    with ThreadPoolExecutor(len(USERS)) as pool:
        return sum(pool.map(lambda user: visit(url, user), users), Counter())


def test_each_call_has_the_token_of_its_user(running_shop):
    """200 logins of 8 users at once succeed, and no call has the token of another user."""
    started, provider = running_shop
    started.use("aldis", provider)
    assert {"login": LOGINS, "own": LOGINS * CALLS} == visit_all(started.url)


def test_flask_dance_mixes_up_users(running_shop):
    """In Flask-Dance, all requests share one client with one token, so users are mixed up.

    This proves that the test above can fail. In four runs, one of them on a single core, between
    94 and 109 of 400 calls had another user's token.
    """
    need("flask_dance")
    started, provider = running_shop
    started.use("flask-dance", provider)
    seen = visit_all(started.url)
    print(f"Flask-Dance: {dict(seen)}")  # noqa: T201 - shown by pytest -rP
    assert LOGINS == seen["login"] + seen["login failed"]
    assert 0 < seen["another's"]
