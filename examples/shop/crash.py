"""The shop in a process of its own, which the demo kills and starts again.

The demo starts this module twice, on one database. The first time the printer is slow: the demo
kills the process while the worker prints a receipt. The second time the worker prints that receipt.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from threading import Event, Thread
from time import monotonic, sleep

from werkzeug.serving import make_server

from aldis.durable.types import UNFINISHED, DeliveryFilter, State
from aldis.observe import TracedRequest, trace
from examples.shop.app import create_app
from examples.shop.backroom import LEASE, working
from examples.shop.server import talk_quietly, warm_up
from examples.shop.visitor import Visitor

SLOW = 60.0  # seconds
PATIENCE = 20.0
LAMP = "1"
OPEN, PRINTING, PRINTED = "The shop is open: ", "The printer prints", "The printer is done"

PAID = (
    "The shop runs in another process, together with a worker. The visitor pays an order. "
    "print_receipt is durable: the send records it in the order's transaction, and the worker "
    "starts to run it."
)
KILLED = (
    "The demo killed the process (SIGKILL) while print_receipt ran, and started the shop again. "
    "The lease of the first worker has expired, so the second worker runs print_receipt. The "
    "receipt is printed once."
)


# -- what the demo does ------------------------------------------------------------------------


def show(number: int) -> bool:
    """Pay, kill, restart, and print the trees; return whether the receipt was printed once."""
    visitor = Visitor()
    with TemporaryDirectory(prefix="shop-") as folder:
        file = Path(folder, "shop.db")
        print(fill(f"{number}. {PAID}", 79))
        with _process(file, SLOW) as (process, address):
            visitor.open(f"{address}cart", {"product": LAMP, "quantity": "1"})
            paid = visitor.open(f"{address}pay", {"branch": "Harbour"})
            _relay(process, PRINTING)
            process.kill()
        print()
        sleep(LEASE)
        print(fill(f"{number + 1}. {KILLED}", 79))
        with _process(file, 0.0) as (process, address):
            _relay(process, PRINTED)
            order = visitor.open(f"{address}orders/1")
        print(flush=True)
    return paid.status == 200 and order.text.count("receipt printed") == 1


@contextmanager
def _process(file: Path, printer: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the shop in a process while the block runs; yield the process and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.shop.crash", str(file), str(printer)],
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process, _relay(process, OPEN).removeprefix(OPEN)
        finally:
            process.kill()


def _relay(process: subprocess.Popen[str], until: str) -> str:
    """Print the output of the process up to a line that begins with ``until``; return that line."""
    for line in process.stdout or ():
        if line.startswith(until):
            return line.rstrip()
        print(line, end="")
    message = f"the shop ended before it printed {until!r}"
    raise RuntimeError(message)


# -- what the process does ---------------------------------------------------------------------


def main() -> None:
    """Open the shop on a database file, with a printer that needs some seconds for a receipt."""
    talk_quietly()
    file, printer = Path(sys.argv[1]), float(sys.argv[2])
    paid = Event()

    def show_payment(visit: TracedRequest) -> None:
        if (visit.method, visit.path) == ("POST", "/pay"):
            visit.trace.print(str(visit))
            paid.set()

    app = create_app(file, trace=show_payment)
    app.config["PRINTER_SECONDS"] = printer
    warm_up(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"{OPEN}http://{server.host}:{server.port}/", flush=True)
    store = app.extensions["aldis"].outbox.store
    if printer:
        with working(app):
            _wait(lambda: store.count(DeliveryFilter(states=[State.RUNNING])) > 0)
            paid.wait(PATIENCE)
            print(PRINTING, flush=True)
            sleep(printer)
        return
    started = monotonic()
    with trace() as seen, working(app):
        _wait(lambda: store.count(DeliveryFilter(states=UNFINISHED)) == 0)
    seen.print(f"worker -> 1 delivery, {(monotonic() - started) * 1000:.1f} ms")
    print(PRINTED, flush=True)
    sleep(SLOW)


def _wait(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition() and monotonic() < end:
        sleep(0.01)


if __name__ == "__main__":
    main()
