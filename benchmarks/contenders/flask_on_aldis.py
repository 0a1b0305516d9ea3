import aldis.as_blinker  # noqa: F401 - before anything imports flask
from benchmarks import webapp
from benchmarks.contenders.aldis import ENGINE

__all__ = ["DISTRIBUTION", "ENGINE", "scene"]

DISTRIBUTION = "Flask"
scene = webapp.scene

if not webapp.engine().startswith("aldis"):
    message = f"Flask runs on {webapp.engine()}, not on aldis"
    raise RuntimeError(message)
