"""The order of deliveries with the same receiver and ordering key.

A worker gets a delivery only if its key has no earlier unfinished delivery and none that is
running. A claim marks the other deliveries as blocked, so that no claim finds them again before
the delivery that blocks them has ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from aldis.durable.store.sql.tables import BATCH, UNTRANSLATED, among
from aldis.durable.types import QUARANTINE_AFTER, UNFINISHED, WAITING, ClaimedDelivery, State

__all__ = [
    "RunStatements",
    "clashing",
    "has_wrongly_blocked",
    "runs",
    "unblock_next",
    "unblock_wrongly_blocked",
]


class RunStatements:
    """The statements that find out which deliveries of a key a worker may hold.

    Args:
        rows: The table of the deliveries.
        columns: The columns that a claim reads.
    """

    def __init__(self, rows: Table, columns: Sequence[ColumnElement[Any]]) -> None:
        self.rows = rows
        found: BindParameter[Any] = bindparam("found", expanding=True)
        receiver: BindParameter[Any] = bindparam("receiver_")
        lease: BindParameter[Any] = bindparam("lease")
        # One row of each key: the last one that was found.
        last = rows.alias("last")
        lasts = last.c.id.in_(bindparam("lasts", expanding=True))

        def of_key(what: ColumnElement[Any], state: State, *conditions: Any) -> Any:
            # Each is a search in the index of the key: the state is part of the SQL.
            return (
                select(what)
                .where(rows.c.receiver == receiver, rows.c.order_key == last.c.order_key)
                .where(among(rows.c.state, (state,)), *conditions)
                .scalar_subquery()
            )

        first, count = func.min(rows.c.id), func.count()
        mine, running = rows.c.worker == lease, State.RUNNING
        elsewhere = of_key(first, running, rows.c.worker != lease).label("elsewhere")
        common = (
            last.c.order_key,
            of_key(first, State.QUARANTINED, rows.c.id.not_in(found)).label("quarantined"),
            of_key(first, State.DEAD).label("dead"),
            elsewhere,
            of_key(func.max(rows.c.id), running, mine).label("last_here"),
            of_key(count, running, mine).label("here"),
        )
        #: What limits the runs of keys. It counts the waiting rows, because to leave out hundreds
        #: of ids takes long.
        self.limits: Select[Any] = select(
            *common,
            of_key(first, State.BLOCKED).label("blocked"),
            of_key(count, State.PENDING, rows.c.id <= last.c.id).label("pending"),
        ).where(lasts)
        #: What limits the runs of keys that have other waiting rows before the found ones.
        self.exact_limits: Select[Any] = select(
            *common,
            of_key(first, State.BLOCKED, rows.c.id.not_in(found)).label("blocked"),
            of_key(first, State.PENDING, rows.c.id.not_in(found)).label("pending"),
        ).where(lasts)
        #: The keys of which another worker runs a delivery.
        self.clashes: Select[Any] = select(last.c.order_key, elsewhere).where(lasts)
        #: The first blocked deliveries of a key, locked. One that must run alone ends a run.
        self.blocked: Select[Any] = (
            select(*columns)
            .where(
                rows.c.receiver == receiver,
                rows.c.order_key == bindparam("key_"),
                among(rows.c.state, (State.BLOCKED,)),
                rows.c.lost < QUARANTINE_AFTER,
            )
            .order_by(rows.c.id)
            .limit(bindparam("most"))
            .with_for_update(of=rows, skip_locked=True)
        )


#: For how many keys one claim looks for blocked deliveries that continue a run.
_CONTINUED = 20


def runs(
    connection: Connection,
    statements: RunStatements,
    found: Sequence[Any],
    wanted: dict[str, Any],
    run: int,
) -> list[Any]:
    """Return the rows that the worker may hold, in the order of each key; block the others.

    Args:
        connection: A connection in a transaction.
        statements: The statements.
        found: The locked waiting rows.
        wanted: The ``lease``, the ``receiver_`` and the ``limit``.
        run: How many deliveries of one key the worker may hold.
    """
    keyed = [row for row in found if row.order_key is not None]
    if not keyed:
        return list(found)
    limits = _limits(connection, statements, keyed, wanted)
    if run > 1:
        continued = _continued(connection, statements, keyed, limits, wanted)
        if continued:
            keyed += continued
            limits = _limits(connection, statements, keyed, wanted, exact=True)
    by_key: dict[str, list[Any]] = defaultdict(list)
    for row in sorted(keyed, key=lambda row: row.id):
        by_key[row.order_key].append(row)
    waiting = {row.id for row in found}
    unkeyed = sum(row.order_key is None for row in found)
    places = _Places(wanted["limit"] - unkeyed, len(by_key))
    held: dict[str, deque[Any]] = {}
    blocked: list[int] = []
    for key, ordered in by_key.items():
        allowed = limits[key].allowed(ordered, run)
        held[key] = deque(allowed[: places.take(len(allowed))])
        blocked += [row.id for row in ordered[len(allowed) :] if row.id in waiting]
    if blocked:
        connection.execute(
            update(statements.rows)
            .where(statements.rows.c.id.in_(blocked), statements.rows.c.state.in_(WAITING))
            .values(state=State.BLOCKED)
        )
    taken: list[Any] = []
    for row in found:  # those that became due first come first
        if row.order_key is None:
            taken.append(row)
        elif held[row.order_key]:
            taken.append(held[row.order_key].popleft())
    return taken + [row for rest in held.values() for row in rest]


class _Places:
    """Divides the places of a claim among the keys."""

    def __init__(self, count: int, keys: int) -> None:
        self._left = count
        self._keys = keys

    def take(self, wanted: int) -> int:
        """Return how many deliveries the next key gets: its share, and what others left over."""
        share = -(-self._left // max(1, self._keys))
        taken = max(0, min(wanted, share))
        self._left -= taken
        self._keys -= 1
        return taken


@dataclass(frozen=True, slots=True)
class _Limit:
    """What limits the run of one key.

    Attributes:
        before: The first unfinished row that the worker does not hold and has not found.
        elsewhere: Whether another worker runs a delivery of the key.
        last_here: The last row of the key that this worker holds.
        here: How many rows of the key it holds.
        has_blocked: Whether the key has blocked rows.
    """

    before: int | None
    elsewhere: bool
    last_here: int | None
    here: int
    has_blocked: bool

    def allowed(self, ordered: Sequence[Any], run: int) -> Sequence[Any]:
        """Return the first of the ``ordered`` rows of the key, as far as they may run."""
        if self.elsewhere or (self.last_here is not None and ordered[0].id < self.last_here):
            return ()
        count = 0
        while count < len(ordered) and (self.before is None or ordered[count].id < self.before):
            count += 1
        return ordered[: max(0, min(count, run - self.here))]


def _limits(
    connection: Connection,
    statements: RunStatements,
    keyed: Sequence[Any],
    wanted: dict[str, Any],
    *,
    exact: bool = False,
) -> dict[str, _Limit]:
    found = Counter(row.order_key for row in keyed)
    bound = {
        "lasts": _lasts(keyed),
        "receiver_": wanted["receiver_"],
        "lease": wanted["lease"],
        "found": [row.id for row in keyed] if exact else [],
    }
    statement = statements.exact_limits if exact else statements.limits
    limits = {}
    for row in connection.execute(statement, bound):
        if not exact and row.pending != found[row.order_key]:
            return _limits(connection, statements, keyed, wanted, exact=True)
        pending = row.pending if exact else None
        firsts = (row.blocked, pending, row.quarantined, row.dead)
        limits[row.order_key] = _Limit(
            min((each for each in firsts if each is not None), default=None),
            row.elsewhere is not None,
            row.last_here,
            row.here,
            row.blocked is not None,
        )
    return limits


def _lasts(rows: Iterable[Any]) -> list[int]:
    """Return the last id of each key."""
    lasts: dict[str, int] = {}
    for row in rows:
        lasts[row.order_key] = max(row.id, lasts.get(row.order_key, row.id))
    return list(lasts.values())


def _continued(
    connection: Connection,
    statements: RunStatements,
    keyed: Sequence[Any],
    limits: dict[str, _Limit],
    wanted: dict[str, Any],
) -> list[Any]:
    """Lock the blocked rows that follow the found ones, so that a run need not end there."""
    keys = [
        key
        for key in dict.fromkeys(row.order_key for row in keyed)
        if limits[key].has_blocked and not limits[key].elsewhere
    ][:_CONTINUED]
    rows: list[Any] = []
    for key in keys:
        bound = {
            "receiver_": wanted["receiver_"],
            "key_": key,
            "most": max(1, wanted["limit"] // len(keys)),
        }
        rows += connection.execute(statements.blocked, bound).all()
    return rows


def clashing(
    connection: Connection, statements: RunStatements, claimed: Sequence[ClaimedDelivery]
) -> set[int]:
    """Return those of the claimed deliveries of a key that another worker runs, too."""
    bound = {
        "lasts": _lasts(claimed),
        "receiver_": claimed[0].receiver,
        "lease": claimed[0].worker,
    }
    keys = {
        row.order_key
        for row in connection.execute(statements.clashes, bound)
        if row.elsewhere is not None
    }
    return {each.id for each in claimed if each.order_key in keys}


def unblock_next(connection: Connection, rows: Table, ended: Iterable[Any]) -> int:
    """Unblock the next delivery of every key that just finished one; return their number."""
    keys: dict[str, set[str]] = {}
    for each in ended:
        if each.order_key is not None:
            keys.setdefault(each.receiver, set()).add(each.order_key)
    count = 0
    for receiver, order_keys in keys.items():
        following = connection.scalars(
            select(func.min(rows.c.id))
            .where(
                rows.c.receiver == receiver,
                rows.c.order_key.in_(order_keys),
                among(rows.c.state, (State.BLOCKED,)),
            )
            .group_by(rows.c.order_key),
            execution_options=UNTRANSLATED,
        ).all()
        count += _unblock(connection, rows, following)
    return count


def has_wrongly_blocked(connection: Connection, rows: Table) -> bool:
    """Return whether a delivery is blocked although nothing blocks it."""
    return connection.scalars(_wrongly_blocked(rows).limit(1)).first() is not None


def unblock_wrongly_blocked(connection: Connection, rows: Table) -> int:
    """Unblock one batch of deliveries that nothing blocks; return its size.

    A claim can block a delivery at the moment at which the earlier delivery ends.
    """
    return _unblock(connection, rows, connection.scalars(_wrongly_blocked(rows).limit(BATCH)).all())


def _wrongly_blocked(rows: Table) -> Select[Any]:
    heads = (
        select(func.min(rows.c.id).label("id"))
        # The state is part of the SQL, so that PostgreSQL uses its partial index.
        .where(rows.c.order_key.is_not(None), among(rows.c.state, (State.BLOCKED,)))
        .group_by(rows.c.receiver, rows.c.order_key)
        .subquery()
    )
    return select(rows.c.id).where(rows.c.id.in_(select(heads.c.id)), ~_is_blocked(rows))


def _unblock(connection: Connection, rows: Table, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    quarantined = rows.c.lost >= QUARANTINE_AFTER
    return connection.execute(
        update(rows)
        .where(rows.c.id.in_(ids), rows.c.state == State.BLOCKED)
        .values(state=case((quarantined, int(State.QUARANTINED)), else_=int(State.PENDING))),
        execution_options=UNTRANSLATED,
    ).rowcount


def _is_blocked(rows: Table) -> ColumnElement[bool]:
    """Another delivery with the same key is running, or an earlier one is unfinished."""
    other = rows.alias("other")
    return exists().where(
        _same_key(other, rows),
        # The states are part of the SQL, so that PostgreSQL uses its partial index.
        among(other.c.state, UNFINISHED),
        or_(other.c.state == State.RUNNING, other.c.id < rows.c.id),
    )


def _same_key(other: FromClause, rows: Table) -> ColumnElement[bool]:
    return and_(
        other.c.receiver == rows.c.receiver,
        other.c.order_key == rows.c.order_key,
        other.c.id != rows.c.id,
    )
