"""``aldis web``: the dashboard for the user of this machine."""

import re
import subprocess
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from tests.cli.support import ALDIS

APP = """
    import aldis.as_blinker
    from flask import Flask
    import aldis

    app = Flask(__name__)
    shop = aldis.Namespace()

    @shop.signal("order-paid").connect
    def audit(sender, **extra): ...
"""


@contextmanager
def serving(project, *options):
    """Run the command on a free port; yield the address that it prints."""
    command = [*ALDIS, "web", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def get(address, **headers):
    """Return the status and the text of a page."""
    try:
        request = Request(address, headers=headers)  # noqa: S310 - the address is of this machine
        answer = build_opener(ProxyHandler({})).open(request, timeout=30)
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
    with answer:
        return answer.status, answer.read().decode()


def test_signals_of_an_app_without_an_outbox(project):
    """The dashboard shows the signals of the app, below a secret path, to this machine only."""
    project.write("shop.py", APP)
    with serving(project, "--app", "shop:app") as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/[\w-]{22}/", address)
        status, html = get(address)
        assert 200 == status
        assert "order-paid" in html
        assert 404 == get(address.rsplit("/", 2)[0] + "/")[0]
        assert 404 == get(address.rsplit("/", 2)[0] + "/guessed/")[0]
        assert 404 == get(address, Host="evil.example")[0]
        assert 404 == get(address, **{"X-Forwarded-For": "203.0.113.9"})[0]


def test_a_database(project):
    """With --url, it shows the deliveries of a database; --read-only hides the buttons."""
    project.run(*ALDIS, "db", "upgrade", "--url", "sqlite:///shop.db")
    with serving(project, "--url", "sqlite:///shop.db", "--read-only") as address:
        status, html = get(f"{address}deliveries")
        assert 200 == status
        assert "No delivery matches" in html
        assert "you may read" in html
        assert 403 == get(f"{address}prune")[0]


def test_a_port_in_use(project):
    """The error names another port."""
    project.write("shop.py", APP)
    with serving(project, "--app", "shop:app") as address:
        port = address.rpartition(":")[2].partition("/")[0]
        ended = project.run(*ALDIS, "web", "--app", "shop:app", "--port", port)
        assert 2 == ended.returncode
        assert f"port {port} is in use by another program: choose another" in ended.stderr
