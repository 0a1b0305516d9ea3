"""The pages on durable receivers: their examples run."""

import re
from pathlib import Path

import pytest

from aldis.testing import drain

pytest_plugins = ["pytester"]

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page):
    """Return a page's examples."""
    return re.findall(
        r"^```python\n(.*?)^```", (GUIDES / page).read_text(), re.MULTILINE | re.DOTALL
    )


def test_the_examples_of_receivers_run(tmp_path, monkeypatch, aldis_clean):
    """Put together they are a program; what it has recorded is delivered."""
    pytest.importorskip("flask_sqlalchemy")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "durable_receivers"}
    for code in blocks("durable-receivers.md"):
        exec(code, names)  # noqa: S102 - the guide's own examples
    assert 1 == drain(names["outbox"], receivers=["billing.receipt"]).done
    with names["Session"](names["engine"]) as session:
        assert 1 == session.get(names["Order"], 7).receipts
    names["engine"].dispose()
    with names["app"].app_context():
        names["db"].engine.dispose()


def test_the_examples_of_tests_pass(pytester):
    """Put together they are a test module whose tests pass."""
    pytester.makeini(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\nusefixtures = aldis_clean\n"
    )
    pytester.makepyfile("\n".join(blocks("test-durable-receivers.md")))
    pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "aldis.as_blinker"
    ).assert_outcomes(passed=5)
