"""Where in the user's own code an error comes from."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from aldis.cli.output import short_place

__all__ = ["blame", "show_traceback"]

_ALDIS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def blame(error: BaseException) -> str:
    """Say what was raised, and the user's line that it came from."""
    lines = [f"  {_in_words(error)}"]
    place: str | None
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
        source = (error.text or "").strip()
    else:
        place, source = _line_of(error)
    if place:
        lines.append(f"  {short_place(place)}" + (f": {source}" if source else ""))
    return "\n".join(lines)


def show_traceback(error: BaseException) -> None:
    """Write the traceback, without the frames of aldis and the import system at its top."""
    tb = error.__traceback__
    while tb is not None and _is_ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    traceback.print_exception(type(error), error, tb or error.__traceback__, file=sys.stderr)
    print(file=sys.stderr)


def _in_words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it ended the process: SystemExit({error.code!r})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException) -> tuple[str | None, str]:
    """Return the innermost line of the user's own code that the error went through."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    libraries = [os.path.join(sysconfig.get_path(name), "") for name in names]  # noqa: PTH118
    steps = [step for step in _steps(error.__traceback__) if not _is_ours(step[0])]
    # An app that is installed like a library is all there is then.
    mine = [step for step in steps if not step[0].startswith(tuple(libraries))] or steps
    if not mine:
        return None, ""
    filename, number = mine[-1]
    return f"{filename}:{number}", linecache.getline(filename, number).strip()


def _steps(tb: TracebackType | None) -> Iterator[tuple[str, int]]:
    while tb is not None:
        yield tb.tb_frame.f_code.co_filename, tb.tb_lineno
        tb = tb.tb_next


def _is_ours(filename: str) -> bool:
    """Tell whether it is aldis's or the import system's."""
    if filename.startswith(("<", os.path.join(_ALDIS, ""))):  # noqa: PTH118
        return True
    return os.path.basename(os.path.dirname(filename)) == "importlib"  # noqa: PTH119, PTH120
