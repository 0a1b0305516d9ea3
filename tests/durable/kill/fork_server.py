"""A process that has imported the app and forks itself, so a new process starts in milliseconds.

The server reaps its own children, so a signal never reaches a reused process id.
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

#: Seconds after which a process ends by itself, even if the test was killed.
LIFE = 900


class ForkServer:
    """The client in the test: it starts processes, and kills the rest when it is closed.

    Args:
        log: The log file of the processes.
    """

    def __init__(self, log):
        self.log = Path(log)
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.durable.kill.fork_server"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # the server then kills the remaining processes
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
        assert line, f"the fork server is gone:\n{self.logged()}"
        return json.loads(line)

    def begin(self, role, *args, **options):
        """Start a process that runs a function of ``ROLES``. Return its process id."""
        return self._ask("begin", role, args, options)

    def send(self, pid, number):
        """Send a signal to a process."""
        self._ask("send", pid, number)

    def kill(self, pid):
        """Kill a process and wait for its end. Return its exit code."""
        return self._ask("kill", pid)

    def wait(self, pid, seconds=60):
        """Wait for the end of a process. Return its exit code, or the negative signal."""
        return self._ask("wait", pid, seconds)

    def is_alive(self, pid):
        """Tell whether a process is still running."""
        return self._ask("wait", pid, 0) is None

    def logged(self):
        """Return the log of all processes."""
        return self.log.read_text(errors="replace")


class _Children:
    """The processes, inside the fork server."""

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
    """Run the commands of standard input, one per line."""
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
