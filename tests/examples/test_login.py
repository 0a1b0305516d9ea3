"""The example shop's login: with a real provider where Node.js is, and without it."""

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

need("flask", "authlib", "requests")

from tests.oauth.browser import Browser  # noqa: E402 - it needs requests

LEFT_OUT = "The login is left out: "


def left_out(demo):
    """Return the lines that say why nobody could log in."""
    lines = demo.stdout.splitlines()
    return [line.removeprefix(LEFT_OUT) for line in lines if line.startswith(LEFT_OUT)]


@pytest.fixture(scope="module")
def demo():
    """What the demo printed with Node.js, and its exit code."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            do_without(f"{tool} is not installed, and the provider of the example shop needs it")
    ran = run_demo(PATH=os.environ["PATH"])
    for reason in left_out(ran):
        do_without(reason)
    return ran


@pytest.fixture(scope="module")
def trees(demo):
    """What the step that logs in has printed: each request's lines, durations left out."""
    step = re.split(r"^9\. ", demo.stdout, flags=re.MULTILINE)[1].split("\n\n")[0]
    step = re.sub(r"\b[0-9.]+(e\+[0-9]+)? (µs|ms|s)\b", "TIME", step.replace(os.sep, "/"))
    step = re.sub(r"\.py:\d+", ".py", step)
    found = re.split(r"^(?=GET )", step, flags=re.MULTILINE)[1:]
    return [each.splitlines() for each in found]


@pytest.fixture
def shop(demo):
    """A shop that is open, its process and address; ``demo`` has seen to the provider."""
    with serving(PATH=os.environ["PATH"]) as (process, address):
        yield process, address


@pytest.fixture
def browser():
    """A scripted browser."""
    return Browser("grace")


class TestDemo:
    """``python -m examples.shop.demo`` where Node.js is."""

    def test_ends_by_itself(self, demo):
        """It ends with exit code 0 and has nothing to complain of."""
        assert (0, "") == (demo.returncode, demo.stderr)

    def test_goes_there_and_comes_back(self, trees):
        """The last step takes three requests to the shop: away, back with a code, and home."""
        assert [
            "GET /login/lighthouse -> 302 FOUND, TIME",
            "GET /login/lighthouse/authorized -> 302 FOUND, TIME",
            "GET / -> 200 OK, TIME",
        ] == [lines[0] for lines in trees]

    def test_signals_of_the_login_are_in_the_trees(self, trees):
        """The first request has sent oauth_before_login, the second one oauth_authorized."""
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

    def test_a_proxy_is_not_asked(self, demo):
        """The shop finds the provider of its own machine where a proxy leads elsewhere."""
        nowhere = "http://127.0.0.1:9"
        ran = run_demo(PATH=os.environ["PATH"], HTTP_PROXY=nowhere, http_proxy=nowhere)

        assert (0, "") == (ran.returncode, ran.stderr)
        assert "greet" in ran.stdout


class TestServe:
    """``python -m examples.shop.serve`` where Node.js is."""

    def test_offers_a_login(self, shop, browser):
        """The page's link leads to the provider and back, and then the page knows the visitor."""
        _, address = shop
        page = browser.open(address).text
        link = re.search(r'href="([^"]+)">Log in with', page)[1]
        answer = browser.open(urljoin(address, link))

        assert (200, address) == (answer.status_code, answer.url)
        assert "Welcome aboard, grace" in answer.text
        assert "grace is aboard" in answer.text
        assert "Log in with" not in answer.text

    def test_a_visitor_who_declines_is_told(self, shop, browser):
        """A login that is cancelled at the provider ends on a page that says so."""
        _, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=10)
        cancel = re.search(r'href="([^"]+/abort)"', form.text)[1]
        answer = browser.open(urljoin(form.url, cancel))

        assert (200, address) == (answer.status_code, answer.url)
        assert "You are not logged in: access_denied" in answer.text
        assert "Log in with" in answer.text

    def test_its_provider_loads_nothing_from_elsewhere(self, shop, browser):
        """The provider's pages forbid browsers to load what they name on other machines."""
        _, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=10)

        assert "default-src 'none'" in form.headers["Content-Security-Policy"]

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_the_provider_ends_with_the_shop(self, shop, browser, end):
        """However the shop ends, no provider is left running."""
        process, address = shop
        form = browser.http.get(f"{address}login/lighthouse", timeout=10)
        assert answers(form.url)

        process.send_signal(end)
        process.communicate(timeout=10)
        limit = time.monotonic() + 10
        while answers(form.url) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not answers(form.url)


def answers(url):
    """Tell whether somebody listens at ``url``."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def machine(tmp_path):
    """What a machine has on its PATH, and an empty cache, as changes of the environment."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def have(machine, tool, script="exit 1"):
    """Put a tool onto that PATH."""
    file = Path(machine["PATH"], tool)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def assert_goes_on(demo, reason):
    """The demo has said why nobody could log in, in one line, and done all else."""
    assert (0, "") == (demo.returncode, demo.stderr)
    assert [f"{reason}."] == left_out(demo)
    assert "\n8. " in demo.stdout
    assert "Somebody logs in" not in demo.stdout
    assert "What to look at next:" in demo.stdout


class TestWithout:
    """Both programs where something is missing."""

    def test_no_node(self, machine):
        """Without Node.js the demo says so."""
        reason = "node is not installed, and the provider needs Node.js with npm"
        assert_goes_on(run_demo(**machine), reason)

    def test_no_npm(self, machine):
        """Without npm, and with nothing installed by it, the demo says so."""
        have(machine, "node")
        reason = "npm is not installed, and the provider needs Node.js with npm"
        assert_goes_on(run_demo(**machine), reason)

    @pytest.mark.parametrize("code", ["ENOTFOUND", "SELF_SIGNED_CERT_IN_CHAIN"])
    def test_npm_fails(self, machine, code):
        """When npm cannot install the provider, its error's code is told."""
        have(machine, "node")
        have(machine, "npm", f"echo 'npm error code {code}' >&2; exit 1")
        assert_goes_on(run_demo(**machine), f"npm could not install oidc-provider 9.13.3 ({code})")

    def test_node_fails(self, machine):
        """When Node.js does not run the provider, the demo says where that is."""
        have(machine, "node")
        have(machine, "npm", "exit 0")
        folder = Path(machine["XDG_CACHE_HOME"], "aldis-demo", "oidc-provider-9.13.3")
        assert_goes_on(run_demo(**machine), f"this Node.js does not run what is in {folder}")

    def test_no_place_to_install(self, machine):
        """A cache folder that cannot be written to is no reason to fail."""
        have(machine, "node")
        have(machine, "npm", "exit 0")
        demo = run_demo(**{**machine, "XDG_CACHE_HOME": os.devnull})
        (reason,) = left_out(demo)

        assert_goes_on(demo, reason.removesuffix("."))
        assert reason.startswith("oidc-provider 9.13.3 could not be installed: ")

    def test_no_extra(self, tmp_path, machine):
        """Without the extra oauth the demo says how to install it, and starts nothing."""
        missing = "raise ModuleNotFoundError('No module named authlib', name='authlib')"
        (tmp_path / "authlib.py").write_text(missing)
        have(machine, "node")
        demo = run_demo(**machine, PYTHONPATH=str(tmp_path))

        (reason,) = left_out(demo)
        assert_goes_on(demo, reason.removesuffix("."))
        assert reason.startswith("aldis.oauth needs authlib, which is not installed")

    def test_the_shop_opens_all_the_same(self, machine, browser):
        """The served shop says why nobody can log in, and offers no login."""
        with serving(**machine) as (process, address):
            page = browser.open(address).text
            process.send_signal(signal.SIGINT)
            printed = process.stdout.read()

        assert "Signal lamp" in page
        assert "Log in" not in page
        assert "but no login: node is not installed" in printed


class TestInstalling:
    """npm, while it installs the provider."""

    HANGS = 'echo $$ >"$XDG_CACHE_HOME/pid.new"; mv "$XDG_CACHE_HOME/pid.new" "$XDG_CACHE_HOME/pid"'

    @pytest.fixture
    def hanging(self, tmp_path, machine):
        """A machine whose npm never ends; it leaves its process id in the cache."""
        (tmp_path / "cache").mkdir()
        have(machine, "node")
        have(machine, "npm", f"PATH=/usr/bin:/bin\n{self.HANGS}\nexec sleep 60")
        return machine

    def test_is_given_up_after_a_while(self, tmp_path, hanging):
        """An npm that takes too long is ended, and the demo goes on."""
        program = (
            "from examples.shop import demo, provider\n"
            "provider.INSTALL_TIMEOUT = 0.5\n"
            "raise SystemExit(demo.main())"
        )
        demo = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment(**hanging),
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )

        assert_goes_on(demo, "npm did not install oidc-provider 9.13.3 in 0.5 seconds")
        assert_nothing_left(tmp_path / "cache")

    def test_reads_the_administrators_configuration(self, tmp_path, machine):
        """The demo runs npm in the new folder, and no option moves npm's configuration."""
        have(machine, "node")
        have(machine, "npm", f'echo "$PWD $*" >{tmp_path}/called; exit 1')
        run_demo(**machine)

        folder, *words = (tmp_path / "called").read_text().split()
        assert "oidc-provider-9.13.3" == Path(folder).name
        assert ["install", "oidc-provider@9.13.3"] == [words[0], words[-1]]
        moving = ("--prefix", "-g", "--global", "--location", "--globalconfig", "--userconfig")
        assert [] == [word for word in words if word.startswith(moving)]

    @pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
    def test_is_ended_with_the_demo(self, tmp_path, hanging, end):
        """Interrupted meanwhile, the demo ends npm and leaves nothing half-installed."""
        with subprocess.Popen(
            [sys.executable, "-m", "examples.shop.demo"],
            cwd=ROOT,
            env=environment(**hanging),
            stdout=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            limit = time.monotonic() + 20
            while not (tmp_path / "cache" / "pid").exists() and time.monotonic() < limit:
                time.sleep(0.02)
            process.send_signal(end)
            printed, _ = process.communicate(timeout=20)

        assert 130 == process.returncode
        assert printed.endswith("\nInterrupted.\n")
        assert_nothing_left(tmp_path / "cache")


def assert_nothing_left(cache):
    """No npm runs any more, and what it had begun is gone."""
    number = int((cache / "pid").read_text())
    limit = time.monotonic() + 10  # who adopts it may take a moment to see that it has ended
    while is_there(number) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not is_there(number)
    assert [] == list((cache / "aldis-demo").iterdir())


def is_there(number):
    """Tell whether there is a process of this number."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
