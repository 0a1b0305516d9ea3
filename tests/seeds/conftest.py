"""The small application on which the examples of the documents run."""

import logging

import pytest
from flask import Flask, flash, g, render_template, render_template_string
from jinja2 import DictLoader


def make_app(name="shop"):
    """Make an application like the one in Flask's guide."""
    app = Flask(name)
    app.secret_key = "for flashing"  # noqa: S105 - signs nothing but these tests' cookies
    app.jinja_loader = DictLoader({"index.html": "{{ items|length }} items"})

    @app.get("/")
    def index():
        return render_template("index.html", items=list(range(10)))

    @app.get("/string")
    def string():
        return render_template_string("hello {{ name }}", name="john")

    @app.get("/broken-template")
    def broken_template():
        return render_template_string("{{ 1 // 0 }}")

    @app.get("/users/me")
    def users_me():
        return f"username={g.user}"

    @app.get("/flash")
    def flashing():
        flash("saved")
        flash("disk full", "error")
        return "flashed"

    @app.get("/fail")
    def fail():
        raise LookupError("no such lamp")

    return app


@pytest.fixture
def app():
    """Give an application."""
    return make_app()


@pytest.fixture
def other():
    """Give another application in the same process."""
    return make_app("other")


@pytest.fixture
def debug_log(app, caplog):
    """Return the application's log so far, the level DEBUG included."""
    app.logger.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG, app.logger.name)
    return lambda: [record.getMessage() for record in caplog.records if record.name == app.name]
