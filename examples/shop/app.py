"""The application factory."""

import secrets
from pathlib import Path

from flask import Flask

from aldis.observe import TraceOption
from aldis.web import Dashboard, Grant, Request
from examples.shop import database, receivers
from examples.shop.views import bp

DASHBOARD = "/signals"


def who(request: Request) -> Grant | None:
    """Let everyone on this machine use the dashboard, and answer all others with a 404."""
    return Grant("operate", "the shopkeeper") if request.is_local else None


def create_app(file: Path, trace: TraceOption | None = None) -> Flask:
    """Create a shop.

    Args:
        file: The SQLite database.
        trace: Which requests to print; see :class:`aldis.flask.Aldis`.
    """
    app = Flask("examples.shop")
    app.config.update(
        DATABASE=file,
        PRINTER_SECONDS=0.0,  # how long the printer needs for a receipt
        SECRET_KEY=secrets.token_bytes(),
        SESSION_COOKIE_SAMESITE="Lax",
    )
    database.prepare(app, trace)
    receivers.connect_to(app)
    app.register_blueprint(bp)
    dashboard = Dashboard(
        app.extensions["aldis"].outbox, access=who, show_payload=True, title="Shop signals"
    )
    app.register_blueprint(dashboard.blueprint(), url_prefix=DASHBOARD)
    return app
