"""The application factory."""

import secrets
from pathlib import Path

from flask import Flask

from aldis.observe import TraceOption
from examples.shop import database, receivers
from examples.shop.views import bp


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
    return app
