"""Print how many files of aldis five operations pass through, as a Markdown table.

A file counts when one of its functions is called. A change of file counts when a call enters
another file than the previous call in the same thread. The figures are measured with
``sys.setprofile`` on the Python engine.

Usage: ``python tools/path_lengths.py [--files] [TREE]``. TREE is the root of a checkout, by default
the one that this script belongs to. ``--files`` also lists the files of each operation.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

#: The most files and changes of file that each operation may need.
GOALS: Final = {
    "connect": (5, 8),
    "first send": (5, 14),
    "durable connect": (14, 34),
    "durable send and commit": (14, 36),
    "worker that runs two deliveries": (18, 90),
}

#: How many deliveries the worker gets.
SENDS: Final = 2


class Recorder:
    """Records which files of the package are entered, for each thread by itself."""

    def __init__(self, package: Path) -> None:
        self._prefix = f"{package}{os.sep}"
        self._last: dict[int, str] = {}
        self.files: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call; this is a profile function."""
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(self._prefix):
            return
        if frame.f_code.co_name == "<module>":  # an import is not part of the operation
            return
        thread = threading.get_ident()
        if self._last.get(thread) != path:
            self._last[thread] = path
            self.files[path.removeprefix(self._prefix)] += 1

    @property
    def changes(self) -> int:
        """How often a call entered another file than the call before it."""
        return self.files.total() - len(self._last)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the calls of this thread in a ``with`` block."""
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


def measure(package: Path) -> dict[str, Recorder]:
    """Run the five operations, each under a recorder of its own."""
    # Imported here, because main() chooses the tree and the engine first.
    from sqlalchemy import MetaData, create_engine  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415

    from aldis import Namespace  # noqa: PLC0415
    from aldis.durable import Outbox, Worker, durable, tables  # noqa: PLC0415

    recorders = {name: Recorder(package) for name in GOALS}
    shop = Namespace()
    order_paid = shop.signal("order-paid")

    @shop.define
    def order_sent(sender: str, /, *, order_id: int) -> None: ...

    def audit(sender: Any, **extra: Any) -> None: ...

    with recorders["connect"].recording():
        order_paid.connect(audit)
    with recorders["first send"].recording():
        order_paid.send("branch", order_id=7)

    @durable("path.receipt")
    def receipt(sender: Any, **extra: Any) -> None: ...

    with recorders["durable connect"].recording():
        order_sent.connect(receipt)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        engine = create_engine(f"sqlite:///{folder}/path.db")
        metadata = MetaData()
        tables(metadata)
        metadata.create_all(engine)
        outbox = Outbox(engine=engine)
        use_session = getattr(outbox, "use_session", None) or outbox.using
        sending = recorders["durable send and commit"]
        with Session(engine) as session, sending.recording(), use_session(session):
            order_sent.send("branch", order_id=7)
            session.commit()
        with Session(engine) as session, use_session(session):
            order_sent.send("branch", order_id=8)
            session.commit()
        run_worker(Worker(outbox), recorders["worker that runs two deliveries"])
        engine.dispose()
    return recorders


def run_worker(worker: Any, recorder: Recorder) -> None:
    """Run ``worker`` in a thread until it has completed the two deliveries."""
    threading.setprofile(recorder)
    thread = threading.Thread(target=worker.run)
    thread.start()
    deadline = time.monotonic() + 30
    while worker.done < SENDS and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.stop()
    thread.join()
    threading.setprofile(None)  # type: ignore[arg-type]
    if worker.done != SENDS:
        sys.exit(f"the worker ran {worker.done} deliveries, not {SENDS}")


def main() -> None:
    """Measure a tree and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--files", action="store_true", help="list the files of each operation")
    chosen = parser.parse_args()
    source = chosen.tree.resolve() / "src"
    os.environ["ALDIS_NO_EXTENSIONS"] = "1"
    sys.path.insert(0, str(source))
    recorders = measure(source / "aldis")
    print("| operation | files | changes of file | goal |")
    print("|---|---|---|---|")
    for name, recorder in recorders.items():
        most = "/".join(map(str, GOALS[name]))
        print(f"| {name} | {len(recorder.files)} | {recorder.changes} | {most} |")
    modules = [path for path in source.rglob("*.py") if "migrations" not in path.parts]
    lines = sum(len(path.read_text().splitlines()) for path in modules)
    print(f"\n{len(modules)} modules, {lines:,} lines of Python in src, without migrations.")
    if chosen.files:
        for name, recorder in recorders.items():
            print(f"\n{name}:\n")
            for file, count in recorder.files.most_common():
                print(f"- {file}: entered {count} times")


if __name__ == "__main__":
    main()
