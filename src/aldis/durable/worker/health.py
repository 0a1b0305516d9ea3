"""Reports that a worker is alive: to a file whose time others check, and to systemd."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from time import monotonic

from aldis.durable._log import get_logger

__all__ = ["HealthReport"]

_log = get_logger()

#: The shortest time, in seconds, between two reports.
REPORT_EVERY = 1.0


class HealthReport:
    """Tells the outside world that a worker is alive, as long as it is.

    Args:
        file: The file to touch, or ``None``. It is deleted at the end.
        sd_notify: Whether to notify systemd, if the variable ``NOTIFY_SOCKET`` names its socket.
    """

    def __init__(self, file: Path | None, *, sd_notify: bool) -> None:
        self._file = file
        self._address = os.environ.get("NOTIFY_SOCKET", "") if sd_notify else ""
        self._is_ready = False
        self._reported_at = float("-inf")

    def report(self) -> None:
        """Report that the worker is alive now."""
        if monotonic() - self._reported_at < REPORT_EVERY:
            return
        self._reported_at = monotonic()
        if self._file is not None:
            try:
                self._file.touch()
            except OSError as error:
                _log.warning("the health file %s cannot be touched: %s", self._file, error)
        self._notify("WATCHDOG=1" if self._is_ready else "READY=1\nWATCHDOG=1")
        self._is_ready = True

    def close(self) -> None:
        """Report that the worker stops."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
        self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto(state.encode(), address)
