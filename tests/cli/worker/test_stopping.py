"""A process manager stops ``aldis worker`` with signals."""

import signal
import time

import pytest

from tests.cli.durable_shop import DONE, PENDING, send, states, wait_for, working
from tests.cli.support import ALDIS, CLOSED


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_running_receivers_may_finish(self, shop, number):
        """After a signal, running receivers finish, and no other receiver begins."""
        send(shop, 100, 101)
        with working(shop, "--app", "shop", "--concurrency", "1") as worker:
            wait_for((shop.folder / "begun-100").exists)
            worker.send_signal(number)
            worker.read_until(f"{number.name}: waiting for running receivers")
            (shop.folder / "go-100").touch()
            code, output = worker.end(None)
        assert 0 == code
        assert ": 1 done, 0 failed" in output
        assert [(DONE, 1), (PENDING, 0)] == states(shop)
        assert not (shop.folder / "begun-101").exists()

    def test_a_second_signal_stops_at_once(self, shop):
        """A second signal releases running deliveries and exits with 130."""
        send(shop, 100)
        with working(shop) as worker:
            wait_for((shop.folder / "begun-100").exists)
            worker.send_signal(signal.SIGINT)
            worker.read_until("SIGINT: waiting for running receivers")
            began = time.monotonic()
            code, output = worker.end(signal.SIGINT)
        assert 130 == code
        assert time.monotonic() - began < 5
        assert "0 done, 0 failed, 1 given back\n" in output
        assert [(PENDING, 0)] == states(shop)

    def test_the_end_of_the_grace_period(self, shop):
        """After the grace period, the worker exits with 0."""
        send(shop, 100)
        with working(shop, "--app", "shop", "--grace", "0.3s") as worker:
            wait_for((shop.folder / "begun-100").exists)
            code, output = worker.end()
        assert 0 == code
        assert "1 receiver has not returned within 0.3 s" in output
        assert "0 done, 0 failed, 1 given back\n" in output
        assert [(PENDING, 0)] == states(shop)

    def test_an_idle_worker_ends_at_once(self, shop):
        """A worker without running receivers does not wait."""
        with working(shop) as worker:
            worker.read_until("billing.receipt of order_paid")
            began = time.monotonic()
            code, output = worker.end()
        assert (0, True) == (code, output.endswith(": 0 done, 0 failed\n"))
        assert time.monotonic() - began < 5

    def test_the_children_of_receivers_react_to_signals(self, shop):
        """SIGTERM ends a program that a receiver has started."""
        shop.write(
            "more.py",
            """
            import subprocess
            from shop import *
            from receivers import *

            @order_paid.connect
            @durable("child")
            def child(sender, **extra):
                process = subprocess.Popen(["sleep", "30"])
                process.terminate()
                Path(f"ended-{-process.wait(10)}").touch()
            """,
        )
        source = (shop.folder / "send.py").read_text().replace("from shop", "from more")
        (shop.folder / "send.py").write_text(source)
        send(shop, 1)
        with working(shop, "--app", "more") as worker:
            wait_for((shop.folder / "ended-15").exists)
            assert 0 == worker.end()[0]

    def test_a_worker_runs_without_a_standard_error(self, shop):
        """Nothing reads the errors of the worker. It still runs deliveries and ends."""
        send(shop, 1, 13)
        process = shop.start(*ALDIS, "worker", "--app", "shop", err=CLOSED)
        try:
            wait_for((shop.folder / "done-1").exists)
            process.terminate()
            assert 0 == process.wait(20)
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()
