"""``check``: what is wrong with an app, its signals and its durable deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from aldis.cli.findings import Found, check_signals, findings_page, signals_in_words
from aldis.cli.moments import span
from aldis.cli.options import signals_command
from aldis.cli.outboxes import (
    DatabaseError,
    Place,
    advice_on_log,
    context_of,
    find_outbox,
    place_of,
    refusals,
    refuse_memory,
    refuse_missing_file,
)
from aldis.cli.output import print_json
from aldis.cli.showing import count
from aldis.cli.stores import Desk, receivers_of_the_app
from aldis.errors import SchemaError

if TYPE_CHECKING:
    from aldis.durable.types import ReceiverStats

__all__ = ["check_all"]

#: Under which heading what is found about deliveries stands, in the place of a namespace.
DURABLE: Final = "durable deliveries"

#: For how many seconds something may be due before a remark says that no worker seems to run.
LATE: Final = 60.0


@signals_command("check", "What is wrong with signals and durable deliveries; exit with 1.")
@click.pass_context
def check_all(ctx: click.Context, *, as_json: bool, traceback: bool) -> None:
    """Find what is wrong; exit with 1 if there is something.

    \b
    Found are, besides what `aldis signals check` finds:
      - durable receivers that nobody has connected;
      - durable receivers in an app without an outbox;
      - tables that are missing, too old or too new;
      - deliveries for receivers that the app has not (any more);
      - dead letters.

    Remarks, which fail nothing, are paused receivers, what is due and no worker
    takes, and an SQLite file without a write-ahead log. It looks into the
    database of the app's outbox.

    \b
      aldis check --app shop:app
    """
    app, found = check_signals(ctx, traceback=traceback)
    found += _check_durable(app)
    wrong = any(not each.remark for each in found)
    if as_json:
        print_json("aldis-check/1", {"ok": not wrong, "findings": [_json(each) for each in found]})
    else:
        findings_page(found, signals_in_words()).print()
    ctx.exit(1 if wrong else 0)


def _json(found: Found) -> dict[str, Any]:
    about = "deliveries" if found.namespace == DURABLE else "signals"
    facts = {"about": about, **found._asdict()}
    return {**facts, "namespace": None} if about == "deliveries" else facts


def _wrong(problem: str, closest: str | None = None) -> Found:
    return Found(DURABLE, None, problem, closest=closest)


def _remark(problem: str) -> Found:
    return Found(DURABLE, None, problem, remark=True)


def _check_durable(app: Any) -> Iterator[Found]:
    """Find what is wrong with the durable receivers of ``app``, and with its outbox.

    Raises:
        DatabaseError: The database cannot be looked at.
    """
    yield from _check_receivers()
    try:
        outbox = find_outbox(app)
    except DatabaseError as error:
        if receivers_of_the_app():
            yield _wrong(f"there are durable receivers, but {error.message}")
        return
    with context_of(app):
        place = place_of(outbox, "the app's outbox")
    try:
        refuse_memory(place, "is seen by no other process, so that nothing ever gets to a worker")
        refuse_missing_file(place)
    except DatabaseError as error:
        yield _wrong(error.message)
        return
    problem = _problem_of_tables(place)
    if problem is not None:
        yield _wrong(problem)
        return
    if advice := advice_on_log(place):
        yield _remark(advice)
    with refusals():
        desk = Desk(place)
    try:
        yield from _check_loads(desk)
    finally:
        desk.close()


def _check_receivers() -> Iterator[Found]:
    if not receivers_of_the_app():
        return
    from aldis.core.receiver import describe  # noqa: PLC0415 - not for those without
    from aldis.durable.receiver import all_receivers  # noqa: PLC0415 - the same

    for receiver in all_receivers():
        if not receiver.signals:
            yield _wrong(
                f"durable receiver {receiver.name!r} ({describe(receiver)}) is not connected to "
                "any signal: nothing is recorded for it"
            )


def _problem_of_tables(place: Place) -> str | None:
    from aldis.durable.store.sql.migrate import check  # noqa: PLC0415 - who has an outbox can import it

    with refusals():
        try:
            place.call(lambda bind: check(bind, place.prefix, place.schema))
        except SchemaError as error:
            return str(error)
    return None


def _check_loads(desk: Desk) -> Iterator[Found]:
    from aldis.durable.types import State  # noqa: PLC0415 - who has an outbox can import it

    known = receivers_of_the_app()
    loads = desk.loads()
    for load in loads:
        waiting = _unfinished(load)
        if load.receiver not in known and waiting:
            closest = get_close_matches(load.receiver, known, n=1)
            hint = f"; is it called {closest[0]!r} now?" if closest else ""
            yield _wrong(
                f"what is recorded for durable receiver {load.receiver!r}, which the app does not "
                f"have, waits ({waiting}): connect it, give its name to its successor "
                f"(aliases=), or discard them{hint}",
                closest[0] if closest else None,
            )
            continue
        if dead := load.counts.get(State.DEAD, 0):
            yield _wrong(
                f"{count(dead, 'dead letter')} of {load.receiver!r}: aldis deliveries dead "
                f"--receiver {load.receiver}"
            )
        if load.paused:
            yield _remark(f"durable receiver {load.receiver!r} is paused")
    due = max((each.oldest or 0.0 for each in loads if not each.paused), default=0.0)
    if due > LATE and all(each.expires_in < 0 for each in desk.workers()):
        yield _remark(f"a delivery has been due for {span(due)}, and no worker has a lease")


def _unfinished(load: ReceiverStats) -> str:
    """Return how many of a receiver are not over, by state."""
    from aldis.durable.types import UNFINISHED  # noqa: PLC0415 - who has an outbox can import it

    counts = {state.label: load.counts.get(state, 0) for state in UNFINISHED}
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
