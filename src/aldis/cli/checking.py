"""``signals check``: what is wrong, for CI."""

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
from aldis.cli.options import signals_command
from aldis.cli.output import Page, print_json, short_place, shortened
from aldis.cli.showing import INDENT, count
from aldis.core import Namespace, set_strict
from aldis.core.namespace import Finding
from aldis.errors import AldisWarning, StrictWarning

__all__ = ["check"]


class Found(NamedTuple):
    """Something that is wrong or, as a remark, may be.

    What strict mode warned of belongs to no namespace here, but to a place in the source.
    """

    namespace: str | None
    signal: str | None
    problem: str
    remark: bool = False
    closest: str | None = None


@signals_command("check", "What is wrong; exit with 1 if something is.")
@click.pass_context
def check(ctx: click.Context, *, as_json: bool, traceback: bool) -> None:
    """Find what will go wrong with signals; exit with 1 if there is something.

    \b
    Found are:
      - receivers of a name that nobody declares, close to a declared one;
      - receivers that do not fit their signal's contract;
      - receivers that were connected weakly and died before any call;
      - with aldis.ckan, receivers of a name that CKAN has not, and signals of
        extensions whose names begin with no plugin's name;
      - what strict mode, which is on, warns of while the app is imported.

    A name that only an optional sender may know is a remark, which fails nothing.

    \b
      aldis signals check --app shop:app
    """
    set_strict()  # before the app: only so is it known where a receiver that died came from
    with _warnings_noted() as found:
        load(ctx, traceback=traceback)
        gc.collect()
    everything = labelled()
    for label, namespace in everything:
        found += _check(label, namespace)
    wrong = sum(not each.remark for each in found)
    if as_json:
        facts = [each._asdict() for each in found]
        print_json("aldis-signals-check/1", {"ok": not wrong, "findings": facts})
    else:
        signals = sum(len(namespace) for _, namespace in everything)
        scope = f"{count(signals, 'signal')} of {count(len(everything), 'namespace')}"
        _page(found, wrong, scope).print()
    ctx.exit(1 if wrong else 0)


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


def _page(found: list[Found], wrong: int, scope: str) -> Page:
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
