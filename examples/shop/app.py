"""The application factory."""

import secrets
from pathlib import Path

from flask import Flask

from examples.shop import database, receivers
from examples.shop.views import bp


def create_app(file: Path) -> Flask:
    """Create a shop whose SQLite database is ``file``."""
    app = Flask("examples.shop")
    app.config.update(
        DATABASE=file,
        PRINTER_SECONDS=0.0,  # how long the printer needs for a receipt
        SECRET_KEY=secrets.token_bytes(),
        SESSION_COOKIE_SAMESITE="Lax",
    )
    database.prepare(app)
    receivers.connect_to(app)
    app.register_blueprint(bp)
    return app
