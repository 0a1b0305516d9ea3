"""Runs Python programs in forks of a process that has already imported their libraries.

A new interpreter needs a second for its imports, and a fork only hundredths. A fork is a real
process: signals, descriptors, threads, exit codes and ``exec`` work. The server imports neither
Flask nor blinker, because the time of these imports matters to an app.

``tests/cli/support.py`` starts the server and sends requests. A request is one line of JSON and the
descriptors of the program's streams and of a socket. The server writes the process id and then the
exit code to that socket. The server ends when its own socket is closed.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback

#: The modules that the server imports. None of them may import blinker or aldis.durable: that
#: package has a namespace of signals, which lists would show in apps that do not import it.
LIBRARIES = (
    "alembic.command",
    "asyncio",
    "click",
    "greenlet",
    "itsdangerous",
    "jinja2",
    "msgspec",
    "rich.console",
    "rich.text",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "werkzeug.test",
    "aldis.cli.group",
)


def serve(requests):
    """Fork for each request. The new process returns the request and must run it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel removes watchers that have ended
    while True:
        data, descriptors = b"", []
        while not data.endswith(b"\n"):
            part, more, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not part:
                sys.exit()
            data += part
            descriptors += more
        if os.fork() == 0:
            requests.close()
            request = json.loads(data)
            *streams, answers = descriptors
            if watch(socket.socket(fileno=answers)):
                take_streams(streams, request["closed"])
                return request
        for each in descriptors:
            os.close(each)


def watch(answers):
    """Fork again. Return true in the child. The parent waits for the child and exits."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    begin, begun = os.pipe()
    child = os.fork()
    if child == 0:
        answers.close()
        os.close(begun)
        os.read(begin, 1)  # wait until the client knows the process id
        os.close(begin)
        return True
    os.close(begin)
    answers.sendall(b"%d\n" % child)
    os.close(begun)
    _, status = os.waitpid(child, 0)
    try:
        answers.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def take_streams(descriptors, closed):
    """Use the client's descriptors as the streams of this process. Close those in ``closed``."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if number in closed:
            os.close(number)
            stream = None
        else:
            each = descriptors.pop(0)
            os.dup2(each, number)
            os.close(each)
            errors = "backslashreplace" if name == "stderr" else "strict"
            stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
            if mode == "w":
                stream.reconfigure(line_buffering=name == "stderr" or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run_program(request):
    """Run the program of the request, ``-m module`` or a script, and exit with its exit code."""
    if request["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    sys.argv = request["command"]
    sys.orig_argv = [sys.executable, *sys.argv]
    try:
        if sys.argv[0] == "-m":
            del sys.argv[0]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as exited:
        code = exited.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:  # noqa: BLE001 - the interpreter also shows every exception and exits with 1
        traceback.print_exc()
        code = 1
    end(code)


def end(code):
    """Exit as the interpreter does, but free no modules, because a fork would copy their pages."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = 120
    os._exit(code)


def main():
    """Import the libraries and handle requests."""
    for name in LIBRARIES:
        try:
            __import__(name)
        except ModuleNotFoundError as missing:  # pytest skips the tests that need the module
            if missing.name.startswith("aldis"):
                raise
    late = {"blinker", "flask"} & set(sys.modules)
    assert not late, late
    requests = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    run_program(serve(requests))


if __name__ == "__main__":
    main()
