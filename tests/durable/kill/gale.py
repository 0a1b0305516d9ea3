"""What happens to the connections between processes and their database."""

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


class Gale:
    """The mishaps that a proxy has in store, and how often each has happened."""

    def __init__(self, proxy):
        self._proxy = proxy
        self.counts = Counter()

    @contextmanager
    def at_commits(self, share=0.01):
        """Cut connections at their COMMIT, too, while a ``with`` block runs."""
        self._proxy.commits = share
        try:
            yield
        finally:
            self._proxy.commits = 0.0

    def cut(self):
        """Reset all connections."""
        self.counts["connections cut"] += self._proxy.cut()

    def refuse(self):
        """Be away for a second."""
        with self.away():
            time.sleep(random.uniform(0.2, 1.0))

    @contextmanager
    def away(self):
        """Be away while a ``with`` block runs."""
        self.counts["times refused"] += 1
        with self._proxy.refusing():
            yield

    def stall(self):
        """Hand on nothing for longer than a lease is good for, now and then."""
        with self._proxy.stalling():
            time.sleep(random.choice((0.3, 0.3, 1.5)))
        self.counts["times stalled"] += 1

    def __str__(self):
        counts = {**self.counts, "COMMITs cut": self._proxy.cut_commits}
        return "connections: " + ", ".join(f"{count} {what}" for what, count in counts.items())


@contextmanager
def gale_before(url):
    """Give a :class:`Gale`, and the address of the database at ``url`` behind it."""
    url = make_url(url)
    with Proxy(url.port) as proxy:
        yield Gale(proxy), url.set(port=proxy.port).render_as_string(hide_password=False)


class Server:
    """A PostgreSQL server of one's own, which can be stopped."""

    def __init__(self, folder, port):
        self._folder = folder
        self._port = port
        self.url = f"postgresql+psycopg://postgres@{HOST}:{port}/postgres"

    def start(self):
        """Start, and recover what there is."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses={HOST}"
        log = f"{self._folder}/log"
        _as_postgres("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "start")

    def stop(self):
        """Stop as if the power had gone."""
        _as_postgres("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    @property
    def data(self):
        """Where its files are."""
        return f"{self._folder}/data"


def binaries():
    """Return where PostgreSQL's server is installed; ``None`` if it is not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _as_postgres(program, *arguments):
    """Run one of PostgreSQL's programs, which refuse to be run by root."""
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
    """Give a :class:`Server` that runs; in the end it is stopped, and its files are deleted."""
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
