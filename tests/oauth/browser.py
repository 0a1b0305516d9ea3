"""A scripted browser that follows redirects between an app and a provider and fills in forms."""

import re
from urllib.parse import urljoin, urlsplit

import requests

REDIRECTS = (301, 302, 303, 307)


class Browser:
    """A browser of one user.

    Args:
        user: The user that it logs in at the provider.
    """

    def __init__(self, user="ada"):
        self.user = user
        self.http = requests.Session()
        self.http.trust_env = False
        self.visited = []

    def open(self, url, *, until=None):
        """Go to ``url``, follow all redirects and submit the provider's forms.

        Args:
            url: The first URL.
            until: Stop before a URL that contains this text, and return the redirect to it.
        """
        answer = self._send("GET", url)
        for _ in range(25):
            if answer.status_code in REDIRECTS:
                target = urljoin(answer.url, answer.headers["Location"])
                if until is not None and until in target:
                    return answer
                answer = self._send("GET", target)
            elif "/interaction/" in urlsplit(answer.url).path and answer.ok:
                answer = self._submit(answer)
            else:
                return answer
        raise AssertionError(f"endless redirects: {self.visited[-8:]}")

    def _submit(self, page):
        action = re.search(r'action="([^"]+)"', page.text)[1]
        prompt = re.search(r'name="prompt" value="([^"]+)"', page.text)[1]
        form = {"prompt": prompt}
        if prompt == "login":
            form |= {"login": self.user, "password": "any"}
        return self._send("POST", urljoin(page.url, action), data=form)

    def _send(self, method, url, **options):
        self.visited.append(url)
        return self.http.request(method, url, allow_redirects=False, timeout=30, **options)
