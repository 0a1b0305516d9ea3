"""Real servers on loopback, and a client that speaks HTTP."""

import asyncio
import contextlib
from http.client import HTTPConnection
from threading import Thread
from time import sleep
from urllib.parse import urlencode

import uvicorn
from werkzeug.serving import make_server


@contextlib.contextmanager
def serving_wsgi(app):
    """Serve a WSGI app; yield the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serving_asgi(app, root=""):
    """Serve an ASGI app with uvicorn; yield the port."""
    config = uvicorn.Config(app, port=0, log_level="critical", root_path=root, lifespan="on")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = Thread(target=lambda: asyncio.run(server.serve([socket])))
    thread.start()
    while not server.started and thread.is_alive():
        sleep(0.01)
    try:
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


class Browser:
    """Sends requests to a port and keeps the cookies.

    Args:
        port: The port.
        headers: Headers that a proxy adds to each request.
    """

    def __init__(self, port, headers=None):
        self.port = port
        self.headers = headers or {}
        self.cookies = {}

    def request(self, method, path, form=None, **headers):
        """Return the status, the headers and the text of a response."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {**self.headers, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(form) if form is not None else None, sent)
        response = connection.getresponse()
        text = response.read().decode()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        connection.close()
        return response.status, response.headers, text
