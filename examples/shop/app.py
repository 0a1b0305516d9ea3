"""The application factory."""

import secrets
from pathlib import Path

from flask import Flask

from examples.shop import database, receivers
from examples.shop.views import bp


def create_app(file: Path) -> Flask:
    """Make a shop that keeps what it knows in ``file``, an SQLite database."""
    app = Flask("examples.shop")
    app.config.update(
        DATABASE=file,
        PRINTER_SECONDS=0.0,  # how slow the receipt printer is
        SECRET_KEY=secrets.token_bytes(),
        SESSION_COOKIE_SAMESITE="Lax",
    )
    database.prepare(app)
    receivers.connect_to(app)
    app.register_blueprint(bp)
    return app
