"""``aldis run`` starts real servers: Flask's with its reloader, and gunicorn with workers."""

import os
import signal
import socket
import time
from contextlib import contextmanager
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.cli.support import FLASK, PYTHON, RUN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the tests end the servers with signals"),
]

APP = """
    import os

    import flask

    app = flask.Flask("shop")
    heard = []
    flask.request_started.connect(lambda sender: heard.append(os.getpid()), app, weak=False)

    @app.get("/")
    def index():
        return f"VERSION {type(flask.request_started).__module__} {len(heard)}"
    """

browser = build_opener(ProxyHandler({}))


def free_port():
    """Return a port on which no program listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(port, *, until, patience=20.0):
    """Return the server's answer when it contains ``until``. Fail after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    answer = None
    while time.monotonic() < deadline:
        try:
            with browser.open(f"http://127.0.0.1:{port}/", timeout=5) as response:
                answer = response.read().decode()
        except OSError as error:
            answer = repr(error)
        if answer.startswith(until):
            return answer
        time.sleep(0.1)
    raise AssertionError(answer)


@contextmanager
def served(project, *command):
    """Start a server. At the end, stop it and its children."""
    process = project.start(*RUN, *command, HOME=str(project.folder))
    try:
        yield process
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        error.add_note(process.communicate()[0])
        raise
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # the server has a separate session
        process.wait()
        process.stdout.close()


def test_flasks_server_with_its_reloader(project):
    """The reloader's child runs on aldis, before and after a restart."""
    file = project.write("app.py", APP.replace("VERSION", "one"))
    port = free_port()
    options = ["run", "--port", str(port), "--debug"]
    with served(project, *FLASK, *options) as process:
        assert "one aldis.core.namespace 1" == ask(port, until="one")
        time.sleep(1.1)  # the reloader compares times of files, perhaps in whole seconds
        project.write("app.py", APP.replace("VERSION", "two"))
        assert file.read_text().count("two") == 1
        assert ask(port, until="two").startswith("two aldis.core.namespace")
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=10)


def test_gunicorns_workers(project):
    """Each worker that gunicorn forks runs on aldis, and SIGTERM ends it gracefully."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    project.write("shop.py", APP.replace("VERSION", "one"))
    port = free_port()
    command = [*PYTHON, "-m", "gunicorn", "--workers", "2", "--bind"]
    with served(project, *command, f"127.0.0.1:{port}", "shop:app") as process:
        assert ask(port, until="one").startswith("one aldis.core.namespace")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
