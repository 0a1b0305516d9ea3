"""The dashboard in a real browser: live updates, the security policy, and accessibility.

The tests need Chromium and Playwright for Python. The test of accessibility gets axe-core from npm.
"""

import os
import shutil
import subprocess
import tarfile

import pytest

from aldis.web import Dashboard
from tests.web.conftest import operator
from tests.web.serving import serving_wsgi
from tests.web.test_frameworks import DispatcherMiddleware, Flask

pytestmark = pytest.mark.slow

AXE = "axe-core@4.14.1"

PAGES = ("", "deliveries", "dead", "receivers", "workers", "signals", "changes", "prune")


def skip_or_fail(reason):
    """Skip the test; in CI, where everything is installed, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def browser():
    """Give Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("needs Playwright for Python")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        skip_or_fail("needs Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def address(place):
    """Serve a dashboard with a dead letter and give its address."""
    place.die("OSError: no paper")
    dashboard = Dashboard(place.outbox, access=operator, show_payload=True)
    app = DispatcherMiddleware(Flask("shop"), {"/signals": dashboard.wsgi})
    with serving_wsgi(app) as port:
        yield f"http://127.0.0.1:{port}/signals/"


def test_a_page_updates_and_its_policy_holds(browser, address, place):
    """A page shows a new dead letter without a reload, and nothing breaks the policy."""
    page = browser.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}dead")
    assert "1 dead letter in" in page.inner_text("main")
    place.die("OSError: no ink")
    page.wait_for_selector("text=2 dead letters in", timeout=30_000)
    assert [] == problems


def test_an_open_question_is_not_replaced(browser, address, place):
    """While a user answers a question, the page does not change; the answer is what they saw."""
    page = browser.new_page()
    page.goto(f"{address}dead")
    page.click("summary:has-text('Replay')")
    (new,) = place.die("OSError: no ink")
    page.wait_for_timeout(4_500)  # two updates later
    assert "Replay these 1 dead letter?" in page.inner_text("main")
    page.click("button:has-text('Yes, replay')")
    page.wait_for_selector("text=1 delivery replayed.")
    assert "dead" == place.state(new)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_accessibility(browser, address, place, scheme, width, axe):
    """axe-core finds no violation, and no page is wider than its window."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    place.store.pause("mail")
    for path in (*PAGES, "deliveries/1", "deliveries/replay"):
        page.goto(f"{address}{path}?live=off")
        page.add_script_tag(path=axe)
        found = page.evaluate("axe.run().then(result => result.violations.map(each => each.id))")
        assert [] == found, path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_the_keyboard(browser, address):
    """The first Tab reaches the link to the content, and Enter opens a question."""
    page = browser.new_page()
    page.goto(f"{address}dead?live=off")
    page.keyboard.press("Tab")
    assert "Skip to the content" == page.evaluate("document.activeElement.textContent")
    page.focus("summary >> nth=0")
    page.keyboard.press("Enter")
    assert page.is_visible("button:has-text('Yes, replay')")


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """Give the path of axe-core."""
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(
            ["npm", "pack", "--silent", AXE],
            cwd=folder,
            check=True,
            timeout=120,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        skip_or_fail(f"{AXE} could not be fetched with npm: {error}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extract("package/axe.min.js", folder, filter="data")
    return folder / "package" / "axe.min.js"
