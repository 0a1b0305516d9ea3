"""Faults of connections and of a database server."""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.durable.kill.proxy import HOST, Proxy, free_port


class ConnectionFaults:
    """The faults that a proxy can cause, and how often each has happened."""

    def __init__(self, proxy):
        self._proxy = proxy
        self.counts = Counter()

    @contextmanager
    def at_commits(self, share=0.01):
        """Also cut a share of the connections at their COMMIT while a ``with`` block runs."""
        self._proxy.commits = share
        try:
            yield
        finally:
            self._proxy.commits = 0.0

    def cut(self):
        """Reset all connections."""
        self.counts["connections cut"] += self._proxy.cut()

    def refuse(self):
        """Refuse connections for up to a second."""
        with self.away():
            time.sleep(random.uniform(0.2, 1.0))

    @contextmanager
    def away(self):
        """Refuse connections while a ``with`` block runs."""
        self.counts["times refused"] += 1
        with self._proxy.refusing():
            yield

    def stall(self):
        """Forward nothing for a while, sometimes for longer than a lease."""
        with self._proxy.stalling():
            time.sleep(random.choice((0.3, 0.3, 1.5)))
        self.counts["times stalled"] += 1

    def __str__(self):
        counts = {**self.counts, "COMMITs cut": self._proxy.cut_commits}
        return "connections: " + ", ".join(f"{count} {what}" for what, count in counts.items())


@contextmanager
def faulty_connections(url):
    """Start a proxy in front of a database. Yield its faults, and the URL through the proxy."""
    url = make_url(url)
    with Proxy(url.port) as proxy:
        yield (
            ConnectionFaults(proxy),
            url.set(port=proxy.port).render_as_string(hide_password=False),
        )


class Server:
    """A separate PostgreSQL server that a test can stop."""

    def __init__(self, folder, port):
        self._folder = folder
        self._port = port
        self.url = f"postgresql+psycopg://postgres@{HOST}:{port}/postgres"

    def start(self):
        """Start the server. It recovers the committed data."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses={HOST}"
        log = f"{self._folder}/log"
        _as_postgres("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "start")

    def stop(self):
        """Stop the server at once, as after a power failure."""
        _as_postgres("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    @property
    def data(self):
        """The folder of its files."""
        return f"{self._folder}/data"


def binaries():
    """Return the folder of PostgreSQL's programs, or ``None`` if they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _as_postgres(program, *arguments):
    """Run one of PostgreSQL's programs as another user than root, which they refuse."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    ran = subprocess.run(
        [binaries() / program, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # a server keeps it open
        stderr=subprocess.DEVNULL,
        cwd="/",
        timeout=60,
        **(user if os.getuid() == 0 else {}),
    )
    assert ran.returncode == 0, f"{program} {' '.join(map(str, arguments))}: {ran.returncode}"


@contextmanager
def own_server():
    """Run a :class:`Server`. At the end, stop it and delete its files."""
    folder = tempfile.mkdtemp(prefix="aldis-pg-")
    try:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = Server(folder, free_port())
        _as_postgres("initdb", "-D", server.data, "-A", "trust", "-U", "postgres", "-E", "UTF8")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
