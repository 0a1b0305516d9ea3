"""``aldis web``: serve the dashboard to the browser of the user who started it."""

from __future__ import annotations

import errno
import getpass
import secrets
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from aldis.cli._app import load_app
from aldis.cli._database import (
    DATABASE_OPTIONS,
    DatabaseError,
    app_context,
    database_errors,
    find_database,
    outbox_of,
    refuse_memory,
    refuse_missing_file,
)
from aldis.cli._options import WholeNumber, command_with
from aldis.cli._output import writing
from aldis.errors import MissingExtraError

if TYPE_CHECKING:
    from aldis.durable import Outbox
    from aldis.web import Access, Dashboard, Grant, Request

__all__ = ["serve_dashboard"]

#: The dashboard is never served to other machines: mount it into the app for that.
HOST: Final = "127.0.0.1"

PORT: Final = 5800


class ServerError(click.ClickException):
    """The dashboard cannot be served."""

    exit_code = 2


@command_with("web", "Show signals and deliveries in a browser.", *DATABASE_OPTIONS)
@click.option("--port", type=WholeNumber(0, 65_535), default=PORT, show_default=True)
@click.option("--read-only", is_flag=True, help="Show no buttons that change deliveries.")
@click.pass_context
def serve_dashboard(ctx: click.Context, /, *, port: int, read_only: bool, **named: Any) -> None:
    """Serve the dashboard on this machine only, until Ctrl-C.

    The address that it prints has a secret, so other users of this machine cannot open it. Port 0
    chooses a free port. Without an outbox, the dashboard shows signals only.

    \b
      aldis web --app shop:app
      aldis web --url postgresql+psycopg://ops@db/shop --read-only
    """
    dashboard = _dashboard(_outbox(ctx, named), "read" if read_only else "operate")
    root = f"/{secrets.token_urlsafe(16)}"
    try:
        server = make_server(HOST, port, _below(root, dashboard), _Server, _QuietHandler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            message = f"port {port} of {HOST} cannot be opened: {error.strerror}"
            raise ServerError(message) from error
        raise ServerError(
            f"port {port} is in use by another program: choose another, as in --port {port + 1}, "
            "or --port 0 for a free one"
        ) from error
    with server:
        with writing():
            print(f"http://{HOST}:{server.server_port}{root}/", flush=True)
            print("Open this address in your browser. Ctrl-C ends it.", flush=True)
        server.serve_forever()


def _outbox(ctx: click.Context, named: dict[str, Any]) -> Outbox | None:
    """Return an outbox on the database that the command line names, or ``None`` without one."""
    if named["url"] is None and named["outbox"] is None:
        app = load_app(ctx, traceback=named["traceback"])
        try:
            with app_context(app):
                outbox_of(app)
        except DatabaseError:
            return None
    with database_errors():
        target = find_database(ctx, **named)
        refuse_memory(target, "is visible in the app's process only")
        refuse_missing_file(target)
        target.check_tables()
    from aldis.durable import Outbox  # noqa: PLC0415 - SQLAlchemy may be missing

    return Outbox(engine=target.engine, prefix=target.prefix, schema=target.schema)


def _dashboard(outbox: Outbox | None, access: Access) -> Dashboard:
    try:
        from aldis.web import Dashboard, Grant  # noqa: PLC0415 - Jinja2 may be missing
    except MissingExtraError as missing:
        raise ServerError(str(missing)) from missing
    user = _user()

    def local(request: Request) -> Grant | None:
        return Grant(access, user) if request.is_local else None

    return Dashboard(outbox, access=local, show_payload=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user id has no name
        return "local user"


def _below(root: str, dashboard: Dashboard) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI app that serves the dashboard below a secret path."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start, _, path = environ["PATH_INFO"].removeprefix("/").partition("/")
        if not secrets.compare_digest(start.encode("latin-1"), root[1:].encode()):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Not Found\n"]
        environ |= {"SCRIPT_NAME": root, "PATH_INFO": f"/{path}"}
        return dashboard.wsgi(environ, start_response)

    return app


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request on a thread of its own."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def address_string(self) -> str:
        """Return the client's address without a search for its name."""
        return str(self.client_address[0])
