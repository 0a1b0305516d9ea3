"""A scripted browser, which sends real HTTP requests and keeps cookies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

TIMEOUT = 10.0  # seconds, for each request
FORM = re.compile(r'<form[^>]* action="([^"]+)".*?name="prompt" value="([^"]+)"', re.DOTALL)


@dataclass(frozen=True)
class Page:
    """The page that the visitor saw, after all redirects."""

    url: str
    status: int
    text: str


class Visitor:
    """The browser of one visitor."""

    def __init__(self) -> None:
        self._opener = build_opener(HTTPCookieProcessor(), ProxyHandler({}))

    def open(self, url: str, form: Mapping[str, str] | None = None) -> Page:
        """Send a request, by POST if there is a form, and follow redirects."""
        data = urlencode(form).encode() if form else None
        try:
            with self._opener.open(url, data, timeout=TIMEOUT) as answer:
                return Page(answer.url, answer.status, answer.read().decode())
        except HTTPError as error:
            with error:
                return Page(error.url, error.code, error.read().decode())

    def log_in(self, url: str, name: str) -> Page:
        """Begin a login at ``url`` and fill in the provider's two forms."""
        page = self.open(url)
        for prompt, form in (
            ("login", {"login": name, "password": "any will do"}),
            ("consent", {}),
        ):
            found = FORM.search(page.text)
            if found is None or found[2] != prompt:
                break
            page = self.open(urljoin(page.url, found[1]), {"prompt": prompt, **form})
        return page
