"""The shop on a real WSGI server, which answers each request on its own thread."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import extract_tb

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from aldis.errors import MissingExtraError
from aldis.observe import TraceOption
from examples.shop import database
from examples.shop.app import create_app
from examples.shop.provider import NoLoginError, open_provider

HOSTS = ("127.0.0.1", "localhost")  # a visitor may type either of them


@dataclass(frozen=True)
class OpenShop:
    """A shop whose server is ready to serve."""

    app: Flask
    server: BaseWSGIServer
    no_login: str  # why visitors cannot log in; empty if they can

    @property
    def address(self) -> str:
        """The URL of the shop."""
        return f"http://{self.server.host}:{self.server.port}/"


@contextmanager
def open_shop(trace: TraceOption, port: int = 0) -> Iterator[OpenShop]:
    """Create a new shop and its server on the loopback address.

    Args:
        trace: Which requests to print; see :class:`aldis.flask.Aldis`.
        port: The port; 0 chooses a free one.
    """
    with ExitStack() as until_closed:
        folder = until_closed.enter_context(TemporaryDirectory(prefix="shop-"))
        app = create_app(Path(folder, "shop.db"), trace)
        until_closed.callback(database.close, app)
        server = until_closed.enter_context(make_server("127.0.0.1", port, app, threaded=True))
        no_login = ""
        try:
            until_closed.enter_context(login_for(app, server.port))
        except (MissingExtraError, NoLoginError) as reason:
            no_login = str(reason)
        warm_up(app)
        yield OpenShop(app, server, no_login)


def warm_up(app: Flask) -> None:
    """Answer one request, in which Flask and aldis initialise themselves."""
    app.test_client().get("/static/warm-up")  # requests for static files are not traced


@contextmanager
def login_for(app: Flask, port: int) -> Iterator[None]:
    """Let the visitors of ``app`` log in; the provider runs while the block runs.

    Raises:
        MissingExtraError: The extra ``oauth`` is not installed.
        NoLoginError: The provider cannot run on this machine.
    """
    from examples.shop import login  # noqa: PLC0415 - the shop also opens without it

    callbacks = [f"http://{host}:{port}/login/lighthouse/authorized" for host in HOSTS]
    with open_provider(callbacks) as provider:
        login.add_to(app, provider)
        yield


class OneLine(logging.Formatter):
    """A log formatter that writes one line: of a traceback, only the error and its place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with paths relative to the current folder."""
        line = f"log: {record.getMessage()}".replace(f"{Path.cwd()}{os.sep}", "")
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return line
        *_, last = extract_tb(error.__traceback__)
        return f"{line}: {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def end_when_told() -> None:
    """Handle SIGTERM like Ctrl-C, so that the program ends its child processes first."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)


def talk_quietly() -> None:
    """Log only errors, one line each, to the standard output."""
    if isinstance(sys.stdout, TextIOWrapper):
        # An encoding without line-drawing characters gets question marks.
        sys.stdout.reconfigure(errors="replace")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
