"""What a store promises about ordering keys."""

# ruff: noqa: PLR2004, S101, SIM300 - tests put what they expect first

from __future__ import annotations

from aldis.durable.store import Store
from aldis.durable.types import QUARANTINE_AFTER, AttemptFailure, DeliveryFilter, State
from aldis.testing.store.helpers import (
    RECEIVER,
    Clock,
    add,
    claim,
    delivery,
    is_due,
    names,
    new,
    register_worker,
    run_all,
    state,
)


class OrderTests(Clock):
    """The order of deliveries with the same ordering key."""

    def test_one_delivery_per_key(self, store: Store) -> None:
        """A claim gets the first delivery of each key, and all deliveries without a key."""
        for each in ("a1", "b1", "a2", "b2", "a3"):
            add(store, each, order_key=each[0])
        add(store, "free", "free too")
        worker, other = register_worker(store), register_worker(store)
        claimed = claim(store, worker, ordered=True)
        assert {"a1", "b1", "free", "free too"} == set(names(claimed))
        assert [] == claim(store, other, ordered=True)
        assert not is_due(store)

    def test_a_completion_unblocks_the_next(self, store: Store) -> None:
        """Each completion unblocks the next delivery of its key, and of no other key."""
        for each in ("a1", "a2", "a3", "b1", "b2"):
            add(store, each, order_key=each[0])
        worker = register_worker(store)
        a1, b1 = claim(store, worker, ordered=True)
        store.complete([a1])
        (a2,) = claim(store, worker, ordered=True)
        assert "a2" == a2.payload
        store.complete([a2, b1])
        assert {"a3", "b2"} == set(names(claim(store, worker, ordered=True)))

    def test_a_completion_in_a_transaction_unblocks_the_next(self, store: Store) -> None:
        """The next delivery is unblocked after the commit of the receiver's transaction."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        with store.transaction() as session:
            assert store.complete_in(session, a1)
        store.unblock([a1])
        assert ["a2"] == run_all(store, worker, ordered=True)

    def test_many_run_in_order(self, store: Store) -> None:
        """The deliveries of each key run in the order in which they were recorded."""
        sent = [(key, number) for number in range(20) for key in "abc"]
        store.add(None, [new(f"{key}{number}", order_key=key) for key, number in sent])
        order = run_all(store, register_worker(store), ordered=True)
        for key in "abc":
            expected = [f"{key}{number}" for number in range(20)]
            assert expected == [each for each in order if each[0] == key]

    def test_an_unordered_claim_ignores_keys(self, store: Store) -> None:
        """A claim that is not ordered gets every delivery of a key at once."""
        add(store, "a1", "a2", "a3", order_key="a")
        assert ["a1", "a2", "a3"] == names(claim(store, register_worker(store), ordered=False))

    def test_receivers_do_not_wait_for_each_other(self, store: Store) -> None:
        """Two receivers with the same key do not block each other."""
        add(store, "a1", order_key="a", receiver="one")
        add(store, "a2", order_key="a", receiver="two")
        worker = register_worker(store)
        assert ["a1"] == names(claim(store, worker, receiver="one", ordered=True))
        assert ["a2"] == names(claim(store, worker, receiver="two", ordered=True))

    def test_keys_are_compared_exactly(self, store: Store) -> None:
        """Keys that differ in case, accents or spaces are different; the empty key is a key."""
        keys = ["a", "A", "\u00e1", "aa", " a", "a%", "a_", "", "\u00df", "ss"]
        for number, key in enumerate(keys):
            add(store, f"{number}", order_key=key)
            add(store, f"{number} blocked", order_key=key)
        claimed = claim(store, register_worker(store), ordered=True)
        assert keys == [each.order_key for each in claimed]

    def test_a_retry_blocks_its_key(self, store: Store) -> None:
        """While a delivery waits for its next attempt, later ones with its key wait."""
        add(store, "a1", "a2", order_key="a")
        add(store, "b1", order_key="b")
        worker = register_worker(store)
        a1, b1 = claim(store, worker, ordered=True)
        store.fail(a1, AttemptFailure("no paper", retry_in=self.delay))
        store.complete([b1])
        assert [] == run_all(store, worker, ordered=True)
        self.later(self.delay + 0.1)
        assert ["a1", "a2"] == run_all(store, worker, ordered=True)

    def test_a_delay_blocks_its_key(self, store: Store) -> None:
        """While a delivery is not due, later ones with its key wait."""
        add(store, "a1", order_key="a", delay=self.delay)
        add(store, "a2", order_key="a")
        worker = register_worker(store)
        assert [] == run_all(store, worker, ordered=True)
        self.later(self.delay + 0.1)
        assert ["a1", "a2"] == run_all(store, worker, ordered=True)

    def test_a_dead_letter_blocks_its_key_until_it_is_replayed(self, store: Store) -> None:
        """No delivery overtakes a dead letter; after a replay it runs first."""
        worker = self.make_dead_letter(store)
        assert [] == run_all(store, worker, ordered=True)
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DEAD])))
        assert ["a1", "a2", "a3"] == run_all(store, worker, ordered=True)

    def test_a_dead_letter_blocks_its_key_until_it_is_discarded(self, store: Store) -> None:
        """No delivery overtakes a dead letter; after a discard the others run."""
        worker = self.make_dead_letter(store)
        assert [] == run_all(store, worker, ordered=True)
        assert 1 == sum(store.discard(DeliveryFilter(states=[State.DEAD])))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_discarding_a_blocked_delivery(self, store: Store) -> None:
        """If a blocked delivery is discarded, the one after it still waits for its turn."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        assert [] == claim(store, worker, ordered=True)
        assert 1 == sum(store.discard(DeliveryFilter(ids=[delivery(store, "a2").id])))
        assert [] == run_all(store, worker, ordered=True)
        store.complete([a1])
        assert ["a3"] == run_all(store, worker, ordered=True)

    def test_discarding_a_due_delivery(self, store: Store) -> None:
        """A delivery that a discard unblocks is not discarded, too."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        store.release(claim(store, worker, ordered=True))
        assert 1 == sum(store.discard(DeliveryFilter(states=[State.PENDING])))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_a_replayed_delivery_waits(self, store: Store) -> None:
        """A replayed delivery waits for a later one that runs, and runs before the next."""
        add(store, "a1", "a2", "a3", order_key="a")
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "a1").id])))
        worker = register_worker(store)
        (a2,) = claim(store, worker, ordered=True)
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert [] == run_all(store, worker, ordered=True)
        store.complete([a2])
        assert ["a1", "a3"] == run_all(store, worker, ordered=True)

    def test_a_failed_delivery_lets_an_earlier_one_run(self, store: Store) -> None:
        """A replayed earlier delivery runs before the retry of a later one."""
        add(store, "a1", "a2", order_key="a")
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "a1").id])))
        worker = register_worker(store)
        (a2,) = claim(store, worker, ordered=True)
        sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert [] == run_all(store, worker, ordered=True)
        store.fail(a2, AttemptFailure("no paper", retry_in=0.0))
        run_all(store, worker, ordered=True)
        store.repair_order()
        run_all(store, worker, ordered=True)
        assert State.DONE is state(store, "a1")
        assert State.DONE is state(store, "a2")

    def test_a_lost_delivery_keeps_its_place(self, store: Store) -> None:
        """The delivery of a lost worker runs before the others of its key."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        claim(store, worker, ordered=True)
        assert 1 == self.lose(store, worker)
        assert ["a1", "a2"] == run_all(store, register_worker(store), ordered=True)

    def test_a_released_delivery_keeps_its_place(self, store: Store) -> None:
        """A released delivery runs before the others of its key."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        store.release(claim(store, worker, ordered=True))
        claim(store, worker, ordered=True)
        store.unregister_worker(worker)
        assert ["a1", "a2"] == run_all(store, register_worker(store), ordered=True)

    def test_a_quarantined_delivery_blocks_its_key(self, store: Store) -> None:
        """Later deliveries wait until the quarantined one has run."""
        add(store, "a1", "a2", order_key="a")
        for _ in range(QUARANTINE_AFTER):
            worker = register_worker(store)
            assert ["a1"] == names(claim(store, worker, ordered=True))
            self.lose(store, worker)
        worker = register_worker(store)
        assert [] == claim(store, worker, ordered=True)
        quarantined = claim(store, worker, ordered=True, exclusive=True)
        assert ["a1"] == names(quarantined)
        store.complete(quarantined)
        assert ["a2"] == run_all(store, worker, ordered=True)

    def test_a_blocked_quarantined_delivery_is_not_due(self, store: Store) -> None:
        """A quarantined delivery that must wait for its turn is not due."""
        add(store, "a1", "a2", order_key="a")
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "a1").id])))
        for _ in range(QUARANTINE_AFTER):
            worker = register_worker(store)
            assert ["a2"] == names(claim(store, worker, ordered=True))
            self.lose(store, worker)
        sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        assert [] == claim(store, worker, ordered=True, exclusive=True)
        assert not is_due(store)
        store.complete([a1])
        assert [True] == [due.exclusive for due in store.due([RECEIVER])]
        assert ["a2"] == names(claim(store, worker, ordered=True, exclusive=True))

    def test_a_repair_keeps_the_order(self, store: Store) -> None:
        """``repair_order`` does not unblock a delivery that must wait."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        assert [] == claim(store, worker, ordered=True)
        assert 0 == store.repair_order()
        store.fail(a1, AttemptFailure("gave up"))
        assert 0 == store.repair_order()
        assert [] == run_all(store, worker, ordered=True)

    def test_a_run_is_claimed_in_order(self, store: Store) -> None:
        """A claim of runs gets several deliveries of each key, in their order."""
        for each in ("a1", "b1", "a2", "b2", "a3", "a4"):
            add(store, each, order_key=each[0])
        got = names(claim(store, register_worker(store), ordered=True, run=3))
        assert ["a1", "a2", "a3"] == [each for each in got if each[0] == "a"]
        assert ["b1", "b2"] == [each for each in got if each[0] == "b"]

    def test_a_run_goes_on_at_its_worker_only(self, store: Store) -> None:
        """The worker of a run gets its next deliveries; another worker waits for its end."""
        add(store, "a1", "a2", order_key="a")
        worker, other = register_worker(store), register_worker(store)
        run = claim(store, worker, ordered=True, run=9)
        add(store, "a3", order_key="a")
        assert ["a3"] == names(claim(store, worker, ordered=True, run=9))
        add(store, "a4", order_key="a")
        assert [] == claim(store, other, ordered=True, run=9)
        assert 2 == store.complete(run)
        assert [] == claim(store, other, ordered=True, run=9)

    def test_a_run_has_a_length(self, store: Store) -> None:
        """The worker of a run gets no more than its length; what runs already counts."""
        add(store, "a1", "a2", "a3", "a4", order_key="a")
        worker = register_worker(store)
        a1, a2 = claim(store, worker, ordered=True, run=2)
        assert [] == claim(store, worker, ordered=True, run=2)
        store.complete([a1])
        assert ["a3"] == names(claim(store, worker, ordered=True, run=2))
        store.complete([a2])
        assert ["a4"] == names(claim(store, worker, ordered=True, run=2))

    def test_a_run_includes_blocked_deliveries(self, store: Store) -> None:
        """Deliveries that were blocked by the one before them are part of the next run."""
        add(store, "a1", "a2", "a3", "a4", order_key="a")
        worker = register_worker(store)
        store.complete(claim(store, worker, ordered=True))
        assert ["a2", "a3", "a4"] == names(claim(store, worker, ordered=True, run=9))

    def test_a_run_keeps_to_the_limit(self, store: Store) -> None:
        """A claim gets no more than its limit, and each key gets a part of it."""
        for number in range(6):
            add(store, f"a{number}", order_key="a")
        for number in range(6):
            add(store, f"b{number}", order_key="b")
        worker = register_worker(store)
        store.complete(claim(store, worker, ordered=True))
        got = names(claim(store, worker, 4, ordered=True, run=9))
        assert len(got) <= 4
        for key in "ab":
            mine = [each for each in got if each[0] == key]
            assert [f"{key}{1 + number}" for number in range(len(mine))] == mine

    def test_a_failure_in_a_run_comes_before_the_rest(self, store: Store) -> None:
        """A worker releases the rest of the run, and the failed delivery runs first."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        a1, a2, a3 = claim(store, worker, ordered=True, run=9)
        assert 1 == store.complete([a1])
        assert 1 == store.release([a3])
        assert [] == run_all(store, worker, ordered=True)
        assert store.fail(a2, AttemptFailure("no paper", retry_in=0.0))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_a_dead_letter_in_a_run_blocks_the_rest(self, store: Store) -> None:
        """After a dead letter in the middle, the rest of the run waits for its replay."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        a1, a2, a3 = claim(store, worker, ordered=True, run=9)
        store.complete([a1])
        store.release([a3])
        store.fail(a2, AttemptFailure("gave up"))
        assert [] == claim(store, worker, ordered=True, run=9)
        sum(store.replay(DeliveryFilter(states=[State.DEAD])))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_a_lost_run_keeps_its_order(self, store: Store) -> None:
        """The deliveries of a lost worker's run run in their order."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        assert 3 == len(claim(store, worker, ordered=True, run=9))
        assert 3 == self.lose(store, worker)
        other = register_worker(store)
        assert ["a1", "a2", "a3"] == names(claim(store, other, ordered=True, run=9))

    def test_an_earlier_delivery_does_not_join_a_run(self, store: Store) -> None:
        """A replayed delivery waits until the later ones of a run have ended."""
        add(store, "a1", "a2", "a3", order_key="a")
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "a1").id])))
        worker = register_worker(store)
        run = claim(store, worker, ordered=True, run=9)
        assert ["a2", "a3"] == names(run)
        sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert [] == claim(store, worker, ordered=True, run=9)
        store.complete(run)
        assert ["a1"] == names(claim(store, worker, ordered=True, run=9))

    def test_a_paused_receiver_begins_no_run(self, store: Store) -> None:
        """A run does not go on while its receiver is paused."""
        add(store, "a1", order_key="a")
        worker = register_worker(store)
        claim(store, worker, ordered=True, run=9)
        add(store, "a2", order_key="a")
        store.pause(RECEIVER)
        assert [] == claim(store, worker, ordered=True, run=9)

    def make_dead_letter(self, store: Store) -> str:
        """Record three deliveries with one key and make the first a dead letter."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        store.fail(a1, AttemptFailure("gave up"))
        return worker
