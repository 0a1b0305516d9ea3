"""Other people's test suites, run on aldis beside plain blinker: ``python -m tests.downstream``."""
