"""Runs this command in a separate process, and starts it again when a file changes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from os.path import relpath
from typing import Any, Final

from aldis._optional import needs
from aldis.cli._output import printable

__all__ = ["run_and_reload"]

#: The ends of the names of watched files, besides those of Python files.
WATCHED: Final = (".env", ".flaskenv", ".toml", ".cfg", ".ini", ".yaml", ".yml")

#: Milliseconds between two looks at a process that may have ended.
LOOK_EVERY: Final = 200

STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


def run_and_reload(patience: float) -> int:
    """Run the command without ``--reload``, and again after each change below this folder.

    Args:
        patience: How many seconds the process may take to end after a signal.

    Returns:
        The exit code of the last process.

    Raises:
        MissingExtraError: watchfiles is not installed.
    """
    with needs("aldis worker --reload", "reload", watchfiles="watchfiles"):
        import watchfiles  # noqa: PLC0415 - it is optional
    from aldis.durable._event import SafeEvent  # noqa: PLC0415 - the extra durable is optional

    stop = SafeEvent()
    before = {each: signal.signal(each, lambda *_: stop.set()) for each in STOPPING}
    process = _Process(patience)
    try:
        changes = watchfiles.watch(
            ".",
            watch_filter=watchfiles.PythonFilter(extra_extensions=WATCHED),
            stop_event=stop,
            raise_interrupt=False,
            yield_on_timeout=True,
            rust_timeout=LOOK_EVERY,
        )
        for changed in changes:
            if changed:
                _print(f"{_named(changed)} changed; the worker starts again")
                process.end()
                process.start()
            elif process.has_ended():
                _print("the worker has ended; it starts again when a file changes")
        return process.end()
    finally:
        process.end()
        for each, handler in before.items():
            signal.signal(each, handler)


class _Process:
    """The worker's process."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._command = [
            sys.executable,
            *(each for each in sys.orig_argv[1:] if each != "--reload"),
        ]
        self._running: subprocess.Popen[bytes] | None = None
        self._code = 0
        self.start()

    def start(self) -> None:
        """Start it."""
        self._running = subprocess.Popen(self._command)  # noqa: S603 - the command of this process

    def has_ended(self) -> bool:
        """Return whether it has ended since the last call."""
        if self._running is None or self._running.poll() is None:
            return False
        self._code, self._running = self._running.returncode, None
        return True

    def end(self) -> int:
        """End it if it runs; return the exit code of the last process."""
        running, self._running = self._running, None
        if running is not None:
            with suppress(ProcessLookupError):
                running.terminate()
            try:
                self._code = running.wait(self._patience)
            except subprocess.TimeoutExpired:
                running.kill()
                self._code = running.wait()
        return self._code


def _named(changed: Iterable[tuple[Any, str]]) -> str:
    names = sorted({printable(relpath(path)) for _, path in changed})
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _print(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
