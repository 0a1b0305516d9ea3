"""The example shop's login, with a real provider and without Node.js."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.examples.running import ROOT, environment, run_demo, serving
from tests.oauth.needs import do_without, need
from tests.processes import LIMIT

need("flask", "authlib", "requests")

from examples.shop.provider import NoLoginError, open_provider  # noqa: E402
from tests.oauth.browser import Browser  # noqa: E402 - it needs requests

LEFT_OUT = "The demo leaves the login out: "


def left_out(demo):
    """Return the reasons that the demo printed for leaving the login out."""
    lines = demo.stdout.splitlines()
    return [line.removeprefix(LEFT_OUT) for line in lines if line.startswith(LEFT_OUT)]


@pytest.fixture(scope="module")
def demo():
    """The finished demo, on a machine with Node.js."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            do_without(f"{tool} is not installed, and the provider of the example shop needs it")
    ran = run_demo(PATH=os.environ["PATH"])
    for reason in left_out(ran):
        do_without(reason)
    return ran


@pytest.fixture(scope="module")
def trees(demo):
    """The lines of each request of the login, with every duration as TIME."""
    step = re.split(r"^9\. ", demo.stdout, flags=re.MULTILINE)[1].split("\n\n")[0]
    step = re.sub(r"\b[0-9.]+(e\+[0-9]+)? (µs|ms|s)\b", "TIME", step.replace(os.sep, "/"))
    step = re.sub(r"\.py:\d+", ".py", step)
    found = re.split(r"^(?=GET )", step, flags=re.MULTILINE)[1:]
    return [each.splitlines() for each in found]


@pytest.fixture
def shop(demo):
    """The process and address of an open shop; ``demo`` has installed the provider."""
    with serving(PATH=os.environ["PATH"]) as (process, address):
        yield process, address


@pytest.fixture
def browser():
    """A scripted browser."""
    return Browser("grace")


@pytest.mark.slow
class TestDemo:
    """``python -m examples.shop.demo`` with Node.js."""

    def test_ends_by_itself(self, demo):
        """The demo ends with exit code 0 and prints no error."""
        assert (0, "") == (demo.returncode, demo.stderr)

    def test_goes_there_and_comes_back(self, trees):
        """The login takes three requests to the shop: away, back with a code, and home."""
        assert [
            "GET /login/lighthouse -> 302 FOUND, TIME",
            "GET /login/lighthouse/authorized -> 302 FOUND, TIME",
            "GET / -> 200 OK, TIME",
        ] == [lines[0] for lines in trees]

    def test_signals_of_the_login_are_in_the_trees(self, trees):
        """The first request sends oauth_before_login, the second one sends oauth_authorized."""
        sender = "sent by <OAuthBlueprint 'lighthouse'>"
        flashed = "message-flashed  nobody heard  sent by <Flask 'examples.shop'>"
        away, back, home = trees

        assert f"├─ oauth-before-login  nobody heard  {sender} (url)" in away
        start = back.index(f"├─ oauth-authorized  TIME  {sender} (token)")
        assert [
            "│  └─ greet  TIME  examples/shop/login.py",
            f"│     └─ {flashed} (message, category)",
        ] == back[start + 1 : start + 3]
        assert "oauth" not in "".join(home)

    def test_no_secret_is_printed(self, demo):
        """Nothing in the output looks like a state, a code, a token or the client's secret."""
        words = re.findall(r"[\w-]{20,}", demo.stdout)

        assert "appcontext-tearing-down" in words
        assert [] == [word for word in words if re.search(r"\d", word) and word.lower() != word]

    def test_a_proxy_is_not_asked(self, demo):
        """The shop reaches the provider on its own machine even if a proxy is configured."""
        nowhere = "http://127.0.0.1:9"
        ran = run_demo(PATH=os.environ["PATH"], HTTP_PROXY=nowhere, http_proxy=nowhere)

        assert (0, "") == (ran.returncode, ran.stderr)
        assert "greet" in ran.stdout


@pytest.mark.slow
class TestServe:
    """``python -m examples.shop.serve`` with Node.js."""

    def test_offers_a_login(self, shop, browser):
        """The page's link leads to the provider and back; then the page greets the visitor."""
        _, address = shop
        page = browser.open(address).text
        link = re.search(r'href="([^"]+)">Log in with', page)[1]
        answer = browser.open(urljoin(address, link))

        assert (200, address) == (answer.status_code, answer.url)
        assert "Welcome aboard, grace" in answer.text
        assert "grace is aboard" in answer.text
        assert "Log in with" not in answer.text

    def test_a_visitor_who_declines_is_told(self, shop, browser):
        """A login that the visitor cancels at the provider ends on a page that says so."""
        _, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=LIMIT)
        cancel = re.search(r'href="([^"]+/abort)"', form.text)[1]
        answer = browser.open(urljoin(form.url, cancel))

        assert (200, address) == (answer.status_code, answer.url)
        assert "You are not logged in: access_denied" in answer.text
        assert "Log in with" in answer.text

    def test_its_provider_loads_nothing_from_elsewhere(self, shop, browser):
        """The provider's pages forbid browsers to load files from other machines."""
        _, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=LIMIT)

        assert "default-src 'none'" in form.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_the_provider_ends_with_the_shop(self, shop, browser, end):
        """The provider ends with the shop, even if the shop is killed."""
        process, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=LIMIT)
        assert answers(form.url)

        process.send_signal(end)
        process.communicate(timeout=LIMIT)
        limit = time.monotonic() + LIMIT
        while answers(form.url) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not answers(form.url)


def answers(url):
    """Return whether a server listens at ``url``."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def machine(tmp_path):
    """The environment of a machine with an empty PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def have(machine, tool, script="exit 1"):
    """Put a program onto the PATH of the machine."""
    file = Path(machine["PATH"], tool)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


