from benchmarks import webapp

DISTRIBUTION = "Flask"
benchmark = webapp.benchmark

if not webapp.engine().startswith("blinker"):
    message = f"Flask runs on {webapp.engine()}, not on blinker"
    raise RuntimeError(message)
