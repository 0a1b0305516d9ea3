"""``aldis worker --reload``: the worker starts again when a file changes."""

import signal

import pytest

from tests.cli.durable_shop import send, wait_for, working

pytestmark = pytest.mark.slow


def test_a_changed_file(shop):
    """A change of a module starts the worker again; a broken module waits for the next change."""
    pytest.importorskip("watchfiles")
    with working(shop, "--app", "shop", "--reload") as worker:
        worker.read_until("billing.receipt of order_paid")
        source = (shop.folder / "receivers.py").read_text()
        shop.write("receivers.py", source.replace("done-", "again-"))
        worker.read_until("receivers.py changed; the worker starts again")
        worker.read_until("billing.receipt of order_paid")
        send(shop, 1)
        wait_for((shop.folder / "again-1").exists)
        shop.write("receivers.py", "this is no Python")
        worker.read_until("the worker has ended; it starts again when a file changes")
        shop.write("receivers.py", source)
        worker.read_until("billing.receipt of order_paid")
        code, output = worker.end(signal.SIGTERM)
    assert 0 == code
    assert "SIGTERM: waiting for running receivers" in output


def test_without_watchfiles(shop):
    """If watchfiles is missing, the command names the extra."""
    shop.write("watchfiles.py", "raise ModuleNotFoundError(name='watchfiles')")
    with working(shop, "--app", "shop", "--reload", PYTHONPATH=str(shop.folder)) as worker:
        code, output = worker.end(None)
    assert 2 == code
    assert "aldis[reload]" in output
    assert "Traceback" not in output
