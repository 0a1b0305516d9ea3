"""No process that a test starts outlives the tests, however they end.

Each process inherits an environment variable that names this run of pytest. When pytest has
finished, it ends the processes that still have the variable, and reports them: each is a fault of
its test. If pytest is interrupted or killed, a guard does this. The guard is a separate process
that waits for the end of pytest. It finds the processes in ``/proc``. Without ``/proc``, tests
have no guard.
"""

import os
import select
import signal
import subprocess
import sys
import uuid
from pathlib import Path

VARIABLE = "TESTS_RUN_BY"

#: Seconds after which a test takes a process as hung. It is long, because machines are busy.
LIMIT = 120

#: Seconds between two checks whether pytest still runs.
INTERVAL = 0.2

#: Seconds that the processes have to end after pytest was interrupted.
GRACE = 1.0

_PROC = Path("/proc")


_stops = []


def at_end(stop):
    """Call ``stop`` when pytest has finished: it ends a process that serves many tests."""
    _stops.append(stop)


class Guard:
    """Ends the processes that this run of pytest leaves behind."""

    def __init__(self):
        self._run = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._process = None

    def start(self):
        """Start the guard; the processes that begin from now on belong to this run."""
        if not _PROC.joinpath("self", "environ").exists():
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self._run, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that Ctrl-C does not reach it
        )
        os.environ[VARIABLE] = self._run

    def stop(self):
        """End what is left and the guard itself; return the command lines of what was left."""
        while _stops:
            _stops.pop()()
        if self._process is None:
            return []
        left = [_command_line(pid) for pid in processes_of(self._run)]
        _end(self._run)
        self._process.stdin.close()
        self._process.wait()
        self._process = None
        return left


def processes_of(run):
    """Return the numbers of the processes that belong to a run."""
    wanted = f"{VARIABLE}={run}".encode()
    found = []
    for path in _PROC.glob("[0-9]*"):
        try:
            variables = (path / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or belongs to another user
            continue
        if wanted in variables and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def _command_line(pid):
    """Return the command line of a process."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return f"process {pid}"
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def _end(run):
    """Kill the processes of a run, and those that they start meanwhile."""
    while left := processes_of(run):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        select.select([], [], [], 0.01)  # a killed process takes a moment to disappear


def _main(run, pytest_pid):
    """Wait for the end of pytest, then end its processes."""
    while os.getppid() == pytest_pid:
        readable, _, _ = select.select([0], [], [], INTERVAL)
        if readable:
            break
    select.select([], [], [], GRACE if processes_of(run) else 0)
    _end(run)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
