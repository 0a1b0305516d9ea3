"""``next`` may lead only to paths of this site, whatever its value is."""

import re
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st

from aldis.oauth import safe_next
from aldis.oauth._responses import MAX_LENGTH
from tests.oauth.apps import app_with, log_in

GOOD = ["/", "/basket", "/basket?item=7&back=https://shop.example/", "/a/b#c", "/%E2%9C%93", "/@me"]

TRICKS = [
    "",
    "basket",
    "https://evil.example/",
    "HTTPS:evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    " /basket",
    "/\x00/evil.example",
    "/\x0b/evil.example",
    "/\u2028/evil.example",
    "/\x85/evil.example",
    "/\u200b/evil.example",
    "/\ufeff/evil.example",
    "/\u202e/evil.example",
    "/\ud800",
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/basket\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "data:text/html,x",
    "@evil.example",
    ".evil.example",
    "?next=//evil.example",
    "/" + "a" * MAX_LENGTH,
]


@pytest.mark.parametrize("target", GOOD)
def test_paths_of_this_site_are_kept_as_they_are(target):
    """A path is kept with its query and fragment."""
    assert target == safe_next(target)


@pytest.mark.parametrize("target", [*TRICKS, None])
def test_values_that_may_lead_to_another_site_are_refused(target):
    """A value is refused if a browser or a proxy could read it as another site."""
    assert safe_next(target) is None


PIECES = [
    "/",
    "\\",
    "//",
    ":",
    "@",
    ".",
    "..",
    "?",
    "#",
    "%2f",
    "%5c",
    "%09",
    "\t",
    "\n",
    "\r",
    " ",
]
PIECES += [
    "http",
    "https:",
    "javascript:",
    "evil.example",
    "shop.example",
    "a",
    "\x00",
    "\u3002",
    "\uff0f",
]

written = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join).map("/".__add__),
    st.text(max_size=20).map("/".__add__),
    st.text(max_size=20),
)


def host_in_a_browser(location):
    """Return the host that a browser goes to from shop.example, by the WHATWG URL standard."""
    text = re.sub(r"[\t\n\r]", "", location.strip("".join(map(chr, range(0x21)))))
    head, mark, tail = re.match(r"([^?#]*)([?#]?)(.*)", text, re.DOTALL).groups()
    text = head.replace("\\", "/") + mark + tail
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", text):
        return text
    # The standard allows two slashes only, but some browsers find a host after any number of them.
    return text.lstrip("/").split("/")[0] if text.startswith("//") else "shop.example"


@given(written)
@example("/%2f%2fevil.example")
@example("/%5cevil.example")
def test_no_target_leaves_the_site(target):
    """By the rules of browsers, every accepted value leads to this site, also in the response."""
    accepted = safe_next(target)
    if accepted is None:
        return
    with Flask("shop").test_request_context():
        from flask import redirect

        location = redirect(accepted).headers["Location"]
    assert target == accepted
    assert "shop.example" == host_in_a_browser(accepted) == host_in_a_browser(location)
    assert not urlsplit(location).netloc
    assert not urlsplit(location).scheme


@pytest.mark.parametrize("target", ["/basket?a=b&c=%2F", "/ž"])
def test_a_login_leads_to_next(op, target):
    """``next`` belongs to the login that it was given to."""
    app, _ = app_with(op, redirect_url="/home")
    client = app.test_client()
    answer = log_in(client, op, f"/login/op?next={quote(target)}")
    assert quote(target, safe="/?&=%") == answer.headers["Location"]
    assert "/home" == log_in(client, op).headers["Location"]


@pytest.mark.parametrize("target", [each for each in TRICKS if "\ud800" not in each])
def test_a_login_does_not_lead_off_the_site(op, target):
    """A login with a refused ``next`` succeeds and leads to the usual page."""
    app, _ = app_with(op, redirect_url="/home")
    answer = log_in(app.test_client(), op, f"/login/op?next={quote(target)}")
    assert "/home" == answer.headers["Location"]
