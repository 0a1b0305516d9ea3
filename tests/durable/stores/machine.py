"""A state machine that compares a store with a simple model."""

# ruff: noqa: D102 - the name of a rule describes it

from contextlib import suppress
from dataclasses import dataclass
from time import sleep

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aldis.durable.types import (
    DEAD_AFTER,
    QUARANTINE_AFTER,
    AttemptFailure,
    ClaimedDelivery,
    DeliveryFilter,
    State,
)
from aldis.testing.store.helpers import RollBackError, new, register_worker

#: The receivers, and whether each one claims in order.
ORDERED = {"free": False, "ordered": True}

#: A delay in seconds that no test reaches.
NEVER = 10_000.0

#: The kinds of claims: each receiver, not exclusive and exclusive.
KINDS = [(receiver, exclusive) for receiver in ORDERED for exclusive in (False, True)]

#: A limit that no example reaches.
MANY = 10_000

lengths = st.sampled_from([1, 2, 4])
receivers = st.sampled_from(sorted(ORDERED))
endings = st.sampled_from(["commit", "commit", "roll back"])
some_keys = st.lists(st.sampled_from(["a", "a", "b", None]), min_size=1, max_size=5)


@dataclass
class Row:
    """The expected state of one delivery."""

    name: str
    receiver: str
    key: str | None
    due: bool
    id: int = 0
    status: str = "waiting"
    attempts: int = 0
    lost: int = 0
    worker: str | None = None

    @property
    def is_quarantined(self):
        return self.lost >= QUARANTINE_AFTER

    def wait(self, *, counts=True, due=True):
        """Let the delivery wait for a worker again."""
        self.status, self.worker, self.due = "waiting", None, due
        self.attempts -= not counts

    def states(self):
        """Return the states that the store may show."""
        if self.status != "waiting":
            return {State[self.status.upper()]}
        may_be_blocked = self.key is not None and ORDERED[self.receiver]
        waits = State.QUARANTINED if self.is_quarantined else State.PENDING
        return {waits, State.BLOCKED} if may_be_blocked else {waits}


class StoreMachine(RuleBasedStateMachine):
    """Does what senders, workers and operators do, in random order.

    Args:
        store: An empty store.
    """

    def __init__(self, store):
        super().__init__()
        self.store = store
        self.rows = {}
        self.count = 0
        self.claims = []
        self.paused = set()
        self.workers = [register_worker(store, NEVER), register_worker(store, NEVER)]

    # -- the model -------------------------------------------------------------------------------

    def having(self, *statuses):
        return [row for row in self.rows.values() if row.status in statuses]

    def holds(self, claimed):
        """Return whether the worker of a claim still holds the delivery."""
        row = self.rows.get(claimed.payload)
        return row is not None and (row.status, row.worker, row.attempts) == (
            "running",
            claimed.worker,
            claimed.attempt,
        )

    def held(self):
        return [each for each in self.claims if self.holds(each)]

    def row(self, claimed):
        return self.rows[claimed.payload]

    def is_blocked(self, row, worker=None, run=1):
        if row.key is None or not ORDERED[row.receiver]:
            return False
        others = [
            other
            for other in self.having("waiting", "running", "dead")
            if other is not row and (other.receiver, other.key) == (row.receiver, row.key)
        ]
        running = [other for other in others if other.status == "running"]
        if len(running) >= run:
            return True
        if any(other.worker != worker or other.id > row.id for other in running):
            return True
        return any(other.status != "running" and other.id < row.id for other in others)

    def eligible(self, receiver, exclusive, worker=None, run=1):
        """Return the names of the deliveries that the worker can claim now."""
        return {
            row.name
            for row in self.having("waiting")
            if row.due
            and row.receiver == receiver
            and receiver not in self.paused
            and row.is_quarantined == exclusive
            and not self.is_blocked(row, worker, run)
        }

    def kinds(self, *, eligible):
        """Return the kinds of claims that find a delivery, or those that find none."""
        return [kind for kind in KINDS if bool(self.eligible(*kind)) == eligible]

    def busy(self):
        """Return the workers that hold a delivery."""
        having = {row.worker for row in self.having("running")}
        return [who for who, worker in enumerate(self.workers) if worker in having]

    # -- senders ---------------------------------------------------------------------------------

    @initialize(keys=some_keys)
    def begin(self, keys):
        for receiver in ORDERED:
            self.add(receiver, keys, due=True, how="commit")

    @rule(
        receiver=receivers,
        keys=some_keys,
        due=st.sampled_from([True, True, True, False]),
        how=st.sampled_from(["own", "commit", "roll back"]),
    )
    def add(self, receiver, keys, due, how):
        rows = []
        for key in keys:
            self.count += 1
            rows.append(Row(f"{self.count}", receiver, key, due))
        sent = [
            new(row.name, receiver=receiver, order_key=row.key, delay=0.0 if due else NEVER)
            for row in rows
        ]
        if how == "own":
            self.store.add(None, sent)
        else:
            with suppress(RollBackError), self.store.transaction() as handle:
                self.store.add(handle, sent[:1])
                self.store.add(handle, sent[1:])
                if how == "roll back":
                    raise RollBackError
        if how == "roll back":
            return
        found = {each.payload: each.id for each in self.store.find(DeliveryFilter(), limit=MANY)}
        for row in rows:
            row.id = found[row.name]
            self.rows[row.name] = row
        assert sorted(row.id for row in rows) == [row.id for row in rows]

    # -- workers ---------------------------------------------------------------------------------

    @precondition(lambda self: self.kinds(eligible=True))
    @rule(data=st.data(), who=st.integers(0, 1), limit=st.integers(1, 4), run=lengths)
    def claim(self, data, who, limit, run):
        receiver, exclusive = data.draw(st.sampled_from(self.kinds(eligible=True)))
        expected = min(limit, len(self.eligible(receiver, exclusive)))
        claimed = self.take(self.workers[who], receiver, limit, exclusive=exclusive, run=run)
        if not ORDERED[receiver]:
            assert expected == len(claimed)

    @precondition(lambda self: self.rows and self.kinds(eligible=False))
    @rule(data=st.data(), who=st.integers(0, 1))
    def claim_in_vain(self, data, who):
        receiver, exclusive = data.draw(st.sampled_from(self.kinds(eligible=False)))
        assert [] == self.take(self.workers[who], receiver, 4, exclusive=exclusive)

    @precondition(lambda self: self.busy())
    @rule(who=st.integers(0, 1), limit=st.integers(1, 4))
    def continue_run(self, who, limit):
        """Claim while the worker or the other one may hold deliveries of the keys."""
        self.take(self.workers[who], "ordered", limit, exclusive=False, run=4)

    def take(self, worker, receiver, limit, *, exclusive, run=1):
        """Claim, and check that the claim gets only eligible deliveries."""
        claimed = self.store.claim(
            worker, receiver, limit, ordered=ORDERED[receiver], exclusive=exclusive, run=run
        )
        assert len(claimed) <= limit
        for each in claimed:
            row = self.row(each)
            # One by one, because a claim has the deliveries of a key in their order.
            assert each.payload in self.eligible(receiver, exclusive, worker, run)
            row.status, row.worker = "running", worker
            row.attempts += 1
            assert (row.id, row.attempts, row.lost) == (each.id, each.attempt, each.lost_workers)
            assert (row.key, worker) == (each.order_key, each.worker)
            self.claims.append(each)
        return claimed

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def complete(self, data):
        some = data.draw(some_of(self.held()))
        assert len(some) == self.store.complete(some)
        for each in some:
            self.row(each).status = "done"

    @precondition(lambda self: self.held())
    @rule(data=st.data(), ending=endings)
    def complete_in(self, data, ending):
        claimed = data.draw(st.sampled_from(self.held()))
        with suppress(RollBackError), self.store.transaction() as session:
            assert self.store.complete_in(session, claimed)
            if ending == "roll back":
                raise RollBackError
        if ending == "commit":
            self.store.unblock([claimed])
            self.row(claimed).status = "done"

    @precondition(lambda self: self.held())
    @rule(data=st.data(), retry_in=st.sampled_from([0.0, NEVER, None]), counts=st.booleans())
    def fail(self, data, retry_in, counts):
        claimed = data.draw(st.sampled_from(self.held()))
        assert self.store.fail(claimed, AttemptFailure("no paper", None, retry_in, counts))
        row = self.row(claimed)
        row.wait(counts=counts, due=retry_in == 0.0)
        if retry_in is None:
            row.status = "dead"

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def release(self, data):
        some = data.draw(some_of(self.held()))
        assert len(some) == self.store.release(some)
        for each in some:
            self.row(each).wait(counts=False)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def lose(self, data):
        who = data.draw(st.sampled_from(self.busy()))
        worker, self.workers[who] = self.workers[who], register_worker(self.store, NEVER)
        self.rescue(worker)

    @precondition(lambda self: self.kinds(eligible=True))
    @rule(data=st.data(), times=st.integers(2, DEAD_AFTER + 1))
    def lose_several_workers(self, data, times):
        """Lose one worker after the other with the same delivery."""
        receiver, _ = data.draw(st.sampled_from(self.kinds(eligible=True)))
        for _ in range(times):
            worker = register_worker(self.store, NEVER)
            exclusive = bool(self.eligible(receiver, exclusive=True))
            self.take(worker, receiver, 1, exclusive=exclusive)
            self.rescue(worker)

    def rescue(self, worker):
        """Let a lease expire, and rescue its deliveries."""
        assert self.store.heartbeat(worker, 0.001)
        sleep(0.005)
        lost = [row for row in self.having("running") if row.worker == worker]
        assert len(lost) == self.store.rescue().deliveries
        assert not self.store.heartbeat(worker, NEVER)
        for row in lost:
            row.lost += 1
            row.wait(counts=row.is_quarantined)
            if row.lost >= DEAD_AFTER:
                row.status = "dead"

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def unregister_worker(self, data):
        who = data.draw(st.sampled_from(self.busy()))
        worker, self.workers[who] = self.workers[who], register_worker(self.store, NEVER)
        held = [row for row in self.having("running") if row.worker == worker]
        assert len(held) == self.store.unregister_worker(worker)
        assert [] == self.store.claim(worker, "free", 10, ordered=False)
        for row in held:
            row.wait(counts=False)

    @precondition(lambda self: len(self.claims) > len(self.held()))
    @rule(data=st.data())
    def report_too_late(self, data):
        """Check that a worker cannot end a delivery that it has lost."""
        claimed = data.draw(st.sampled_from([each for each in self.claims if not self.holds(each)]))
        assert 0 == self.store.complete([claimed])
        assert 0 == self.store.release([claimed])
        assert not self.store.fail(claimed, AttemptFailure("too late", retry_in=0.0))

    # -- operators -------------------------------------------------------------------------------

    @precondition(lambda self: self.having("dead", "discarded"))
    @rule(data=st.data())
    def replay(self, data):
        where, selected = data.draw(self.filters())
        again = [row for row in selected if row.status in {"dead", "discarded"}]
        assert len(again) == sum(self.store.replay(where))
        for row in again:
            row.wait()
            row.attempts = row.lost = 0

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def discard(self, data):
        where, selected = data.draw(self.filters())
        gone = [row for row in selected if row.status in {"waiting", "dead"}]
        assert len(gone) == sum(self.store.discard(where))
        for row in gone:
            row.status = "discarded"

    def filters(self):
        """Draw a filter: one delivery, or one receiver's deliveries in one state."""
        kinds = [st.just((DeliveryFilter(ids=[row.id]), [row])) for row in self.rows.values()]
        for name in ORDERED:
            for state in State:
                found = self.store.find(DeliveryFilter(receiver=name, states=[state]), limit=MANY)
                rows = [self.rows[each.payload] for each in found]
                kinds.append(st.just((DeliveryFilter(receiver=name, states=[state]), rows)))
        return st.one_of(kinds)

    @precondition(lambda self: not self.paused)
    @rule(receiver=receivers)
    def pause(self, receiver):
        assert self.store.pause(receiver)
        assert not self.store.pause(receiver)
        self.paused.add(receiver)

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self):
        receiver = self.paused.pop()
        assert self.store.resume(receiver)
        assert not self.store.resume(receiver)

    @precondition(lambda self: self.having("done", "discarded"))
    @rule()
    def prune(self):
        sleep(0.005)
        over = self.having("done", "discarded")
        assert len(over) == self.store.count_prunable(0.0)
        assert len(over) == sum(self.store.prune(0.0))
        for row in over:
            del self.rows[row.name]
        self.claims = [each for each in self.claims if each.payload in self.rows]

    @precondition(lambda self: len(self.having("waiting")) > 5)
    @rule(receiver=receivers)
    def work(self, receiver):
        """Run a worker until nothing is due; then nothing must be eligible."""
        worker = self.workers[0]
        for _ in range(100):
            self.store.repair_order()
            claimed = self.take(worker, receiver, 100, exclusive=False)
            claimed += self.take(worker, receiver, 1, exclusive=True)
            assert len(claimed) == self.store.complete(claimed)
            for each in claimed:
                self.row(each).status = "done"
            if not claimed and not any(due.seconds <= 0 for due in self.store.due([receiver])):
                break
        assert set() == self.eligible(receiver, exclusive=False) | self.eligible(
            receiver, exclusive=True
        )

    # -- invariants -----------------------------------------------------------------------------

    @invariant()
    def the_store_matches_the_model(self):
        """The store has the model's deliveries, states and counts."""
        found = self.store.find(DeliveryFilter(), limit=MANY)
        assert sorted(self.rows) == sorted(each.payload for each in found)
        for each in found:
            row = self.rows[each.payload]
            assert each.state in row.states(), (each, row)
            assert (row.attempts, row.lost) == (each.attempts, each.lost_workers)
            if row.status in {"running", "waiting"}:
                assert row.worker == each.worker

    @invariant()
    def due_receivers_are_listed(self):
        """An unordered receiver is due exactly if it has an eligible delivery."""
        listed = {
            due.exclusive
            for due in self.store.due(sorted(ORDERED))
            if due.receiver == "free" and due.seconds <= 0
        }
        expected = {exclusive for exclusive in (True, False) if self.eligible("free", exclusive)}
        assert expected == listed

    @invariant()
    def no_key_runs_twice(self):
        """The running deliveries of a key have one worker."""
        running = {
            (row.key, row.worker)
            for row in self.having("running")
            if ORDERED[row.receiver] and row.key is not None
        }
        assert len({key for key, _ in running}) == len(running)


def some_of(claims: list[ClaimedDelivery]):
    """Draw one or more."""
    return st.lists(st.sampled_from(claims), min_size=1, unique_by=lambda each: each.id)
