"""The command line: ``aldis …``, and ``flask signals …`` wherever aldis is installed.

It needs click. What else it needs is imported by the command that needs it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from aldis.cli.group import aldis, signals

__all__ = ["aldis", "main", "signals"]

INTERRUPTED = 130


def __getattr__(name: str) -> Any:
    # Not imported above: `main` has an answer for those who have no click.
    if name in ("aldis", "signals"):
        from aldis.cli import group  # noqa: PLC0415 - see above

        return getattr(group, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def main() -> NoReturn:
    """Run the command line on ``sys.argv``, and exit with its code."""
    try:
        import click  # noqa: PLC0415 - may be missing

        from aldis.cli.group import aldis  # noqa: PLC0415 - the same
    except ModuleNotFoundError as missing:
        if missing.name != "click":
            raise
        print(
            "aldis: the command line needs click, which is not installed: pip install 'aldis[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        sys.exit(aldis.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):  # click has begun a new line, after the ^C
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
