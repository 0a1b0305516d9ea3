"""The shop on a real WSGI server, each request answered on a thread of its own, and traced."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from traceback import extract_tb
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from aldis.errors import MissingExtraError
from aldis.observe import Trace, trace
from examples.shop import database
from examples.shop.app import create_app
from examples.shop.provider import NoLoginError, open_provider

HOSTS = ("127.0.0.1", "localhost")  # as visitors may write it


@dataclass(frozen=True)
class Visit:
    """One request that was answered, and what was sent meanwhile."""

    request: str
    status: str
    seconds: float
    seen: Trace

    def print(self) -> None:
        """Print the request, and below it the tree of what was sent."""
        self.seen.print(f"{self.request} -> {self.status}, {self.seconds * 1000:.1f} ms")


class Traced:
    """A WSGI app around another one: it traces each request and hands over the visit.

    Requests are answered at the same time on several threads, so a trace takes only what is sent in
    its own request.
    """

    def __init__(self, app: WSGIApplication, visited: Callable[[Visit], None]) -> None:
        self.app = app
        self.visited = visited

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, on the server's thread for it."""
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        status = ""

        def note_status(line: str, *rest: Any) -> Callable[[bytes], object]:
            nonlocal status
            status = line
            return start_response(line, *rest)

        started = perf_counter()
        with trace(everywhere=False) as seen:
            body = self.app(environ, note_status)
        self.visited(Visit(request, status, perf_counter() - started, seen))
        return body


@dataclass(frozen=True)
class OpenShop:
    """A shop, and what it has to be told: when to serve."""

    app: Flask
    server: BaseWSGIServer
    no_login: str  # why nobody can log in; empty where everybody can

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://{self.server.host}:{self.server.port}/"


@contextmanager
def open_shop(visited: Callable[[Visit], None], port: int = 0) -> Iterator[OpenShop]:
    """Make a new shop and a server for it on this machine's loopback address.

    Args:
        visited: Called on the server's threads with each visit.
        port: 0 for any that is free.
    """
    with ExitStack() as until_closed:
        folder = until_closed.enter_context(TemporaryDirectory(prefix="shop-"))
        app = create_app(Path(folder, "shop.db"))
        until_closed.callback(database.close, app)
        server = until_closed.enter_context(
            make_server("127.0.0.1", port, Traced(app, visited), threaded=True)
        )
        no_login = ""
        try:
            until_closed.enter_context(login_for(app, server.port))
        except (MissingExtraError, NoLoginError) as reason:
            no_login = str(reason)
        warm_up(app)
        yield OpenShop(app, server, no_login)


def warm_up(app: Flask) -> None:
    """Answer a first request, in which Flask and aldis set things up, before anything is traced."""
    app.test_client().get("/")


@contextmanager
def login_for(app: Flask, port: int) -> Iterator[None]:
    """Let the visitors of ``app`` log in, with a provider that runs as long as the block.

    Raises:
        MissingExtraError: What logins need in Python is not installed.
        NoLoginError: What the provider needs is not there.
    """
    from examples.shop import login  # noqa: PLC0415 - the shop opens without it, too

    callbacks = [f"http://{host}:{port}/login/lighthouse/authorized" for host in HOSTS]
    with open_provider(callbacks) as provider:
        login.add_to(app, provider)
        yield


class OneLine(logging.Formatter):
    """A log record in one line: of a traceback, only the error and where it came from."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line, with the files named from here on."""
        line = f"log: {record.getMessage()}".replace(f"{Path.cwd()}{os.sep}", "")
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return line
        *_, last = extract_tb(error.__traceback__)
        return f"{line}: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def end_when_told() -> None:
    """Let SIGTERM end the program as Ctrl-C does: what was started is ended first."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)


def talk_quietly() -> None:
    """Log errors only, one line each, to where the trees are printed."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Where the encoding has no lines to draw a tree with, there will be question marks.
        sys.stdout.reconfigure(errors="replace")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
