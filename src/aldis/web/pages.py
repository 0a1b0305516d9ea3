"""The pages. Each function reads what one page shows, with at most three queries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aldis.web.filters import STATES, Filters, states_for
from aldis.web.messages import Response
from aldis.web.signals import all_signals, durable_receivers, signal_at
from aldis.web.view import PageError, View

if TYPE_CHECKING:
    from aldis.durable.types import Delivery

__all__ = [
    "change_log",
    "confirm_change",
    "confirm_prune",
    "dead",
    "deliveries",
    "delivery",
    "now",
    "one_signal",
    "receivers",
    "signals",
    "workers",
]

#: How many deliveries a page lists.
ROWS: Final = 50

#: How many deliveries of one send, and how many changes, a page lists.
MANY: Final = 100


def now(view: View) -> Response:
    """Show whether anything is stuck: counts, lag and workers. Without an outbox: the signals."""
    if not view.context.sources:
        return signals(view)
    loads, leases, paused = view.shared(
        "now",
        lambda source: (
            source.read(_reports().loads),
            source.read(_reports().workers),
            source.read(_reports().paused_since),
        ),
    )
    return view.page(
        "now.html",
        "Now",
        loads=loads,
        totals=_totals(loads),
        most=_reports().MOST,
        live_workers=[each for each in leases if each.expires_in >= 0],
        silent_workers=[each for each in leases if each.expires_in < 0],
        paused=paused,
        labels=_labels(),
    )


def _totals(loads: list[Any]) -> dict[str, Any]:
    totals: dict[str, Any] = dict.fromkeys(STATES, 0)
    capped = set()
    for each in loads:
        for state, number in each.counts.items():
            label = _labels()[state]
            totals[label] += number
            if state in each.capped:
                capped.add(label)
    oldest = max((each.oldest or 0.0 for each in loads), default=0.0)
    return {"counts": totals, "capped": capped, "oldest": oldest}


def _labels() -> dict[Any, str]:
    """Return the name of each state on the pages."""
    from aldis.durable.types import State  # noqa: PLC0415 - SQLAlchemy may be missing

    return {State[name]: label for label, names in STATES.items() for name in names}


def _reports() -> Any:
    from aldis.durable.store.sql import reports  # noqa: PLC0415 - SQLAlchemy may be missing

    return reports


# -- deliveries ------------------------------------------------------------------------------------


def deliveries(view: View) -> Response:
    """List deliveries, the newest first, with the filters in the URL."""
    filters = Filters.of(view.args)
    before, after = _id(view, "before"), _id(view, "after")
    where = filters.where(before_id=before, after_id=after)
    forward = after is not None
    found: list[Delivery] = view.shared(
        ("deliveries", filters, before, after),
        lambda source: source.find(where, limit=ROWS + 1, newest_first=not forward),
    )
    more, found = len(found) > ROWS, found[:ROWS]
    if forward:
        found = found[::-1]
    newer = found[0].id if found and (before is not None or (forward and more)) else None
    older = found[-1].id if found and (more or forward) else None
    return view.page(
        "deliveries.html",
        "Deliveries",
        filters=filters,
        found=found,
        newer=newer,
        older=older,
        states=list(STATES),
        labels=_labels(),
        receivers=durable_receivers(),
        can_replay=filters.state in ("", "dead", "discarded"),
        can_discard=filters.state in ("", "dead", "pending", "behind"),
    )


def _id(view: View, name: str) -> int | None:
    text = view.args.get(name)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,18}", text):
        raise PageError(400, f"{name} must be the id of a delivery, not {text!r}.")
    return int(text)


def delivery(view: View, number: str) -> Response:
    """Show one delivery: its payload, its error, its causes, and all deliveries of its send."""
    from aldis.durable.types import DeliveryFilter  # noqa: PLC0415 - SQLAlchemy may be missing

    delivery_id = int(number)

    def read(source: Any) -> Any:
        found = source.find(DeliveryFilter(ids=(delivery_id,)), limit=1)
        if not found:
            return None
        send = DeliveryFilter(emission_id=found[0].emission_id)
        causes = source.read(_reports().causes, delivery_id) if found[0].caused_by else []
        return found[0], causes, source.find(send, limit=MANY)

    facts = view.shared(("delivery", delivery_id), read)
    if facts is None:
        raise PageError(404, f"Delivery {delivery_id} does not exist. It may have been pruned.")
    found, causes, siblings = facts
    return view.page(
        "delivery.html",
        f"Delivery {delivery_id}",
        delivery=found,
        causes=causes,
        siblings=siblings,
        labels=_labels(),
        payload=found.payload if view.context.show_payload(view.request) else None,
        can_replay=found.state in states_for("replay"),
        can_discard=found.state in states_for("discard"),
    )


def confirm_change(view: View, action: str) -> Response:
    """Ask whether to change all deliveries that the filters select, and show their number."""
    from aldis.web.data import BULK  # noqa: PLC0415 - SQLAlchemy may be missing

    _require_operator(view)
    filters = Filters.of(view.args)
    ids = view.source.ids_of(filters.selection(action))
    if len(ids) > BULK:
        raise PageError(
            400,
            f"More than {BULK:,} deliveries match. Narrow the filters, or use "
            f"`aldis deliveries {action}`, which has no limit.",
        )
    return view.page(
        "confirm.html",
        f"{action.capitalize()} deliveries",
        action=action,
        filters=filters,
        count=len(ids),
        highest=max(ids, default=0),
    )


def confirm_prune(view: View) -> Response:
    """Ask whether to delete deliveries that ended long ago, and show their number."""
    _require_operator(view)
    text = view.args.get("days", "30")
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        raise PageError(400, f"days must be a whole number from 1 to 99999, not {text!r}.")
    count = view.source.call(lambda store: store.count_prunable(int(text) * 86_400.0))
    return view.page("prune.html", "Prune", days=int(text), count=count)


def _require_operator(view: View) -> None:
    if not view.may_operate:
        raise PageError(403, "You may read these pages, but not change anything.")


def dead(view: View) -> Response:
    """Group the dead letters by receiver and type of error."""
    groups = view.shared("dead", lambda source: source.read(_reports().dead_groups))
    total = sum(each.count for each in groups)
    most = _reports().MOST
    return view.page(
        "dead.html", "Dead letters", groups=groups, total=total, capped=total >= most, most=most
    )


# -- receivers, workers, changes -------------------------------------------------------------------


def receivers(view: View) -> Response:
    """Show each durable receiver: its work, its signals, and whether it is paused."""
    loads, paused = view.shared(
        "receivers",
        lambda source: (
            source.read(_reports().loads),
            source.read(_reports().paused_since),
        ),
    )
    by_name = {each.receiver: each for each in loads}
    known = durable_receivers()
    names = sorted({*by_name, *paused, *known})
    return view.page(
        "receivers.html",
        "Receivers",
        names=names,
        loads=by_name,
        paused=paused,
        known=known,
        states=list(STATES),
        labels=_labels(),
    )


def workers(view: View) -> Response:
    """Show the workers that are registered in the database."""
    found = view.shared("workers", lambda source: source.read(_reports().workers))
    return view.page("workers.html", "Workers", workers=found)


def change_log(view: View) -> Response:
    """Show the newest changes that users of the dashboard made."""
    found = view.shared("changes", lambda source: source.read(_reports().audit_log, limit=MANY))
    return view.page("changes.html", "Changes", entries=found)


# -- signals ---------------------------------------------------------------------------------------


def signals(view: View) -> Response:
    """Show every signal with its senders and receivers, in the order of the calls."""
    wanted = view.args.get("show", "connected")
    return view.page(
        "signals.html", "Signals", groups=all_signals(everything=wanted == "all"), wanted=wanted
    )


def one_signal(view: View, number: str) -> Response:
    """Show one signal: its contract and its receivers."""
    found = signal_at(int(number))
    if found is None:
        raise PageError(404, "There is no such signal.")
    return view.page("signal.html", found.name, signal=found)
