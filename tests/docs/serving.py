"""Requests for which a framework sends all of its signals."""

import logging
from contextlib import suppress

from flask import Flask, flash, render_template_string
from quart.testing.connections import WebsocketResponseError

from tests.quart.app import make_app


def visit_flask():
    """Let a Flask app send each of its signals."""
    app = Flask("shop")
    app.secret_key = "for flashing"  # noqa: S105 - signs nothing but this test's cookies
    app.logger.setLevel(logging.CRITICAL)

    @app.get("/")
    def index():
        flash("saved")
        return render_template_string("hello")

    @app.get("/fail")
    def fail():
        raise LookupError("no such lamp")

    app.test_client().get("/")
    app.test_client().get("/fail")


async def visit_quart():
    """Let Quart apps send each of Quart's signals."""
    app = make_app()
    async with app.test_app():
        client = app.test_client()
        for path in ("/", "/fail", "/background"):
            await client.get(path)
        async with client.websocket("/ws") as websocket:
            await websocket.send("hello")
            await websocket.receive()
        with suppress(WebsocketResponseError):
            async with client.websocket("/ws/fail") as websocket:
                await websocket.receive()
    broken = make_app("broken")

    @broken.before_serving
    async def fail():
        raise LookupError("no such harbour")

    with suppress(LookupError):
        await broken.startup()
