"""``signals trace``: one request, and the tree of what it sent."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from aldis.cli.blame import blame
from aldis.cli.loading import AppError, load
from aldis.cli.options import signals_command
from aldis.cli.output import app_prints_aside, print_json, quiet_reader

if TYPE_CHECKING:
    from aldis.cli.requesting import Answer, Request

__all__ = ["trace"]


@signals_command("trace", "One request, and the tree of its signals.")
@click.argument("request", nargs=-1, metavar="[METHOD] PATH")
@click.option("--data", "-d", default="", help="The body. Without a Content-Type, it is a form.")
@click.option(
    "--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="As often as needed."
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
    """Send one request through the app and show the tree of signals that it sent.

    The request stays in this process: no server, no network. What it does to a database is real.
    Without a METHOD it is a GET. The exit code is 0 whatever the app answers.

    \b
      aldis signals trace --app shop:app /
      aldis signals trace --app shop:app -d product=1 -- POST /cart
    """
    # It needs asyncio, which no other command of Flask's command line should have to wait for.
    from aldis.cli.requesting import LifespanError, Request, send  # noqa: PLC0415

    method, path = _words(request)
    asked = Request(method, path, [_header(each) for each in headers], data.encode())
    app = load(ctx, traceback=traceback)
    try:
        with app_prints_aside():
            answer = send(app, asked)
    except LifespanError as error:
        raise AppError(f"the app could not start: {error}") from error
    except SystemExit as error:  # in a task of the app's own, of which nobody waits for the end
        raise AppError(f"the app did not answer.\n\n{blame(error)}") from error
    if answer.shutdown_error is not None:
        what = blame(answer.shutdown_error)
        click.echo(f"The app answered, but failed to shut down.\n\n{what}", err=True)
    if as_json:
        print_json("aldis-signals-trace/1", _json(asked, answer))
        return
    with quiet_reader():
        answer.seen.print(title=f"{asked} -> {_outcome(answer)}, {_milliseconds(answer)} ms")
        if not answer.seen.roots:
            print("Nothing was sent.")


def _words(words: tuple[str, ...]) -> tuple[str, str]:
    if len(words) not in (1, 2):
        raise click.UsageError("say one request, as in: trace -- GET /")
    method, path = ("GET", *words) if len(words) == 1 else words
    if not method.isalpha():
        raise click.UsageError(f"{method!r} is no method, as GET or POST is")
    if not path.startswith("/"):
        meant = f"/{path.partition('://')[2].partition('/')[2] or path}"
        raise click.UsageError(f"a path begins with a slash: {meant!r} instead of {path!r}?")
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
            f"{text[error.start]!r} cannot be in a header, which is Latin-1", param_hint="--header"
        ) from None
    return name.strip(), value.strip()


def _outcome(answer: Answer) -> str:
    if answer.error is not None:
        kind = type(answer.error).__name__
        return f"raised {kind}: {answer.error} (a server answers 500)"
    if answer.status is None:
        return "no answer"
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def _milliseconds(answer: Answer) -> str:
    return f"{answer.nanoseconds / 1e6:.3g}"


def _json(asked: Request, answer: Answer) -> dict[str, Any]:
    return {
        "request": {"method": asked.method, "path": asked.path},
        "status": answer.status,
        "error": None if answer.error is None else f"{type(answer.error).__name__}: {answer.error}",
        "nanoseconds": answer.nanoseconds,
        "emissions": [asdict(root) for root in answer.seen.roots],
    }
