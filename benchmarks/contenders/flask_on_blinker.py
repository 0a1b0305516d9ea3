from benchmarks import webapp

DISTRIBUTION = "Flask"
scene = webapp.scene

if not webapp.engine().startswith("blinker"):
    message = f"Flask runs on {webapp.engine()}, not on blinker"
    raise RuntimeError(message)
