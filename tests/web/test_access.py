"""Who may look and who may change: closed by default, and safe against other sites."""

import re
from dataclasses import replace

import pytest

from aldis.web import Dashboard, Grant, Request
from tests.web.browser import Client, form_in, header
from tests.web.conftest import operator


class TestClosedByDefault:
    LOCAL = Request(
        "GET", "", "/", headers={"host": "localhost:5000"}, client="127.0.0.1", debug=True
    )

    def test_this_machine_in_debug_mode(self):
        """Without access=, a browser on this machine may look in debug mode."""
        assert 200 == Dashboard().respond(self.LOCAL).status

    @pytest.mark.parametrize(
        "changes",
        [
            {"debug": False},
            {"client": "203.0.113.9"},
            {"client": None},
            {"client": "unix"},
            {"headers": {"host": "evil.example"}},  # its name points to 127.0.0.1
            {"headers": {"host": "localhost", "x-forwarded-for": "203.0.113.9"}},
            {"headers": {"host": "localhost", "forwarded": "for=203.0.113.9"}},
            {"headers": {}},
        ],
    )
    def test_everyone_else(self, changes):
        """All others get a 404 without any information."""
        response = Dashboard().respond(replace(self.LOCAL, **changes))
        assert (404, b"Not Found\n") == (response.status, response.body)

    def test_ipv6(self):
        """The loopback addresses of IPv6 are this machine, too."""
        for address, host in (("::1", "[::1]:80"), ("::ffff:127.0.0.1", "127.0.0.1")):
            request = replace(self.LOCAL, client=address, headers={"host": host})
            assert 200 == Dashboard().respond(request).status

    @pytest.mark.parametrize("path", ["/", "/static/aldis.css", "/deliveries/1", "/nope"])
    def test_a_user_without_access(self, place, path):
        """A user without access gets a 404 for every path, files included."""
        client = Client(Dashboard(place.outbox, access=lambda request: None))
        assert b"Not Found\n" == client.request(path).body
        assert 404 == client.request(path, "POST").status


class TestAccessFunction:
    @pytest.mark.parametrize("answer", [True, "admin", 1, ("operate", "ada")])
    def test_a_wrong_answer_is_an_error(self, answer):
        """An access function that returns anything else is a mistake, and lets no request in."""
        with pytest.raises(TypeError, match='access= must return "read", "operate"'):
            Client(Dashboard(access=lambda request: answer)).request("/")

    def test_an_async_one_needs_asgi(self):
        """A sync framework cannot await an access function."""

        async def access(request):
            return "read"

        with pytest.raises(TypeError, match="only ASGI and Quart can await"):
            Client(Dashboard(access=access)).request("/")

    def test_a_wrong_grant(self):
        """A grant has one of two rights."""
        with pytest.raises(ValueError, match='"read" or "operate"'):
            Grant("admin")


class TestReaders:
    def test_see_no_buttons(self, place):
        """Users who may only read see no form that changes anything."""
        (dead,) = place.die("OSError")
        place.store.pause("mail")
        client = Client(Dashboard(place.outbox, access=lambda request: "read"))
        for page in ("/", "/dead", "/deliveries", f"/deliveries/{dead}", "/receivers"):
            html = client.page(page)
            assert 'method="post"' not in html
            assert "/prune" not in html
        for page in ("/prune", "/deliveries/replay"):
            client.page(page, 403)

    def test_cannot_post(self, place):
        """A form of an operator does not work for a reader."""
        (dead,) = place.die("OSError")
        rights = ["operate"]
        client = Client(Dashboard(place.outbox, access=lambda request: Grant(rights[0], "ada")))
        html = client.page(f"/deliveries/{dead}")
        rights[0] = "read"
        assert 403 == client.submit(html, "/replay").status
        assert "dead" == place.state(dead)


class TestForgery:
    @pytest.fixture
    def dead(self, place):
        """Give a dead letter."""
        return place.die("OSError")[0]

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "none"},
            {"sec-fetch-site": "cross-site", "origin": "http://ops.example"},
        ],
    )
    def test_from_another_site(self, client, place, dead, headers):
        """A form that another site sent is refused, even with a valid token."""
        html = client.page(f"/deliveries/{dead}")
        client.headers = headers
        assert 403 == client.submit(html, "/replay").status
        assert "dead" == place.state(dead)

    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            ("http://ops.example", 303),
            ("https://OPS.example:443", 303),
            ("http://evil.example", 403),
            ("http://ops.example.evil.example", 403),
            ("http://ops.example:8080", 403),
            ("null", 403),
            ("", 403),
        ],
    )
    def test_of_old_browsers(self, client, place, dead, origin, status):
        """A browser without Sec-Fetch-Site must send the Origin of this site."""
        url, fields = form_in(client.page(f"/deliveries/{dead}"), "/replay")
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        headers = {"host": "ops.example", "origin": origin, "cookie": cookie}
        assert status == client.request(url, "POST", fields, headers=headers).status

    def test_without_a_token(self, client, place, dead):
        """A form without a token, or with an invented one, is refused."""
        html = client.page(f"/deliveries/{dead}")
        for token in ("", "x", "a.b.c", "1.99999999999.0"):
            assert 403 == client.submit(html, "/replay", token=token).status
        assert "dead" == place.state(dead)

    def test_a_token_of_another_user(self, place, dead):
        """A token is bound to the browser and to the user."""
        users = ["ada"]
        dashboard = Dashboard(place.outbox, access=lambda request: Grant("operate", users[0]))
        ada, other = Client(dashboard), Client(dashboard)
        html = ada.page(f"/deliveries/{dead}")
        other.page("/")
        assert 403 == other.submit(html, "/replay").status  # another browser
        users[0] = "bob"
        assert 403 == ada.submit(html, "/replay").status
        assert "dead" == place.state(dead)

    def test_a_token_of_another_form(self, client, place, dead):
        """A token is bound to the action of its form."""
        html = client.page(f"/deliveries/{dead}")
        token = form_in(html, "/replay")[1]["token"]
        assert 403 == client.submit(html, "/discard", token=token).status
        assert "dead" == place.state(dead)

    def test_an_old_token(self, client, place, dead, monkeypatch):
        """A token is valid for some hours."""
        html = client.page(f"/deliveries/{dead}")
        from aldis.web import csrf

        later = csrf.time() + csrf.LIFETIME + 1
        monkeypatch.setattr(csrf, "time", lambda: later)
        assert 403 == client.submit(html, "/replay").status

    def test_a_form_that_is_sent_twice(self, client, place, dead):
        """A form works once, in all processes together."""
        html = client.page(f"/deliveries/{dead}")
        assert 303 == client.submit(html, "/replay").status
        (claimed,) = place.claim()
        from aldis.durable.types import AttemptFailure

        place.store.fail(claimed, AttemptFailure("OSError"))
        second = Client(Dashboard(place.outbox, access=operator), cookies=client.cookies)
        again = second.submit(html, "/replay")
        assert 409 == again.status
        assert "sent before" in again.body.decode()
        assert "dead" == place.state(dead)


class TestHeaders:
    def test_no_inline_script(self, client, place):
        """The policy allows files of this site only, and pages have no inline script or style."""
        place.die("OSError")
        for page in ("/", "/dead", "/deliveries", "/signals"):
            response = client.request(page)
            policy = header(response, "Content-Security-Policy")
            assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            html = response.body.decode()
            assert [] == re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", html)
            assert "http://" not in html
            assert "https://" not in html
            assert "no-store" == header(response, "Cache-Control")

    def test_the_cookie(self, client):
        """Scripts cannot read the cookie, and other sites' requests do not send it."""
        cookie = header(client.request("/"), "Set-Cookie")
        assert "; Path=/ops; HttpOnly; SameSite=Lax" in cookie
        assert "Secure" not in cookie
        client.cookies.clear()
        assert "; Secure" in header(client.request("/", scheme="https"), "Set-Cookie")

    def test_files(self, client):
        """Browsers keep the files; their URLs change with their content."""
        html = client.page()
        for url in re.findall(r'(?:href|src)="(/ops/static/[^"]*)"', html):
            response = client.request(url)
            assert 200 == response.status
            assert "immutable" in header(response, "Cache-Control")
