"""Runs Python programs in forks of a process that has imported the libraries which they need.

A command that starts a new interpreter spends a second on imports. A fork needs hundredths, and is
a process all the same: signals, descriptors, threads, exit codes and ``exec`` work as ever. The
server imports neither Flask nor blinker, since it matters to an app when it does.

``tests/cli/support.py`` starts the server and talks to it. A request is one line of JSON. It comes
with descriptors: the streams of the program, and a socket on which the server writes the process id
and then the exit code. The server ends when its own socket is closed.
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

#: What programs find imported. None of them may import blinker.
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
    "aldis.durable.store.sql.migrate",
    "aldis.durable.store.sql",
)


def serve(requests):
    """Fork for each request; return the request in the process that is to fulfil it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel removes the watchers that end
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
    """Fork once more; return true in the child, and exit in the parent when the child has."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    begin, begun = os.pipe()
    child = os.fork()
    if child == 0:
        answers.close()
        os.close(begun)
        os.read(begin, 1)  # the client knows the process id before the program can end
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
    """Make the client's descriptors the streams of this process; those in ``closed`` are none."""
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


def become(request):
    """Run the program that the request names, ``-m module`` or a script, and exit as it does."""
    if request["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    sys.argv = request["command"]
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
    except BaseException:  # noqa: BLE001 - the interpreter shows it and ends with 1
        traceback.print_exc()
        code = 1
    end(code)


def end(code):
    """Exit as the interpreter does, but without freeing every module: a fork copies those pages."""
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
    """Import the libraries, and serve."""
    for name in LIBRARIES:
        try:
            __import__(name)
        except ModuleNotFoundError as missing:  # the tests that need it are skipped
            if missing.name.startswith("aldis"):
                raise
    late = {"blinker", "flask"} & set(sys.modules)
    assert not late, late
    requests = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    become(serve(requests))


if __name__ == "__main__":
    main()
