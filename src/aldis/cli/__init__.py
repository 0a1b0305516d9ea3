"""The command line: ``aldis …``, and ``flask signals …``.

It needs click. Each command imports the other libraries that it needs.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from errno import ENOSPC
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aldis._optional import needs
from aldis.errors import MissingExtraError

if TYPE_CHECKING:
    from aldis.cli.group import aldis, signals

__all__ = ["aldis", "main", "signals"]

FAILED: Final = 2
INTERRUPTED: Final = 130


def __getattr__(name: str) -> Any:
    # Not at the top: without click, `main` must print a message.
    if name in ("aldis", "signals"):
        with _needs_click():
            from aldis.cli import group  # noqa: PLC0415 - click may be missing
        return getattr(group, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def main() -> NoReturn:
    """Run the command line on ``sys.argv``, and exit with its code."""
    try:
        with _needs_click():
            import click  # noqa: PLC0415 - click may be missing

            from aldis.cli._output import (  # noqa: PLC0415 - click may be missing
                OutputError,
                redirect_to_devnull,
            )
            from aldis.cli.group import aldis  # noqa: PLC0415 - click may be missing
    except MissingExtraError as missing:
        print(f"aldis: {missing}", file=sys.stderr)
        sys.exit(FAILED)
    try:
        sys.exit(aldis.main(standalone_mode=False))
    except SystemExit:
        raise
    except click.ClickException as error:
        _end(error.exit_code, error.show)
    except (click.Abort, KeyboardInterrupt):  # click has begun a new line after the ^C
        _end(INTERRUPTED, lambda: click.echo("Interrupted.", err=True))
    except OSError as error:
        if error.errno != ENOSPC:
            _end(FAILED, lambda: click.echo(traceback.format_exc(), err=True, nl=False))
        redirect_to_devnull(sys.stdout)  # click itself writes help texts
        _end(FAILED, OutputError(str(error.strerror)).show)
    except BaseException:  # noqa: BLE001 - Python would exit with 1, the code for findings
        _end(FAILED, lambda: click.echo(traceback.format_exc(), err=True, nl=False))


def _needs_click() -> needs:
    return needs("the command line", "cli", click="click")


def _end(code: int, write_message: Callable[[], object]) -> NoReturn:
    """Write a message and exit with ``code``, even if the message cannot be written."""
    from aldis.cli._output import redirect_to_devnull  # noqa: PLC0415 - click may be missing

    try:
        write_message()
    except OSError:
        redirect_to_devnull(sys.stderr)
    sys.exit(code)
