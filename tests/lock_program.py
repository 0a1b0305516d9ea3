"""A program that uses each lock of aldis in the worst moment. ``test_locks`` runs it.

It runs an operation, and stops it wherever Python may run a signal handler: at the beginning of
each function of Python, and after each call of a function of C. At this point,

- ``nested`` runs the operation again in the same thread, as a ``__del__`` or a handler can do,
- ``fork`` forks the process in another thread, and the child runs the operation.

``finalizer`` and ``handler`` let Python choose the points: a ``__del__`` of the garbage collector
and a real signal handler run the operation. If it hangs, the program prints where, and fails.
"""

import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import warnings

LIMIT = 120  # seconds until the program has hung

ROUNDS = 200


def connections():
    """Connect, send and disconnect."""
    from aldis import Signal

    signal = Signal()

    def use():
        receiver = lambda sender: None
        signal.connect(receiver)
        signal.connect(receiver, "north", weak=False)
        signal.send("north")
        signal.receivers.clear()

    return use


def meta_signals():
    """Ask for the signals that a signal announces its connections with."""
    from aldis import Signal

    return lambda: Signal().receiver_connected


def observers():
    """Attach and detach an observer."""
    from aldis.core import Observer, attach, detach

    def use():
        observer = Observer()
        attach(observer)
        detach(observer)

    return use


def trace():
    """Send while a trace records, print it, and clear it."""
    from aldis import Signal
    from aldis.core import attach
    from aldis.observe import Trace

    signal, seen = Signal(), Trace(limit=3)
    signal.connect(print, weak=False)
    signal.connect(lambda sender, **extra: None, weak=False)
    signal.disconnect(print)
    attach(seen)

    def use():
        signal.send("north")
        assert isinstance(str(seen), str)
        seen.clear()

    return use


def once():
    """Send to a receiver that is called once."""
    from aldis import Signal
    from aldis.receivers import once

    signal = Signal()

    def use():
        signal.connect(once(lambda sender: None))
        signal.send()

    return use


def contracts():
    """Ask for the types of a contract."""
    from aldis.core import Contract

    def order_paid(sender, /, *, number: int) -> None:
        """Sent when an order is paid."""

    return lambda: Contract.of(order_paid).types


def plugins():
    """Enable and disable plugins."""
    from aldis import Namespace
    from aldis.plugins import PluginManager

    paid = Namespace().signal("paid")

    class Plugin:
        def get_signal_subscriptions(self):
            return {paid: [lambda sender, **extra: None]}

    manager = PluginManager()
    manager.add("harbour", Plugin)

    def use():
        manager.enable("harbour")
        manager.disable("harbour")

    return use


def tokens():
    """Refresh a token."""
    from aldis.oauth._client import TokenRefresher

    refresher = TokenRefresher()
    old, new = {"refresh_token": "old"}, {"access_token": "new", "refresh_token": "next"}

    def use():
        assert new == refresher.refresh(old, lambda token: new, lambda token: False)

    return use


def senders():
    """Register a sender."""
    from aldis.durable import register_sender

    harbour = object()
    return lambda: register_sender("harbour", harbour)


def durable_receivers():
    """Make a receiver durable."""
    from aldis.durable import durable

    def use():
        @durable("billing.receipt")
        def send_receipt(sender, **extra): ...

    return use


def memory():
    """Record a delivery in memory, and run it."""
    from aldis import Namespace
    from aldis.durable import Outbox, durable
    from aldis.durable.store.memory import MemoryStore

    namespace = Namespace()

    @namespace.define
    def paid(sender, /, *, number: int) -> None:
        """Sent when an order is paid."""

    @paid.connect
    @durable("harbour.greet")
    def greet(sender, *, number): ...

    store = MemoryStore()
    outbox, notifier = Outbox(store=store), store.notifier()

    def use():
        assert greet
        with outbox.using(None):
            paid.send("north", number=7)
        notifier.wait(0)
        store.register_worker("worker", "worker", 1.0)
        claimed = store.claim("worker", "harbour.greet", 1, ordered=False)
        store.complete(claimed)
        store.stats()

    return use


def notifiers():
    """Wake a worker that polls, and one that looks at a file of SQLite."""
    from aldis.durable.store.sql.notify import PollNotifier

    notifier = PollNotifier(lambda _: None)

    def use():
        notifier.wake()
        notifier.wait(0)

    return use


def worker():
    """Stop a worker."""
    from aldis.durable import Outbox, Worker
    from aldis.durable.store.memory import MemoryStore

    outbox = Outbox(store=MemoryStore())

    def use():
        worker = Worker(outbox)
        worker.stop()
        worker.run()

    return use


def loaded_blinker():
    """Use a signal of blinker that became one of aldis after blinker's import."""
    import blinker

    signals = blinker.Namespace()
    import aldis.as_blinker

    assert aldis.as_blinker

    def use():
        signals.signal("paid").send()
        blinker.Signal().send()

    return use


OPERATIONS = [
    connections,
    meta_signals,
    observers,
    trace,
    once,
    contracts,
    plugins,
    tokens,
    senders,
    durable_receivers,
    memory,
    notifiers,
    worker,
    loaded_blinker,
]


class Stop:
    """Calls a function at one point of an operation, or counts the points."""

    def __init__(self, position=-1, call=None):
        self.points = 0
        self._position = position
        self._call = call
        self._hook = self._profile  # Python does not keep it alive while it runs

    def __enter__(self):
        sys.setprofile(self._hook)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _profile(self, frame, event, argument):
        if event not in ("call", "c_return", "c_exception"):
            return
        if self.points == self._position:
            sys.setprofile(None)
            self._call()
            sys.setprofile(self._hook)
        self.points += 1


def count_points(operation):
    """Return at how many points the operation can be stopped once it is warm."""
    operation()
    with Stop() as stop:
        operation()
    return stop.points


def nested(make):
    """Run the operation at each point of itself."""
    operation = make()
    for position in range(count_points(operation)):
        with Stop(position, operation):
            operation()
    operation()


def fork(make):
    """Fork at each point of the operation, and run it in the child."""
    operation = make()
    for position in range(count_points(operation)):
        at_point, forked = threading.Event(), threading.Event()

        def wait(at_point=at_point, forked=forked):
            at_point.set()
            forked.wait(LIMIT)

        def run(position=position, wait=wait, at_point=at_point):
            with Stop(position, wait):
                operation()
            at_point.set()  # the operation was shorter this time

        thread = threading.Thread(target=run)
        thread.start()
        at_point.wait(LIMIT)
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            operation()
            os._exit(0)
        forked.set()
        status = os.waitpid(child, 0)[1]
        thread.join(LIMIT)
        if status:
            sys.exit(f"the child of point {position} has hung or failed")


def finalizer(make):
    """Run the operation in a ``__del__`` that the garbage collector calls."""
    operation, ran = make(), []

    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):
            operation()
            ran.append(1)

    gc.freeze()
    gc.set_threshold(20, 1000, 1000)
    for _ in range(ROUNDS):
        Garbage()
        operation()
    gc.set_threshold(0)
    assert ran


def handler(make):
    """Run the operation in a signal handler."""
    operation, ran = make(), []

    def handle(number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        operation()
        ran.append(1)
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    while len(ran) < ROUNDS:
        operation()
    signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    situation, name = sys.argv[1:]
    logging.disable()
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork of a process with threads
    if situation != "fork":
        faulthandler.dump_traceback_later(LIMIT, exit=True)
    globals()[situation](globals()[name])
