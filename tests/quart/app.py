"""A Quart application that sends each of Quart's signals, and receivers for all of them."""

import logging
from contextlib import ExitStack, contextmanager

from quart import Quart, flash, render_template_string, websocket

import aldis.quart

#: Each signal by its name in Quart's documentation.
SIGNALS = {
    name: getattr(aldis.quart, name)
    for name in aldis.quart.__all__
    if isinstance(getattr(aldis.quart, name), aldis.NamedSignal)
}


def make_app(name="shop"):
    """Make the application."""
    app = Quart(name)
    app.secret_key = "for flashing"  # noqa: S105 - signs nothing but these tests' cookies
    app.logger.setLevel(logging.CRITICAL)

    @app.get("/")
    async def index():
        await flash("saved", "info")
        return await render_template_string("hello {{ name }}", name="john")

    @app.get("/fail")
    async def fail():
        raise LookupError("no such lamp")

    @app.get("/stream")
    async def stream():
        async def parts():
            for _ in range(3):
                yield b"."

        return parts()

    @app.get("/background")
    async def background():
        async def work():
            raise LookupError("out of oil")

        app.add_background_task(work)
        return "working"

    @app.websocket("/ws")
    async def echo():
        await websocket.send(await websocket.receive())

    @app.websocket("/ws/fail")
    async def broken():
        raise LookupError("no such lamp")

    return app


@contextmanager
def received(*names):
    """Record the calls of two receivers for each signal, a sync and an async one.

    Yields:
        The list of ``(name, "sync" or "async", sender, payload)``.
    """
    calls = []
    with ExitStack() as stack:
        for name in names or SIGNALS:
            for receiver in _receivers(name, calls):
                stack.enter_context(SIGNALS[name].connected_to(receiver))
        yield calls


def _receivers(name, calls):
    def sync(sender, **payload):
        calls.append((name, "sync", sender, payload))

    async def not_sync(sender, **payload):
        calls.append((name, "async", sender, payload))

    return sync, not_sync


def in_order(calls):
    """Return the names of the signals. Both receivers must have got each, in connection order."""
    names = [name for name, _, _, _ in calls]
    assert ["sync", "async"] * (len(calls) // 2) == [kind for _, kind, _, _ in calls]
    assert names[::2] == names[1::2]
    return names[::2]


def payload_of(calls, name):
    """Return the sender and the payload of the only send of ``name``."""
    [one, other] = [(sender, payload) for each, _, sender, payload in calls if each == name]
    assert one == other
    return one
