"""The command line: ``aldis …``, and ``flask signals …`` wherever aldis is installed.

It needs click. What else it needs is imported by the command that needs it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from errno import ENOSPC
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aldis.errors import MissingExtraError

if TYPE_CHECKING:
    from aldis.cli.group import aldis, signals

__all__ = ["aldis", "main", "signals"]

FAILED = 2
INTERRUPTED = 130

_NO_CLICK: Final = "the command line needs click, which is not installed: pip install 'aldis[cli]'"


def __getattr__(name: str) -> Any:
    # Not imported above: `main` has an answer for those who have no click.
    if name in ("aldis", "signals"):
        try:
            from aldis.cli import group  # noqa: PLC0415 - see above
        except ModuleNotFoundError as missing:
            if missing.name != "click":
                raise
            raise MissingExtraError(_NO_CLICK, name="click") from missing
        return getattr(group, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def main() -> NoReturn:
    """Run the command line on ``sys.argv``, and exit with its code."""
    try:
        import click  # noqa: PLC0415 - may be missing

        from aldis.cli.group import aldis  # noqa: PLC0415 - the same
        from aldis.cli.output import OutputError, give_up  # noqa: PLC0415 - the same
    except ModuleNotFoundError as missing:
        if missing.name != "click":
            raise
        print(f"aldis: {_NO_CLICK}", file=sys.stderr)
        sys.exit(FAILED)
    try:
        sys.exit(aldis.main(standalone_mode=False))
    except SystemExit:
        raise
    except click.ClickException as error:
        _end(error.exit_code, error.show)
    except (click.Abort, KeyboardInterrupt):  # click has begun a new line, after the ^C
        _end(INTERRUPTED, lambda: click.echo("Interrupted.", err=True))
    except OSError as error:
        if error.errno != ENOSPC:
            _end(FAILED, lambda: click.echo(traceback.format_exc(), err=True, nl=False))
        give_up(sys.stdout)  # it was a help text, which click writes itself
        _end(FAILED, OutputError(str(error.strerror)).show)
    except BaseException:  # noqa: BLE001 - Python would end with 1, as if something was found
        _end(FAILED, lambda: click.echo(traceback.format_exc(), err=True, nl=False))


def _end(code: int, tell: Callable[[], object]) -> NoReturn:
    """Exit with ``code``, even if nobody can be told why."""
    from aldis.cli.output import give_up  # noqa: PLC0415 - it needs click

    try:
        tell()
    except OSError:
        give_up(sys.stderr)
    sys.exit(code)
