"""Random sequences of steps have the same result in a store and in a simple model."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from aldis.durable.store.memory import MemoryStore
from tests.durable.stores.conftest import emptied
from tests.durable.stores.machine import StoreMachine
from tests.sizes import sized

#: How many examples each database is given time for.
EXAMPLES = {"sqlite": sized(8, 100), "postgresql": sized(4, 50), "mariadb": sized(4, 50)}


def drive(make, examples):
    """Search for a sequence of steps after which the store and the model differ."""
    run_state_machine_as_test(
        lambda: StoreMachine(make()),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            # Without the last, which explains: it takes longer than a test may.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_memory_keeps_its_promises():
    """The store in memory behaves like the model."""
    drive(MemoryStore, sized(40, 1000))


@pytest.mark.slow
def test_sql_keeps_its_promises(sql_store):
    """The SQL store behaves like the model."""
    drive(lambda: emptied(sql_store), EXAMPLES[sql_store.engine.dialect.name])
