"""The order of what has the same key."""

# ruff: noqa: S101, SIM300 - tests put what they expect first

from __future__ import annotations

from aldis.durable.store import Store
from aldis.durable.types import QUARANTINE_AFTER, AttemptFailure, DeliveryFilter, State
from aldis.testing.store.steps import (
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
    """Order by key."""

    def test_one_at_a_time_for_each_key(self, store: Store) -> None:
        """A claim has the first of each key, and all that have none."""
        for each in ("a1", "b1", "a2", "b2", "a3"):
            add(store, each, order_key=each[0])
        add(store, "free", "free too")
        worker, other = register_worker(store), register_worker(store)
        claimed = claim(store, worker, ordered=True)
        assert {"a1", "b1", "free", "free too"} == set(names(claimed))
        assert [] == claim(store, other, ordered=True)
        assert not is_due(store)

    def test_the_next_has_its_turn_when_one_is_done(self, store: Store) -> None:
        """Each completion frees the next of its key, and of no other."""
        for each in ("a1", "a2", "a3", "b1", "b2"):
            add(store, each, order_key=each[0])
        worker = register_worker(store)
        a1, b1 = claim(store, worker, ordered=True)
        store.complete([a1])
        (a2,) = claim(store, worker, ordered=True)
        assert "a2" == a2.payload
        store.complete([a2, b1])
        assert {"a3", "b2"} == set(names(claim(store, worker, ordered=True)))

    def test_completion_in_a_transaction_frees_the_next(self, store: Store) -> None:
        """The next of the key has its turn once the receiver's transaction is committed."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        with store.transaction() as session:
            assert store.complete_in(session, a1)
        assert ["a2"] == run_all(store, worker, ordered=True)

    def test_all_come_in_order(self, store: Store) -> None:
        """However many there are, and however they are claimed, each key's come in its order."""
        sent = [(key, number) for number in range(20) for key in "abc"]
        store.add(None, [new(f"{key}{number}", order_key=key) for key, number in sent])
        turns = run_all(store, register_worker(store), ordered=True)
        for key in "abc":
            expected = [f"{key}{number}" for number in range(20)]
            assert expected == [each for each in turns if each[0] == key]

    def test_keys_do_not_matter_to_who_has_no_order(self, store: Store) -> None:
        """A receiver that does not ask for order gets all at once."""
        add(store, "a1", "a2", "a3", order_key="a")
        assert ["a1", "a2", "a3"] == names(claim(store, register_worker(store), ordered=False))

    def test_receivers_do_not_wait_for_each_other(self, store: Store) -> None:
        """The same key of another receiver is another key."""
        add(store, "a1", order_key="a", receiver="one")
        add(store, "a2", order_key="a", receiver="two")
        worker = register_worker(store)
        assert ["a1"] == names(claim(store, worker, receiver="one", ordered=True))
        assert ["a2"] == names(claim(store, worker, receiver="two", ordered=True))

    def test_keys_are_compared_to_the_letter(self, store: Store) -> None:
        """Keys that differ in case or in accents are different, and the empty one is one, too."""
        keys = ["a", "A", "\u00e1", "aa", " a", "a%", "a_", "", "\u00df", "ss"]
        for number, key in enumerate(keys):
            add(store, f"{number}", order_key=key)
            add(store, f"{number} behind", order_key=key)
        claimed = claim(store, register_worker(store), ordered=True)
        assert keys == [each.order_key for each in claimed]

    def test_what_is_tried_again_blocks_its_key(self, store: Store) -> None:
        """A later one waits while an earlier one waits for its next attempt; no other key does."""
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
        """A later one waits while an earlier one is not due."""
        add(store, "a1", order_key="a", delay=self.delay)
        add(store, "a2", order_key="a")
        worker = register_worker(store)
        assert [] == run_all(store, worker, ordered=True)
        self.later(self.delay + 0.1)
        assert ["a1", "a2"] == run_all(store, worker, ordered=True)

    def test_a_dead_letter_blocks_its_key_until_it_is_replayed(self, store: Store) -> None:
        """Nothing overtakes it; replayed, it comes first."""
        worker = self.bury(store)
        assert [] == run_all(store, worker, ordered=True)
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DEAD])))
        assert ["a1", "a2", "a3"] == run_all(store, worker, ordered=True)

    def test_a_dead_letter_blocks_its_key_until_it_is_discarded(self, store: Store) -> None:
        """Nothing overtakes it; discarded, it lets the others go on."""
        worker = self.bury(store)
        assert [] == run_all(store, worker, ordered=True)
        assert 1 == sum(store.discard(DeliveryFilter(states=[State.DEAD])))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_discarding_what_is_behind_lets_nothing_overtake(self, store: Store) -> None:
        """What stands behind one that runs waits for that, whatever goes in between."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        assert [] == claim(store, worker, ordered=True)
        assert 1 == sum(store.discard(DeliveryFilter(ids=[delivery(store, "a2").id])))
        assert [] == run_all(store, worker, ordered=True)
        store.complete([a1])
        assert ["a3"] == run_all(store, worker, ordered=True)

    def test_discarding_what_is_due_leaves_what_is_behind(self, store: Store) -> None:
        """What becomes due by that was not meant: a choice is not made anew on the way."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        store.release(claim(store, worker, ordered=True))
        assert 1 == sum(store.discard(DeliveryFilter(states=[State.PENDING])))
        assert ["a2", "a3"] == run_all(store, worker, ordered=True)

    def test_what_is_replayed_waits_for_what_runs(self, store: Store) -> None:
        """An earlier one that comes back does not run beside a later one, but before the next."""
        add(store, "a1", "a2", "a3", order_key="a")
        sum(store.discard(DeliveryFilter(ids=[delivery(store, "a1").id])))
        worker = register_worker(store)
        (a2,) = claim(store, worker, ordered=True)
        assert 1 == sum(store.replay(DeliveryFilter(states=[State.DISCARDED])))
        assert [] == run_all(store, worker, ordered=True)
        store.complete([a2])
        assert ["a1", "a3"] == run_all(store, worker, ordered=True)

    def test_a_later_one_that_failed_lets_an_earlier_one_go_first(self, store: Store) -> None:
        """Whatever came back in front of it meanwhile runs before its next attempt."""
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

    def test_what_was_lost_keeps_its_place(self, store: Store) -> None:
        """When a worker is lost, its delivery comes before the others of its key."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        claim(store, worker, ordered=True)
        assert 1 == self.lose(store, worker)
        assert ["a1", "a2"] == run_all(store, register_worker(store), ordered=True)

    def test_what_came_back_keeps_its_place(self, store: Store) -> None:
        """When a worker gives back or retires, its delivery comes before the others of its key."""
        add(store, "a1", "a2", order_key="a")
        worker = register_worker(store)
        store.release(claim(store, worker, ordered=True))
        claim(store, worker, ordered=True)
        store.unregister_worker(worker)
        assert ["a1", "a2"] == run_all(store, register_worker(store), ordered=True)

    def test_a_suspect_blocks_its_key(self, store: Store) -> None:
        """A later one waits until what runs alone has run."""
        add(store, "a1", "a2", order_key="a")
        for _ in range(QUARANTINE_AFTER):
            worker = register_worker(store)
            assert ["a1"] == names(claim(store, worker, ordered=True))
            self.lose(store, worker)
        worker = register_worker(store)
        assert [] == claim(store, worker, ordered=True)
        suspect = claim(store, worker, ordered=True, exclusive=True)
        assert ["a1"] == names(suspect)
        store.complete(suspect)
        assert ["a2"] == run_all(store, worker, ordered=True)

    def test_a_suspect_that_is_blocked_blocks_nobody(self, store: Store) -> None:
        """What would run alone, but has to wait for its turn, is not due: others can go on."""
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

    def test_mending_frees_nothing_that_has_to_wait(self, store: Store) -> None:
        """What stands behind another one stays there."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        assert [] == claim(store, worker, ordered=True)
        assert 0 == store.repair_order()
        store.fail(a1, AttemptFailure("gave up"))
        assert 0 == store.repair_order()
        assert [] == run_all(store, worker, ordered=True)

    def bury(self, store: Store) -> str:
        """Make the first of three with one key a dead letter."""
        add(store, "a1", "a2", "a3", order_key="a")
        worker = register_worker(store)
        (a1,) = claim(store, worker, ordered=True)
        store.fail(a1, AttemptFailure("gave up"))
        return worker
