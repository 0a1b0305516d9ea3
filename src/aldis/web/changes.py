"""The changes that users with the right to operate can make. Each one is in the audit log."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aldis.errors import InvalidNameError
from aldis.web.csrf import fingerprint
from aldis.web.filters import Filters, states_for
from aldis.web.messages import Response
from aldis.web.view import PageError, View

if TYPE_CHECKING:
    from aldis.web.data import Source

__all__ = [
    "change_group",
    "change_one",
    "change_selected",
    "check_form",
    "prune",
    "switch_receiver",
]

_PARTICIPLES: Final = {"replay": "replayed", "discard": "discarded"}


def check_form(view: View) -> None:
    """Check that the user may change deliveries, and that the form came from a page of theirs.

    Raises:
        PageError: They may not, or it did not.
    """
    if not view.context.sources:
        raise PageError(404, "There is no such page.")
    if not view.may_operate:
        raise PageError(403, "You may read these pages, but not change anything.")
    if not view.request.is_same_origin:
        raise PageError(
            403,
            "The form came from another site, so nothing was changed. If it did not, your proxy "
            "changes the Host header: let it pass on the host of the request.",
        )
    if not view.token_is_valid(view.form.get("token", "")):
        raise PageError(
            403,
            "The form is too old, or it came from another browser or user. Nothing was changed. "
            "Reload the page and try again.",
        )


# -- deliveries ------------------------------------------------------------------------------------


def change_one(view: View, number: str, action: str) -> Response:
    """Replay or discard one delivery."""
    source, delivery_id = view.source, int(number)
    state = source.state_of(delivery_id)
    if state is None:
        raise PageError(404, f"Delivery {delivery_id} does not exist. It may have been pruned.")
    if state not in states_for(action):
        raise PageError(
            409,
            f"Delivery {delivery_id} is {state.label} now, so it cannot be {_PARTICIPLES[action]}. "
            "Nothing was changed.",
        )
    _apply(view, action, f"delivery {delivery_id}", [delivery_id])
    return view.redirect(f"/deliveries/{delivery_id}", done=action, n=1)


def change_group(view: View, action: str) -> Response:
    """Replay or discard the dead letters of a group, exactly those that the page showed."""
    from aldis.durable.store.sql import reports  # noqa: PLC0415 - SQLAlchemy may be missing

    form = view.form
    count, highest, last = (_number(view, name) for name in ("count", "highest", "last"))
    nowhere = datetime.fromtimestamp(0, UTC)
    group = reports.DeadGroup(
        form.get("receiver", ""), form.get("error", ""), "", count, highest, nowhere, last
    )
    ids = list(view.source.read(reports.dead_ids, group))
    _check_count(count, len(ids))
    target = f"{count} dead letters of {group.receiver} with {group.error or 'no error'}"
    changed = _apply(view, action, f"{target}, up to id {highest}", ids)
    return view.redirect("/dead", done=action, n=changed)


def change_selected(view: View, action: str) -> Response:
    """Replay or discard the deliveries that a filter selects, exactly those that were counted."""
    filters = Filters.of(view.form)
    count, highest = _number(view, "count"), _number(view, "highest")
    where = filters.selection(action, highest)
    ids = view.source.ids_of(where)
    _check_count(count, len(ids))
    changed = _apply(view, action, f"{count} deliveries: {filters.text}, up to id {highest}", ids)
    return view.redirect("/deliveries", **filters.args, done=action, n=changed)


def prune(view: View) -> Response:
    """Delete deliveries that ended long ago."""
    days = _number(view, "days")
    if days < 1:
        raise PageError(400, "Give a number of days from 1 on.")
    source = view.source

    def work() -> int:
        return sum(source.call(lambda store: list(store.prune(days * 86_400.0))))

    changed = _logged(view, "prune", f"deliveries that ended {days} days ago or earlier", work)
    return view.redirect("/", done="prune", n=changed)


def _apply(view: View, action: str, target: str, ids: Sequence[int]) -> int:
    source = view.source
    change = source.replay if action == "replay" else source.discard
    return _logged(view, action, target, lambda: change(ids))


def _check_count(shown: int, present: int) -> None:
    """Check that a change affects exactly the deliveries that the page showed.

    Raises:
        PageError: Some of them have changed since.
    """
    if shown != present:
        raise PageError(
            409,
            f"The page showed {shown:,} deliveries, and {present:,} of them are still like that. "
            "Nothing was changed. Go back, reload the page and look again.",
        )


def _number(view: View, name: str) -> int:
    text = view.form.get(name, "")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise PageError(400, f"The form lacks a number: {name}.")
    return int(text)


# -- receivers -------------------------------------------------------------------------------------


def switch_receiver(view: View, action: str) -> Response:
    """Pause or resume a receiver."""
    from aldis.durable.receiver import check_name  # noqa: PLC0415 - SQLAlchemy may be missing

    try:
        receiver = check_name(view.form.get("receiver", ""))
    except InvalidNameError as error:
        raise PageError(400, str(error)) from error

    def work() -> int:
        return int(
            view.source.call(
                lambda store: store.pause(receiver) if action == "pause" else store.resume(receiver)
            )
        )

    changed = _logged(view, action, receiver, work)
    return view.redirect("/receivers", done=action, n=changed)


# -- the log ---------------------------------------------------------------------------------------


def _logged(view: View, action: str, target: str, work: Callable[[], int]) -> int:
    """Record a change, make it, and record its size.

    Raises:
        PageError: The form was sent before.
    """
    from aldis.durable.store.sql import reports  # noqa: PLC0415 - SQLAlchemy may be missing

    source: Source = view.source
    entry: Any = source.write(
        reports.record_change,
        user=view.grant.user,
        action=action,
        target=target,
        token=fingerprint(view.form["token"]),
    )
    if entry is None:
        raise PageError(409, "This form was sent before. The change was made once.")
    try:
        changed = work()
    finally:
        view.context.cache.clear()
    source.write(reports.set_changed, entry, changed)
    return changed
