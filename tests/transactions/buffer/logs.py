"""Reads the log of the buffer."""

import logging


def errors(caplog):
    """Return the messages of level ERROR."""
    return [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
