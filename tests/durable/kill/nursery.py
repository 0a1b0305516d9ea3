"""A process that has imported the app and forks from itself: a new process in milliseconds.

It ends what it has begun, so that nobody ever signals a process that is not theirs.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]

#: Seconds after which a process ends by itself, whatever happens to the test.
LIFE = 900


class Nursery:
    """The tests' side: it begins processes, and ends them all when it is closed.

    Args:
        log: The file to which the processes write what they log.
    """

    def __init__(self, log):
        self.log = Path(log)
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.durable.kill.nursery"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # upon which it kills those that are left
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def _ask(self, *command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the nursery is gone:\n{self.logged()}"
        return json.loads(line)

    def begin(self, role, *args, **options):
        """Begin a process that does what ``ROLES`` has under that name; return its number."""
        return self._ask("begin", role, args, options)

    def send(self, pid, number):
        """Send a signal to a process."""
        self._ask("send", pid, number)

    def kill(self, pid):
        """Kill a process, and wait until it is gone; return how it has ended."""
        return self._ask("kill", pid)

    def wait(self, pid, seconds=60):
        """Wait for the end of a process and return its exit code, or the negative signal."""
        return self._ask("wait", pid, seconds)

    def is_alive(self, pid):
        """Tell whether a process has not ended."""
        return self._ask("wait", pid, 0) is None

    def logged(self):
        """Return what the processes have logged."""
        return self.log.read_text(errors="replace")


class _Children:
    """The nursery's own side."""

    def __init__(self, roles):
        self._roles = roles
        self._ended = {}
        self._alive = set()

    def begin(self, role, args, options):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(LIFE)
                status = self._roles[role](*args, **options)
            except BaseException:
                logging.getLogger("aldis").exception("a %s process has failed", role)
            finally:
                logging.shutdown()
                os._exit(status)
        self._alive.add(pid)
        return pid

    def send(self, pid, number):
        if self.wait(pid, 0) is None:
            os.kill(pid, number)

    def kill(self, pid):
        self.send(pid, signal.SIGKILL)
        return self.wait(pid, 60)

    def wait(self, pid, seconds):
        end = time.monotonic() + seconds
        while pid in self._alive:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._alive.discard(pid)
                self._ended[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= end:
                return None
            else:
                time.sleep(0.005)
        return self._ended[pid]

    def kill_all(self):
        for pid in list(self._alive):
            self.kill(pid)


def main():
    """Do what comes on standard input, one line a command."""
    from tests.durable.kill.app import ROLES

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    children = _Children(ROLES)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    commands = os.fdopen(os.dup(0))
    os.dup2(null, 0)
    try:
        for line in commands:
            name, *args = json.loads(line)
            answers.write(json.dumps(getattr(children, name)(*args)) + "\n")
            answers.flush()
    finally:
        children.kill_all()


if __name__ == "__main__":
    main()
