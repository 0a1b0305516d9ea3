"""What the buffer says in the log."""

import logging


def errors(caplog):
    """Return what was logged at level ERROR."""
    return [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
