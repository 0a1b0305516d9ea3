"""A proxy on loopback that can cut, stall and refuse the connections to a database."""

import random
import select
import socket
import struct
import time
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

HOST = "127.0.0.1"

#: Seconds between two checks of a thread whether it must end.
LOOK = 0.2

#: The linger option that makes closing a socket reset its connection.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards data between clients and a server.

    Args:
        port: The server's port on loopback.
    """

    def __init__(self, port):
        self._target = port
        self._pairs = set()
        self._dropped = frozenset()
        self._lock = Lock()
        self._end = Event()
        self._open = Event()
        self._open.set()
        self._flow = Event()
        self._flow.set()
        self._threads = []
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self.commits = 0.0
        """The share of COMMITs that are cut, before or after the server gets them."""
        self.cut_commits = 0
        """The number of COMMITs that were cut."""
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end.set()
        self._flow.set()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def _start(self, target, *args):
        thread = Thread(target=target, args=args, name="proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    # -- faults ----------------------------------------------------------------------------------

    def cut(self):
        """Reset all connections. Return how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _reset(pair)
        return len(pairs)

    @contextmanager
    def refusing(self):
        """Behave like a stopped server: reset all connections and refuse new ones."""
        self._open.clear()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        try:
            yield
        finally:
            self._listening = socket.create_server((HOST, self.port))
            self._open.set()

    @contextmanager
    def stalling(self):
        """Forward nothing, as if the network were gone, and then everything at once."""
        self._flow.clear()
        try:
            yield
        finally:
            self._flow.set()

    def drop(self):
        """Forward nothing more on the present connections, and do not close them."""
        with self._lock:
            self._dropped = frozenset(self._pairs)

    def is_dropped(self, pair):
        """Tell whether nothing is forwarded on a connection."""
        return pair in self._dropped

    # -- forwarding ------------------------------------------------------------------------------

    def _accept(self):
        while not self._end.is_set():
            if not self._open.wait(LOOK):
                continue
            with suppress(OSError, ValueError):  # it was closed in the meantime
                listening = self._listening
                if not select.select([listening], [], [], LOOK)[0]:
                    continue
                client, _ = listening.accept()
                self._connect(client)

    def _connect(self, client):
        try:
            server = socket.create_connection((HOST, self._target), timeout=5)
        except OSError:
            _reset([client])
            return
        pair = (client, server)
        for each in pair:
            each.settimeout(None)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.add(pair)
        self._start(self._pump, client, server, pair, True)
        self._start(self._pump, server, client, pair, False)

    def _pump(self, source, sink, pair, from_client):
        try:
            while pair in self._pairs and not self._end.is_set():
                if not select.select([source], [], [], LOOK)[0]:
                    continue
                data = source.recv(65536)
                self._flow.wait()
                if not data:
                    break
                if self.is_dropped(pair):
                    continue
                if from_client and self.commits and b"COMMIT" in data:
                    if self._cut_at(data, sink):
                        break
                    continue
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        with self._lock:
            self._pairs.discard(pair)
        _reset(pair)

    def _cut_at(self, data, server):
        """Forward a COMMIT, or cut the connection before or after the server gets it."""
        if random.random() >= self.commits:
            server.sendall(data)
            return False
        self.cut_commits += 1
        if random.random() < 0.7:
            server.sendall(data)
            time.sleep(random.choice((0, 0.001, 0.05)))
        return True


def _reset(pair):
    for each in pair:
        with suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            each.shutdown(socket.SHUT_RD)  # threads that wait for it must wake before it is closed
        with suppress(OSError):
            each.close()


def free_port():
    """Return a free port on loopback."""
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]
