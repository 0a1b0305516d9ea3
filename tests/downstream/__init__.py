"""The tests of other projects on aldis and on plain blinker: ``python -m tests.downstream``."""
