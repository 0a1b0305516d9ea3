"""``aldis signals trace``: send one request to the app and show the tree of its signals."""

from __future__ import annotations

import sys
from dataclasses import asdict
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli._app import AppError, describe_error, load_app
from aldis.cli._options import signals_command
from aldis.cli._output import app_prints_to_stderr, write_json, writing
from aldis.cli._signals import sender_text

if TYPE_CHECKING:
    from aldis.cli._request import Request, Result
    from aldis.observe import EmissionNode

__all__ = ["trace"]

#: A method alone, which is a request without a path.
METHODS: Final = [[each.value] for each in HTTPMethod]


@signals_command("trace", "Send one request to the app and show its signals.")
@click.argument("request", nargs=-1, metavar="[METHOD] PATH")
@click.option("--data", "-d", default="", help="The body; a form by default.")
@click.option(
    "--header",
    "-H",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A header. You can repeat the option.",
)
@click.pass_context
def trace(
    ctx: click.Context,
    *,
    request: tuple[str, ...],
    data: str,
    headers: tuple[str, ...],
    as_json: bool,
    traceback: bool,
) -> None:
    """Send one request to the app and show the tree of signals that the app sent.

    The request needs no server and no network. Its changes to a database are real. Without a METHOD
    it is a GET. The exit code is 0 whatever the response is.

    \b
      aldis signals trace --app shop:app /
      aldis signals trace --app shop:app -d product=1 -- POST /cart
    """
    from aldis.cli._request import (  # noqa: PLC0415 - asyncio would cost Flask's commands 30 ms
        LifespanError,
        Request,
        send_request,
    )

    method, path = _method_and_path(request)
    sent = Request(method, path, [_header(each) for each in headers], data.encode())
    app = load_app(ctx, traceback=traceback)
    try:
        with app_prints_to_stderr():
            result = send_request(app, sent)
    except LifespanError as error:
        raise AppError(f"the app could not start: {error}") from error
    except SystemExit as error:  # a task that the app started ended the process
        raise AppError(f"the app did not answer.\n\n{describe_error(error)}") from error
    if result.shutdown_error is not None:
        what = describe_error(result.shutdown_error)
        click.echo(f"The app answered, but failed to shut down.\n\n{what}", err=True)
    roots = result.trace.roots
    _name_senders(roots)
    if as_json:
        write_json("aldis-signals-trace/1", _json(sent, result, roots))
        return
    with writing():
        title = f"{sent} -> {_outcome(result)}, {_milliseconds(result)} ms"
        result.trace.write(roots, title, sys.stdout)
        if not roots:
            print("No signal was sent.")


def _name_senders(roots: list[EmissionNode]) -> None:
    """Put the names of senders into the trees, where these have addresses."""
    pending = [*roots]
    while pending:
        node = pending.pop()
        node.sender = sender_text(node.sender)
        pending += [each for call in node.calls for each in call.emissions]


def _method_and_path(words: tuple[str, ...]) -> tuple[str, str]:
    if len(words) not in (1, 2) or [each.upper() for each in words] in METHODS:
        raise click.UsageError("the request is not [METHOD] PATH: write it as in trace -- GET /")
    method, path = ("GET", *words) if len(words) == 1 else words
    if not method.isalpha():
        raise click.UsageError(f"{method!r} is not a method: write GET or POST")
    if not path.startswith("/"):
        _, is_url, rest = path.partition("://")
        meant = f"/{rest.partition('/')[2] if is_url else path}"
        raise click.UsageError(
            f"the path {path!r} does not begin with a slash: write {meant!r}. To look at a signal "
            "or a receiver, use `explain`"
        )
    return method.upper(), path


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(
            f"{text!r} is not of the form 'NAME: VALUE'", param_hint="--header"
        )
    try:
        text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise click.BadParameter(
            f"{text[error.start]!r} is not in Latin-1, the encoding of headers",
            param_hint="--header",
        ) from None
    return name.strip(), value.strip()


def _outcome(result: Result) -> str:
    if result.error is not None:
        kind = type(result.error).__name__
        return f"raised {kind}: {result.error} (a server answers 500)"
    if result.status is None:
        return "no answer"
    try:
        return f"{result.status} {HTTPStatus(result.status).phrase}"
    except ValueError:
        return str(result.status)


def _milliseconds(result: Result) -> str:
    return f"{result.nanoseconds / 1e6:.3g}"


def _json(sent: Request, result: Result, roots: list[EmissionNode]) -> dict[str, Any]:
    return {
        "request": {"method": sent.method, "path": sent.path},
        "status": result.status,
        "error": None if result.error is None else f"{type(result.error).__name__}: {result.error}",
        "nanoseconds": result.nanoseconds,
        "emissions": [asdict(root) for root in roots],
    }
