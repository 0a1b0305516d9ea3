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
from tests.oauth.needs import need, skip_or_fail
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
            skip_or_fail(f"{tool} is not installed, and the provider of the example shop needs it")
    ran = run_demo(PATH=os.environ["PATH"])
    for reason in left_out(ran):
        skip_or_fail(reason)
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

    def test_goes_to_the_provider_and_back(self, trees):
        """The login takes three requests to the shop: away, back with a code, and home."""
        assert [
            "GET /login/lighthouse -> 302 Found, TIME",
            "GET /login/lighthouse/authorized -> 302 Found, TIME",
            "GET / -> 200 OK, TIME",
        ] == [lines[0] for lines in trees]

    def test_signals_of_the_login_are_in_the_trees(self, trees):
        """The first request sends oauth_before_login, the second one sends oauth_authorized."""
        sender = "sent by <OAuthBlueprint 'lighthouse'>"
        flashed = "message-flashed  no receiver  sent by <Flask 'examples.shop'>"
        away, back, home = trees

        assert f"├─ oauth-before-login  no receiver  {sender} (url)" in away
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

    def test_a_proxy_is_not_used(self, demo):
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

    def test_a_visitor_who_declines_sees_a_page(self, shop, browser):
        """A login that the visitor cancels at the provider ends on a page that explains it."""
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
    """Put a program on the PATH of the machine."""
    file = Path(machine["PATH"], tool)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def reason(machine, monkeypatch):
    """A function that returns why the provider does not run on that machine."""

    def reason():
        for name, value in machine.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(NoLoginError) as refused, open_provider([]):
            pass
        return str(refused.value)

    return reason


class TestWithoutTheProvider:
    """Both programs on a machine that lacks something."""

    def test_no_node(self, reason):
        """The provider needs Node.js."""
        assert "node is not installed, and the provider needs Node.js with npm" == reason()

    def test_no_npm(self, machine, reason):
        """The provider needs npm, unless npm has installed it before."""
        have(machine, "node")
        assert "npm is not installed, and the provider needs Node.js with npm" == reason()

    @pytest.mark.parametrize("code", ["ENOTFOUND", "SELF_SIGNED_CERT_IN_CHAIN"])
    def test_npm_fails(self, machine, reason, code):
        """If npm cannot install the provider, the reason has the code of its error."""
        have(machine, "node")
        have(machine, "npm", f"echo 'npm error code {code}' >&2; exit 1")
        assert f"npm could not install oidc-provider 9.13.3 ({code})" == reason()

    def test_node_fails(self, machine, reason):
        """If Node.js does not run the provider, the reason names its folder."""
        have(machine, "node")
        have(machine, "npm", "exit 0")
        folder = Path(machine["XDG_CACHE_HOME"], "aldis-demo", "oidc-provider-9.13.3")
        assert f"this Node.js cannot run the provider in {folder}" == reason()

    def test_no_place_to_install(self, machine, reason):
        """If the cache folder cannot be written, nothing is installed."""
        have(machine, "node")
        have(machine, "npm", "exit 0")
        machine["XDG_CACHE_HOME"] = os.devnull
        assert reason().startswith("oidc-provider 9.13.3 could not be installed: ")

    def test_reads_the_administrators_configuration(self, tmp_path, machine, reason):
        """The demo runs npm in the new folder, and no option moves npm's configuration."""
        have(machine, "node")
        have(machine, "npm", f'echo "$PWD $*" >{tmp_path}/called; exit 1')
        reason()

        folder, *words = (tmp_path / "called").read_text().split()
        assert "oidc-provider-9.13.3" == Path(folder).name
        assert ["install", "oidc-provider@9.13.3"] == [words[0], words[-1]]
        moving = ("--prefix", "-g", "--global", "--location", "--globalconfig", "--userconfig")
        assert [] == [word for word in words if word.startswith(moving)]

    @pytest.mark.slow
    def test_the_demo_goes_on(self, tmp_path, machine):
        """Without the extra oauth, the demo explains how to install it and does the rest."""
        missing = "raise ModuleNotFoundError('No module named authlib', name='authlib')"
        (tmp_path / "authlib.py").write_text(missing)
        have(machine, "node")
        demo = run_demo(**machine, PYTHONPATH=str(tmp_path))

        assert (0, "") == (demo.returncode, demo.stderr)
        (why,) = left_out(demo)
        assert why.startswith("aldis.oauth needs Authlib, which is not installed")
        assert "\n8. " in demo.stdout
        assert "The visitor logs in" not in demo.stdout
        assert "What to look at next:" in demo.stdout

    @pytest.mark.slow
    def test_the_shop_opens(self, machine, browser):
        """The served shop shows why visitors cannot log in, and has no login."""
        with serving(**machine) as (process, address):
            page = browser.open(address).text
            process.send_signal(signal.SIGINT)
            printed = process.stdout.read()

        assert "Signal lamp" in page
        assert "Log in" not in page
        assert "no login, because node is not installed" in printed


class TestInstalling:
    """The installation of the provider by npm."""

    HANGS = 'echo $$ >"$XDG_CACHE_HOME/pid.new"; mv "$XDG_CACHE_HOME/pid.new" "$XDG_CACHE_HOME/pid"'

    @pytest.fixture
    def hanging(self, tmp_path, machine):
        """A machine whose npm never ends and writes its process id into the cache."""
        (tmp_path / "cache").mkdir()
        have(machine, "node")
        have(machine, "npm", f"PATH=/usr/bin:/bin\n{self.HANGS}\nexec sleep 60")
        return machine

    def test_is_stopped_after_the_time_limit(self, tmp_path, hanging, reason, monkeypatch):
        """An npm that takes too long is ended, and leaves nothing half-installed."""
        pid = tmp_path / "cache" / "pid"

        class Popen(subprocess.Popen):
            def wait(self, timeout=None):
                while not pid.exists():  # npm has to run before it can take too long
                    time.sleep(0.01)
                return super().wait(timeout)

        monkeypatch.setattr("examples.shop.provider.subprocess.Popen", Popen)
        monkeypatch.setattr("examples.shop.provider.INSTALL_TIMEOUT", 0.1)
        assert "npm did not install oidc-provider 9.13.3 in 0.1 seconds" == reason()
        assert_nothing_left(tmp_path / "cache")

    @pytest.mark.slow
    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
    def test_is_ended_with_the_demo(self, tmp_path, hanging, end):
        """An interrupted demo ends npm and removes the incomplete installation."""
        with subprocess.Popen(
            [sys.executable, "-m", "examples.shop.demo"],
            cwd=ROOT,
            env=environment(**hanging),
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            limit = time.monotonic() + LIMIT
            while not (tmp_path / "cache" / "pid").exists():
                assert time.monotonic() < limit
                time.sleep(0.02)
            process.send_signal(end)
            printed, _ = process.communicate(timeout=LIMIT)

        assert 130 == process.returncode
        assert printed.endswith("\nInterrupted.\n")
        assert_nothing_left(tmp_path / "cache")


def assert_nothing_left(cache):
    """Assert that npm has ended and that no incomplete installation is left."""
    number = int((cache / "pid").read_text())
    limit = time.monotonic() + LIMIT  # its new parent may need a moment to collect it
    while is_there(number) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not is_there(number)
    assert [] == list((cache / "aldis-demo").iterdir())


def is_there(number):
    """Return whether a process with this id exists."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
