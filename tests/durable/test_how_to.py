"""The pages on durable receivers: their examples run."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from aldis.durable.store.sql.migrate import upgrade
from aldis.durable.types import DeliveryFilter
from aldis.testing import drain

pytest_plugins = ["pytester"]

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page):
    """Return a page's examples."""
    return re.findall(
        r"^```python\n(.*?)^```", (GUIDES / page).read_text(), re.MULTILINE | re.DOTALL
    )


def test_the_examples_of_receivers_run(tmp_path, monkeypatch, aldis_clean):
    """The examples of the guide together are a program that delivers its sends."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "durable_receivers"}
    for code in blocks("durable-receivers.md"):
        if "Flask(" not in code:
            exec(code, names)  # noqa: S102 - the guide's own examples
    assert 1 == drain(names["outbox"], receivers=["billing.receipt"]).done
    with names["Session"](names["engine"]) as session:
        assert 1 == session.get(names["Order"], 7).receipts
    names["engine"].dispose()


def test_the_example_of_flask_is_complete(tmp_path, monkeypatch, aldis_clean):
    """It needs nothing of the others: an order is paid, and its receipt written."""
    pytest.importorskip("flask_sqlalchemy")
    monkeypatch.chdir(tmp_path)
    (code,) = (each for each in blocks("durable-receivers.md") if "Flask(" in each)
    names = {"__name__": "shop_of_the_guide"}
    exec(code, names)  # noqa: S102 - the guide's own example
    app, db, order = names["app"], names["db"], names["Order"]
    with app.app_context():
        upgrade(db.engine)  # as `aldis db upgrade` does
    assert "paid\n" == app.test_client().post("/pay/7").text
    assert 1 == drain(app=app).done
    with app.app_context():
        assert 1 == db.session.get(order, 7).receipts
    with app.app_context():  # another one: the first has a connection until its end
        db.engine.dispose()


def test_the_examples_of_tests_pass(pytester):
    """Put together they are a test module whose tests pass."""
    pytester.makeini(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\nusefixtures = aldis_clean\n"
    )
    pytester.makepyfile("\n".join(blocks("test-durable-receivers.md")))
    pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "aldis.as_blinker"
    ).assert_outcomes(passed=5)


def test_the_hand_over_to_celery(tmp_path, monkeypatch, aldis_clean):
    """The task that reaches Celery's broker has the delivery's key as its id, at each attempt."""
    pytest.importorskip("celery")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "celery_shop"}
    for code in blocks("hand-over-to-celery.md"):
        exec(code, names)  # noqa: S102 - the guide's own example
    outbox, jobs = names["outbox"], names["jobs"]
    upgrade(outbox.engine)
    with Session(outbox.engine) as session, outbox.using(session), session.begin():
        names["order_paid"].send("harbour", order_id=7)
    assert 1 == drain(outbox).done
    (delivery,) = outbox.store.find(DeliveryFilter(), limit=9)
    with outbox.engine.begin() as connection:  # the completion was lost
        connection.execute(text("UPDATE aldis_deliveries SET state = 0"))
    assert 1 == drain(outbox).done
    with jobs.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        first, second = queue.get(block=False), queue.get(block=False)
        assert delivery.key == first.headers["id"] == second.headers["id"]
        assert [7] == first.payload[0]
        queue.close()
    outbox.engine.dispose()


def test_the_examples_of_production_are_valid():
    """The engine for PgBouncer can be made, and the outbox on it."""
    pytest.importorskip("psycopg")
    names = {"__name__": "production"}
    for code in blocks("durable-in-production.md"):
        exec(code, names)  # noqa: S102 - the guide's own example
