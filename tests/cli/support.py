"""Running the command line as a user does: real processes, in a folder of their own."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from textwrap import dedent

ALDIS = (sys.executable, "-m", "aldis")
FLASK = (sys.executable, "-m", "flask")
PYTHON = (sys.executable,)
RUN = (*ALDIS, "run", "--")

_OURS = ("ALDIS_", "FLASK_", "PYTHONWARNINGS", "NO_COLOR", "COLUMNS", "FORCE_COLOR", "TTY_")


class Project:
    """A folder with a user's files, in which commands are run."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        """Write a file, its text without the margin that it has in a test."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    def environment(self, **more):
        """Return the environment of this process without what would decide anything here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {**kept, **more}

    def run(self, *command, timeout=30, **environ):
        """Run a command to its end, in pipes."""
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=self.environment(**environ),
            text=True,
            timeout=timeout,
        )

    def run_without(self, missing, *command):
        """Run ``aldis`` to its end in a process that cannot import a module."""
        self.write(
            "without.py",
            f"""
            import sys

            class Without:
                @staticmethod
                def find_spec(name, *_):
                    if name == "{missing}":
                        raise ModuleNotFoundError("No module named {missing}", name=name)

            sys.meta_path.insert(0, Without)
            from aldis.cli import main
            main()
            """,
        )
        return self.run(*PYTHON, "without.py", *command)

    def start(self, *command, **environ):
        """Start a command in a session of its own, its output in one pipe."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(**environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def on_terminal(self, *command, columns=80, **environ):
        """Run a command to its end on a terminal, and return its exit code and what is seen."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(TERM="xterm-256color", **environ),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(ours)
        return process.wait(timeout=30), seen.decode().replace("\r\n", "\n")


SHOP = """
    import aldis.as_blinker
    from aldis import Namespace
    from aldis.receivers import robust
    from flask import Flask, request_started

    shop = Namespace()

    @shop.define
    def order_paid(sender: str, /, *, order_id: int, note: str = "") -> None:
        '''Sent once an order is paid.

        And more about it.
        '''

    @shop.define(name="shelf-empty", advisory=True)
    def shelf_empty(sender, /, **extra): ...

    @order_paid.connect
    @robust
    def thank(sender, *, order_id, **extra): ...

    @order_paid.connect_via("harbour")
    async def deliver(sender, *, order_id, **extra): ...

    app = Flask("shop")

    @request_started.connect_via(app)
    def greet(sender, **extra):
        shop["shelf-empty"].send("shelf", left=0)

    @app.route("/", methods=["GET", "POST"])
    def index():
        return "hello"

    @app.get("/fail")
    def fail():
        raise LookupError("no such lamp")
    """
