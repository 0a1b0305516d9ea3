import aldis.as_blinker  # noqa: F401 - before anything imports flask

# isort: split

from flask import Flask

from aldis.flask import Aldis
from benchmarks import webapp
from benchmarks.benchmark import Benchmark, Participants
from benchmarks.contenders.aldis import ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]

DISTRIBUTION = "Flask"

_make_app = webapp.make_app


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers and call an app that has the extension."""
    extension = Aldis()

    def make_app() -> Flask:
        app = _make_app()
        extension.init_app(app)
        return app

    webapp.make_app = make_app  # nobody else is in this process
    return webapp.benchmark(participants)
