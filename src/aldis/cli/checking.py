"""``signals check``: what is wrong, for CI."""

from __future__ import annotations

import click

from aldis.cli.findings import check_signals, findings_page, signals_in_words
from aldis.cli.options import signals_command
from aldis.cli.output import print_json

__all__ = ["check"]


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
    _, found = check_signals(ctx, traceback=traceback)
    wrong = any(not each.remark for each in found)
    if as_json:
        facts = [each._asdict() for each in found]
        print_json("aldis-signals-check/1", {"ok": not wrong, "findings": facts})
    else:
        findings_page(found, signals_in_words()).print()
    ctx.exit(1 if wrong else 0)
