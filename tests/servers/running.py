"""Real servers on loopback, each in a thread of this process, and clients."""

import asyncio
import http.client
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import hypercorn.asyncio
import hypercorn.config
import uvicorn
from werkzeug.serving import make_server
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage

HOST = "127.0.0.1"
SECONDS = 60  # seconds until a step counts as failed


@contextmanager
def _thread(target):
    thread = threading.Thread(target=target, name="server")
    thread.start()
    try:
        yield
    finally:
        thread.join(SECONDS)
        assert not thread.is_alive()


@contextmanager
def werkzeug(app):
    """Run ``app`` on Werkzeug's threaded server, and give its port."""
    server = make_server(HOST, 0, app, threaded=True)
    with _thread(server.serve_forever):
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()


@contextmanager
def on_hypercorn(app):
    """Run ``app`` on Hypercorn, and give its port."""
    listening = socket.create_server((HOST, 0))
    port = listening.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.loglevel = "CRITICAL"
    config.graceful_timeout = 1
    stop = threading.Event()

    async def stopped():
        while not stop.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)

    def serve():
        asyncio.run(hypercorn.asyncio.serve(app, config, shutdown_trigger=stopped))

    with _thread(serve):
        try:
            yield port
        finally:
            stop.set()


@contextmanager
def on_uvicorn(app):
    """Run ``app`` on Uvicorn, and give its port."""
    listening = socket.create_server((HOST, 0))
    config = uvicorn.Config(
        app, log_level="critical", ws="wsproto", timeout_graceful_shutdown=1, lifespan="on"
    )
    server = uvicorn.Server(config)
    with listening, _thread(lambda: server.run(sockets=[listening])):
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True


def get(port, path):
    """Request ``path``; return the status and the body, or the received part of the body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        except http.client.IncompleteRead as part:
            return response.status, part.partial
    finally:
        connection.close()


def get_all(port, paths):
    """Request all of ``paths``, eight at a time; return the answers by path."""
    with ThreadPoolExecutor(8) as pool:
        return dict(zip(paths, pool.map(lambda path: get(port, path), paths), strict=True))


def leave(port, path):
    """Request ``path``, wait for the first bytes of the answer, and disconnect."""
    with socket.create_connection((HOST, port), timeout=SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert connection.recv(100)
        # Reset it: the server notices at once, not when its buffers are full.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def talk(port, path, *messages):
    """Open a websocket, send each message and wait for its answer, then for the end.

    The answers are returned; ``None`` stands for a websocket that was closed instead.
    """
    protocol = WSConnection(ConnectionType.CLIENT)
    answers = []
    with socket.create_connection((HOST, port), timeout=SECONDS) as connection:

        def next_event():
            while True:
                for event in protocol.events():
                    return event
                protocol.receive_data(connection.recv(65536) or None)

        connection.sendall(protocol.send(Request(host=HOST, target=path)))
        if not isinstance(next_event(), AcceptConnection):
            return [None]
        for message in messages:
            connection.sendall(protocol.send(TextMessage(message)))
            event = next_event()
            if isinstance(event, (CloseConnection, RejectConnection)):
                return [*answers, None]
            answers.append(event.data)
        while not isinstance(event := next_event(), CloseConnection):
            pass
        connection.sendall(protocol.send(event.response()))
    return answers


def wait_until(condition):
    """Wait until the condition is true; a server may work after its answer."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
