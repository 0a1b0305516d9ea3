"""Operators read the newest deliveries, or those of one send, without a look at all rows.

The databases choose plans. SQLite shows its plan in words, so these tests read it there.
"""

import pytest
from sqlalchemy import MetaData, create_engine, event, insert

from aldis.durable.store.sql import migrate
from aldis.durable.store.sql.store import SqlStore
from aldis.durable.store.sql.tables import tables
from aldis.durable.types import DeliveryFilter, State

ROWS = 2_000


@pytest.fixture(scope="module", params=[False, True], ids=["no statistics", "statistics"])
def store(request, tmp_path_factory):
    """Return a store on SQLite with many completed deliveries."""
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'shop.db'}")
    migrate.upgrade(engine)
    done = [
        {
            "emission_id": f"{number:032x}",
            "receiver": "receipt",
            "signal": "order-paid",
            "payload": "{}",
            "state": State.DONE,
        }
        for number in range(ROWS)
    ]
    with engine.begin() as connection:
        connection.execute(insert(tables(MetaData()).deliveries), done)
        if request.param:
            connection.exec_driver_sql("ANALYZE")
    yield SqlStore(engine)
    engine.dispose()


def plan_of(store, where):
    """Return SQLite's plan for the query that finds the newest of the selected deliveries."""
    seen = []

    def note(connection, cursor, statement, parameters, *_):
        seen.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        assert store.find(where, limit=50, newest_first=True)
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    (statement, parameters) = next(each for each in seen if each[0].startswith("SELECT"))
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("receiver", [None, "receipt"])
@pytest.mark.parametrize("states", [None, [State.DONE], [State.DONE, State.DEAD], list(State)])
def test_the_newest_deliveries_are_not_sorted(store, states, receiver):
    """The newest of nearly all rows are read from the end of the table."""
    plan = plan_of(store, DeliveryFilter(states=states, receiver=receiver))
    assert "TEMP B-TREE" not in plan
    assert "USING INDEX" not in plan


def test_the_deliveries_of_a_send_are_found_by_an_index(store):
    """The id of a send leads to its rows."""
    plan = plan_of(store, DeliveryFilter(emission_id=f"{ROWS // 2:032x}"))
    assert "ix_aldis_deliveries_emission" in plan
