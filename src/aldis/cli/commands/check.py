"""``aldis check`` and ``aldis signals check``."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from aldis.cli._app import load_app
from aldis.cli._database import (
    DatabaseError,
    app_context,
    database_errors,
    durable_receiver_names,
    new_client,
    outbox_of,
    refuse_memory,
    refuse_missing_file,
    target_of,
    wal_advice,
)
from aldis.cli._deliveries import breaker_text, filter_of, payload_problem, states_of
from aldis.cli._options import signals_command
from aldis.cli._output import (
    INDENT,
    Report,
    count,
    duration_text,
    relative_location,
    relative_paths,
    write_json,
)
from aldis.cli._signals import labelled_namespaces
from aldis.core import Namespace, set_strict
from aldis.core.namespace import Finding
from aldis.core.receiver import describe
from aldis.errors import AldisWarning, SchemaError, StrictWarning

if TYPE_CHECKING:
    from aldis.cli._store import StoreClient
    from aldis.durable.store.sql.store import SqlStore
    from aldis.durable.types import Delivery, DeliveryFilter, ReceiverStats

__all__ = ["check_all", "check_signals", "load_in_strict_mode"]

#: The key of ``Context.meta`` that keeps the warnings of :func:`load_in_strict_mode`.
RECORDED: Final = "aldis.cli.recorded_warnings"

#: The heading of the findings about deliveries.
DURABLE: Final = "durable deliveries"

#: Seconds in which a worker that serves a receiver has registered it.
RECENTLY: Final = 3600.0

#: How many of a receiver's waiting payloads are read from each end.
SAMPLE: Final = 1000

#: The labels and the names of the states of deliveries that have not run yet.
WAITING: Final = ("pending", "suspect", "behind")
WAITING_STATES: Final = ("PENDING", "QUARANTINED", "BLOCKED")

#: After how many seconds a due delivery leads to the remark that no worker seems to run.
LATE: Final = 60.0


class CheckResult(NamedTuple):
    """A problem, or a remark about something that may be one.

    Attributes:
        namespace: The label of its namespace; ``None`` for a warning of strict mode.
        signal: The signal's name.
        problem: The problem in one sentence.
        remark: Whether this is only a remark.
        closest: The name that may be meant.
    """

    namespace: str | None
    signal: str | None
    problem: str
    remark: bool = False
    closest: str | None = None


# -- aldis signals check ---------------------------------------------------------------------------


@signals_command("check", "Find problems with signals; exit with 1 if there are any.")
@click.pass_context
def check_signals(ctx: click.Context, *, as_json: bool, traceback: bool) -> None:
    """Find problems with signals; exit with 1 if there are any.

    \b
    A problem is
      - a receiver of an undeclared name that is close to a declared one;
      - a receiver that does not fit its signal's contract;
      - a receiver that was connected weakly and died before any call;
      - with aldis.ckan, a receiver of a name that CKAN does not have, and a
        signal of an extension whose name begins with no plugin's name;
      - a warning of strict mode, which is on while the app is imported.

    A name that only an optional sender may know is a remark: it does not
    change the exit code.

    \b
      aldis signals check --app shop:app
    """
    _, found = _signal_results(ctx, traceback=traceback)
    wrong = _has_problem(found)
    if as_json:
        facts = [each._asdict() for each in found]
        write_json("aldis-signals-check/1", {"ok": not wrong, "findings": facts})
    else:
        _report(found).print()
    ctx.exit(1 if wrong else 0)


def _has_problem(found: list[CheckResult]) -> bool:
    return any(not each.remark for each in found)


def _signal_results(ctx: click.Context, *, traceback: bool) -> tuple[Any, list[CheckResult]]:
    """Load the app in strict mode; return it and the results for its signals.

    Raises:
        AppError: The app was not found, or its import failed.
    """
    app = load_in_strict_mode(ctx, traceback=traceback)
    found: list[CheckResult] = [*ctx.meta[RECORDED]]
    for label, namespace in labelled_namespaces():
        found += [
            CheckResult(label, each.signal, each.problem, each.remark, each.closest)
            for each in _findings(namespace)
        ]
    return app, found


def load_in_strict_mode(ctx: click.Context, *, traceback: bool = False) -> Any:
    """Load the app, and keep the warnings of strict mode in the context.

    Raises:
        AppError: There is no app, or its import failed.
    """
    if RECORDED not in ctx.meta:
        set_strict()  # strict mode records where a receiver that dies was connected
        with _recorded_warnings() as ctx.meta[RECORDED]:
            load_app(ctx, traceback=traceback)
            gc.collect()
    return load_app(ctx, traceback=traceback)


def _findings(namespace: Namespace) -> list[Finding]:
    """Return the findings for ``namespace``, with the names of plugins if the app has plugins."""
    if "aldis.ckan" in sys.modules:
        from aldis.ckan.check import check_namespace  # noqa: PLC0415 - Flask-Login may be missing

        return check_namespace(namespace)
    if "aldis.plugins" not in sys.modules:
        return namespace.check()
    from aldis.plugins import check_names  # noqa: PLC0415 - pluggy may be missing

    return check_names(namespace)


@contextmanager
def _recorded_warnings() -> Iterator[list[CheckResult]]:
    """Record strict mode's warnings in a ``with`` block; show all others."""
    found: list[CheckResult] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def record(
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
                # The other warnings are about contracts, which the check looks at by itself.
                location = relative_location(f"{filename}:{lineno}")
                found.append(CheckResult(None, None, f"{location}: {message}"))

        warnings.showwarning = record
        warnings.simplefilter("always", AldisWarning)
        yield found


def _report(found: list[CheckResult]) -> Report:
    report = Report()
    heading: str | None = ""
    for each in found:
        if each.namespace != heading:
            heading = each.namespace
            report.line((heading or "while the app was imported", "bold underline"))
        style = "yellow" if each.remark else "bold red"
        kind = "remark: " if each.remark else "wrong: "
        report.line((kind, style), relative_paths(each.problem), indent=INDENT)
    if found:
        report.line()
    wrong = sum(not each.remark for each in found)
    remarks = len(found) - wrong
    and_remarks = f", {count(remarks, 'remark')}" if remarks else ""
    everything = labelled_namespaces()
    signals = count(sum(len(namespace) for _, namespace in everything), "signal")
    scope = f"{signals} of {count(len(everything), 'namespace')}"
    if wrong:
        report.line((f"{count(wrong, 'finding')}{and_remarks}", "bold red"), f" in {scope}.")
    else:
        report.line(("Nothing is wrong", "bold green"), f"{and_remarks} in {scope}.")
    return report


# -- aldis check -----------------------------------------------------------------------------------


@signals_command("check", "Find problems with signals and durable deliveries; exit with 1 if any.")
@click.pass_context
def check_all(ctx: click.Context, *, as_json: bool, traceback: bool) -> None:
    """Find problems with signals and durable deliveries; exit with 1 if there are any.

    \b
    In addition to the problems that `aldis signals check` finds, a problem is
      - a durable receiver that is not connected;
      - a durable receiver in an app without an outbox;
      - tables that are missing, too old or too new;
      - a delivery for a receiver that the app does not have (any more);
      - a waiting delivery whose payload does not fit the app's contract;
      - a waiting delivery of a receiver that no worker has served for an hour,
        although workers serve others;
      - a dead letter.

    Paused receivers, due deliveries that no worker takes, and an SQLite file
    without a write-ahead log are remarks: they do not change the exit code. The
    command reads the outbox's database.

    \b
      aldis check --app shop:app
    """
    app, found = _signal_results(ctx, traceback=traceback)
    found += _durable_results(app)
    wrong = _has_problem(found)
    if as_json:
        facts = {"ok": not wrong, "findings": [_json(each) for each in found]}
        write_json("aldis-check/1", facts)
    else:
        _report(found).print()
    ctx.exit(1 if wrong else 0)


def _json(result: CheckResult) -> dict[str, Any]:
    if result.namespace == DURABLE:
        return {"about": "deliveries", **result._asdict(), "namespace": None}
    return {"about": "signals", **result._asdict()}


def _wrong(problem: str, closest: str | None = None) -> CheckResult:
    return CheckResult(DURABLE, None, problem, closest=closest)


def _remark(problem: str) -> CheckResult:
    return CheckResult(DURABLE, None, problem, remark=True)


def _durable_results(app: Any) -> Iterator[CheckResult]:
    """Yield the results for the durable receivers of ``app`` and its outbox.

    Raises:
        DatabaseError: The database cannot be read.
    """
    yield from _receiver_results()
    try:
        outbox = outbox_of(app)
    except DatabaseError as error:
        if durable_receiver_names():
            yield _wrong(f"there are durable receivers, but {error.message}")
        return
    with app_context(app):
        target = target_of(outbox, "the app's outbox")
    try:
        refuse_memory(target, "is visible in one process only, so no worker sees its deliveries")
        refuse_missing_file(target)
    except DatabaseError as error:
        yield _wrong(error.message)
        return
    problem = advice = None
    with database_errors():
        try:
            target.check_tables()
            advice = wal_advice(target)
        except SchemaError as error:
            problem = str(error)
    if problem is not None:
        yield _wrong(problem)
        return
    if advice is not None:
        yield _remark(advice)
    with database_errors():
        store = new_client(target)
    try:
        with app_context(app):  # upgrade= may use the app
            found = list(_delivery_results(store))
        yield from found
    finally:
        store.close()


def _receiver_results() -> Iterator[CheckResult]:
    if not durable_receiver_names():
        return
    from aldis.durable.receiver import all_receivers  # noqa: PLC0415 - SQLAlchemy may be missing

    for receiver in all_receivers():
        if not receiver.signals:
            yield _wrong(
                f"durable receiver {receiver.name!r} ({describe(receiver)}) is not connected to "
                "any signal, so nothing is recorded for it"
            )


def _delivery_results(store: StoreClient) -> Iterator[CheckResult]:
    known = durable_receiver_names()
    stats = store.call(lambda store: store.stats())
    registered = store.call(lambda store: store.registered_receivers())
    for each in stats:
        unfinished = _unfinished(each)
        if each.receiver not in known and unfinished:
            closest = get_close_matches(each.receiver, known, n=1)
            hint = f"; is {closest[0]!r} its new name?" if closest else ""
            yield _wrong(
                f"deliveries wait for durable receiver {each.receiver!r}, which the app does not "
                f"have ({unfinished}): connect it, add its name to its successor's aliases, or "
                f"discard them{hint}",
                closest[0] if closest else None,
            )
            continue
        if dead := _counts(each).get("dead"):
            yield _wrong(
                f"{count(dead, 'dead letter')} of {each.receiver!r}: aldis deliveries dead "
                f"--receiver {each.receiver}"
            )
        yield from _payload_results(store, each)
        yield from _served_results(each, registered)
        if each.breaker is not None:
            yield _remark(f"durable receiver {each.receiver!r} {breaker_text(each.breaker)}")
        elif each.paused:
            yield _remark(f"durable receiver {each.receiver!r} is paused")
    due = max((each.oldest or 0.0 for each in stats if not each.paused), default=0.0)
    if due > LATE and all(each.expires_in < 0 for each in store.workers()):
        yield _remark(
            f"a delivery has been due for {duration_text(due)}, and no worker has a lease"
        )


def _served_results(stats: ReceiverStats, registered: dict[str, float]) -> Iterator[CheckResult]:
    """Yield a result if deliveries wait, and no worker has served their receiver for an hour."""
    waiting = sum(_counts(stats).get(name, 0) for name in WAITING)
    if not waiting or registered.get(stats.receiver, RECENTLY) < RECENTLY:
        return
    age = registered.get(stats.receiver)
    since = "" if age is None else f" for {duration_text(age)}"
    wait = "waits" if waiting == 1 else "wait"
    problem = (
        f"{count(waiting, 'delivery', 'deliveries')} of {stats.receiver!r} {wait}, and no worker "
        f"has served it{since or ' so far'}: start a worker of this release that serves it"
    )
    others = any(seconds < RECENTLY for seconds in registered.values())
    yield _wrong(problem) if others else _remark(problem)


def _payload_results(store: StoreClient, stats: ReceiverStats) -> Iterator[CheckResult]:
    """Yield a result if waiting payloads of a receiver do not fit the app's contract."""
    misfits: list[tuple[int, str]] = []
    looked_at = 0
    for newest_first in (False, True):
        chosen = filter_of(states=states_of(WAITING_STATES), receiver=stats.receiver)
        found = store.call(partial(_find, chosen, newest_first))
        looked_at = max(looked_at, len(found))
        misfits += [
            (each.id, problem) for each in found if (problem := payload_problem(each)) is not None
        ]
    by_id = dict(misfits)
    if not by_id:
        return
    number, problem = min(by_id.items())
    more = "" if len(by_id) == 1 else f"; {len(by_id) - 1} more"
    scope = f" (of the first and last {SAMPLE:,})" if looked_at == SAMPLE else ""
    yield _wrong(f"waiting delivery {number}: {problem}{more}{scope}")


def _find(chosen: DeliveryFilter, newest_first: bool, store: SqlStore) -> list[Delivery]:
    return store.find(chosen, limit=SAMPLE, newest_first=newest_first)


def _counts(stats: ReceiverStats) -> dict[str, int]:
    return {state.label: number for state, number in stats.counts.items()}


def _unfinished(stats: ReceiverStats) -> str:
    """Return the numbers of a receiver's unfinished deliveries, by state."""
    from aldis.durable.types import UNFINISHED  # noqa: PLC0415 - SQLAlchemy may be missing

    found = _counts(stats)
    numbers = {state.label: found.get(state.label, 0) for state in UNFINISHED}
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number)
