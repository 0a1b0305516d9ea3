import aldis.as_blinker  # noqa: F401 - before anything imports flask
from benchmarks import webapp
from benchmarks.contenders.aldis import ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "benchmark"]

DISTRIBUTION = "Flask"
benchmark = webapp.benchmark

if not webapp.engine().startswith("aldis"):
    message = f"Flask runs on {webapp.engine()}, not on aldis"
    raise RuntimeError(message)
