import aldis.as_blinker  # noqa: F401 - before anything imports flask

# isort: split

from flask import Flask

from aldis.flask import Aldis
from benchmarks import webapp
from benchmarks.contenders.aldis import ENGINE
from benchmarks.scene import Crowd, Scene

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]

DISTRIBUTION = "Flask"

_make_app = webapp.make_app


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd and call an app that has the extension."""
    extension = Aldis()

    def make_app() -> Flask:
        app = _make_app()
        extension.init_app(app)
        return app

    webapp.make_app = make_app  # nobody else is in this process
    return webapp.scene(crowd)
