"""What is wrong with signals, collected and shown: what the commands that check have in common."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click

from aldis.cli.loading import load
from aldis.cli.naming import labelled
from aldis.cli.output import Page, short_place, shortened
from aldis.cli.showing import INDENT, count
from aldis.core import Namespace, set_strict
from aldis.core.namespace import Finding
from aldis.errors import AldisWarning, StrictWarning

__all__ = ["Found", "check_signals", "findings_page", "signals_in_words"]


class Found(NamedTuple):
    """Something that is wrong or, as a remark, may be.

    What strict mode warned of belongs to no namespace here, but to a place in the source.
    """

    namespace: str | None
    signal: str | None
    problem: str
    remark: bool = False
    closest: str | None = None


def check_signals(ctx: click.Context, *, traceback: bool) -> tuple[Any, list[Found]]:
    """Load the app in strict mode, and return it and what is wrong with its signals.

    Args:
        ctx: Where ``--app`` has left its value.
        traceback: Whether to write the traceback of an import that failed.

    Raises:
        AppError: There is no app, or it cannot be imported.
    """
    set_strict()  # before the app: only so is it known where a receiver that died came from
    with _warnings_noted() as found:
        app = load(ctx, traceback=traceback)
        gc.collect()
    for label, namespace in labelled():
        found += _check(label, namespace)
    return app, found


def signals_in_words() -> str:
    """Return how many signals were looked at."""
    everything = labelled()
    signals = sum(len(namespace) for _, namespace in everything)
    return f"{count(signals, 'signal')} of {count(len(everything), 'namespace')}"


def _check(label: str, namespace: Namespace) -> list[Found]:
    return [
        Found(label, each.signal, each.problem, each.remark, each.closest)
        for each in _findings(namespace)
    ]


def _findings(namespace: Namespace) -> list[Finding]:
    """Return what is wrong in ``namespace``, and with whose receivers where there are plugins.

    Where the app uses CKAN's signals, it is what ``aldis.ckan.check()`` says of them.
    """
    if "aldis.ckan" in sys.modules:  # it needs Flask-Login, which need not be installed
        from aldis.ckan.check import check_namespace  # noqa: PLC0415 - see above

        return check_namespace(namespace)
    if "aldis.plugins" not in sys.modules:  # the same with pluggy
        return namespace.check()
    from aldis.plugins import check_names  # noqa: PLC0415 - see above

    return check_names(namespace)


@contextmanager
def _warnings_noted() -> Iterator[list[Found]]:
    """Note strict mode's warnings while a ``with`` block runs, and show the others as ever."""
    found: list[Found] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            *more: Any,
            **options: Any,
        ) -> None:
            if not issubclass(category, AldisWarning):
                show(message, category, filename, lineno, *more, **options)
            elif issubclass(category, StrictWarning):
                # Else it is about a contract, which every check looks at again.
                place = short_place(f"{filename}:{lineno}")
                found.append(Found(None, None, f"{place}: {message}"))

        warnings.showwarning = note
        warnings.simplefilter("always", AldisWarning)
        yield found


def findings_page(found: list[Found], scope: str) -> Page:
    """Return what was found as lines for people.

    Args:
        found: What was found, by namespace.
        scope: Where, in words.
    """
    wrong = sum(not each.remark for each in found)
    page = Page()
    label: str | None = ""
    for each in found:
        if each.namespace != label:
            label = each.namespace
            page.line((label or "while the app was imported", "bold underline"))
        style = "yellow" if each.remark else "bold red"
        kind = "remark: " if each.remark else "wrong: "
        page.line((kind, style), shortened(each.problem), indent=INDENT)
    if found:
        page.line()
    remarks = len(found) - wrong
    told = f", {count(remarks, 'remark')}" if remarks else ""
    if wrong:
        page.line((f"{count(wrong, 'finding')}{told}", "bold red"), f" in {scope}.")
    else:
        page.line(("Nothing is wrong", "bold green"), f"{told} in {scope}.")
    return page
