"""A client of the dashboard that works like a browser: it keeps cookies and submits forms."""

import re
from dataclasses import dataclass, field, replace
from html import unescape
from urllib.parse import urlencode, urlsplit

from aldis.web import Request

HOST = "ops.example"


@dataclass
class Client:
    """Sends requests to ``Dashboard.respond``, which needs no framework."""

    dashboard: object
    root: str = "/ops"
    cookies: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)

    def request(self, url="/", method="GET", form=None, **changes):
        """Send one request to a URL below the root and return the response."""
        parts = urlsplit(url.removeprefix(self.root) or "/")
        headers = {"host": HOST, **self.headers}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            headers = {"sec-fetch-site": "same-origin", **headers}
        request = Request(
            method=method,
            root=self.root,
            path=parts.path or "/",
            query=parts.query,
            headers=headers,
            body=urlencode(form or {}).encode(),
            client="203.0.113.9",
        )
        response = self.dashboard.respond(replace(request, **changes))
        for name, value in response.headers:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return response

    def page(self, url="/", status=200):
        """Return the HTML of a page."""
        response = self.request(url)
        assert status == response.status, response.body.decode()
        return response.body.decode()

    def submit(self, html, action, **changes):
        """Submit the form with this action in a page, with some changed fields."""
        url, fields = form_in(html, action)
        return self.request(url, "POST", {**fields, **changes})

    def follow(self, response):
        """Return the page that a redirect leads to."""
        assert 303 == response.status, response.body.decode()
        return self.page(header(response, "Location"))


def header(response, name):
    """Return the value of a header."""
    (value,) = (value for key, value in response.headers if key == name)
    return value


def form_in(html, action):
    """Return the URL and the fields of the form whose URL contains ``action``."""
    for url, body in re.findall(
        r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', html, re.DOTALL
    ):
        if action in url:
            pairs = re.findall(r'name="([^"]*)" value="([^"]*)"', body)
            return unescape(url), {name: unescape(value) for name, value in pairs}
    message = f"the page has no form {action!r}"
    raise AssertionError(message)


def text_of(html):
    """Return the text of the main part of a page, with single spaces."""
    main = html.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())
