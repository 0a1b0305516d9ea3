"""Runs an app with its users' tokens in a database, in a separate process.

The process reads one line of JSON with the URLs of the database and the provider and prints
``ready``. Each further line is a list of user ids. The process calls the provider for all of them
at once and prints the responses.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Barrier

from tests.oauth.refresh_app import make_app

ROOT = Path(__file__).parents[3]


class Worker:
    """A running process."""

    def __init__(self, process, settings):
        self._process = process
        self._write(settings)

    def is_ready(self):
        """Wait until the process has connected to the database."""
        assert "ready" == self._process.stdout.readline().strip()

    def call(self, users):
        """Let the process call the provider for ``users``, each in a separate thread."""
        self._write(users)

    def responses(self):
        """Return the responses to the last call."""
        return json.loads(self._process.stdout.readline())

    def _write(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()


@contextmanager
def running(settings):
    """Run one process."""
    command = [sys.executable, "-m", "tests.oauth.providers.refreshing"]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        try:
            yield Worker(process, settings)
        finally:
            process.kill()


def _main():
    shop = make_app(**json.loads(sys.stdin.readline()))
    with shop.app.app_context():
        shop.db.session.execute(shop.db.text("SELECT 1"))
    print("ready", flush=True)  # noqa: T201 - the test reads it
    for line in sys.stdin:
        users = json.loads(line)
        barrier = Barrier(len(users))

        def call(user, barrier=barrier):
            barrier.wait(30)
            answer = shop.app.test_client().get("/me", headers={"X-User": str(user)})
            return [user, answer.status_code, answer.text]

        with ThreadPoolExecutor(len(users)) as pool:
            print(json.dumps(list(pool.map(call, users))), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
