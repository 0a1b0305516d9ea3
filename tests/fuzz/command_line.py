"""Runs command lines, one JSON list per line, each in a new process, and prints the result.

The process is a fork of a process that has imported the modules of all commands, so that a command
takes hundredths of a second. ``test_arguments.py`` starts this program.
"""

import aldis.as_blinker  # noqa: F401, I001 - before anything that imports Flask

import json
import os
import signal
import sys
import tempfile

import click  # noqa: F401 - see above
import flask_sqlalchemy  # noqa: F401 - see above
import msgspec  # noqa: F401 - see above
import rich.console  # noqa: F401 - see above
import sqlalchemy.orm  # noqa: F401 - see above

from aldis.cli import main

LIMIT = 60  # seconds, after which a command is killed


def run(arguments):
    """Return the exit code of a command line, negative for a signal, and its output."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            signal.alarm(LIMIT)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.argv = ["aldis", *arguments]
            code = 99  # for what `main` must never do
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()
