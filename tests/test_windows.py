"""aldis without the names of Python that Windows does not have.

The tests run on Linux. They remove these names after the imports of the libraries, which look at
``sys.platform``, and before the import of aldis.
"""

from textwrap import dedent

import pytest

from tests.core.support import run_python

#: Names of each module that Windows does not have.
MISSING = {
    "os": """
        chown chroot ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty get_blocking
        getegid geteuid getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority
        getresgid getresuid getsid getuid initgroups killpg lchown lockf makedev mkfifo mknod nice
        openpty pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn posix_spawnp
        pread preadv pwrite pwritev readv register_at_fork sched_getaffinity sched_setaffinity
        sched_yield sendfile set_blocking setegid seteuid setgid setgroups setpgid setpriority
        setregid setresgid setresuid setreuid setsid setuid statvfs sync sysconf tcgetpgrp
        tcsetpgrp ttyname uname wait wait3 wait4 waitid writev WNOHANG O_NONBLOCK O_CLOEXEC
    """,
    "signal": """
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGPWR SIGQUIT SIGSTOP
        SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU
        SIGXFSZ ITIMER_REAL alarm getitimer pause pthread_kill pthread_sigmask setitimer
        siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
    """,
    "select": "epoll poll EPOLLIN POLLIN POLLOUT PIPE_BUF",
    "socket": "AF_UNIX CMSG_LEN SCM_RIGHTS SO_REUSEPORT recv_fds send_fds",
    "time": "clock_gettime pthread_getcpuclockid tzset",
}

#: Modules that Windows does not have.
MODULES = ["fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios"]

#: Removes the names. On Windows, ``socketpair`` is written in Python and needs no AF_UNIX.
REMOVE = f"""
import functools, os, select, selectors, signal, socket, sys, time
socket.socketpair = functools.partial(socket.socketpair, socket.AF_UNIX)
for name, missing in {MISSING!r}.items():
    for each in missing.split():
        vars(sys.modules[name]).pop(each, None)
for name in {MODULES!r}:
    sys.modules[name] = None
selectors.DefaultSelector = selectors.SelectSelector
"""

APP = """
import signal

from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

import aldis
from aldis.durable import Outbox, durable

session = scoped_session(sessionmaker(create_engine("sqlite:///shop.db")))
outbox = Outbox(session)
shop = aldis.Namespace()

@shop.define
def paid(sender: str, /) -> None: ...

@paid.connect
@durable("shop.thank")
def thank(sender: str, /, **extra: object) -> None:
    print("thanks", sender, flush=True)
    signal.raise_signal(signal.SIGTERM)  # it stops the worker
"""


def run(libraries, program, **environment):
    """Import libraries, which look at ``sys.platform``, remove the names, and run a program."""
    return run_python(f"import {libraries}\n{REMOVE}\n{dedent(program)}", **environment)


@pytest.mark.parametrize("engine", ["C engine", "Python engine"])
def test_the_core_works(engine):
    """Signals are made, connected and sent, in threads and in an event loop, and traced."""
    environment = {} if engine == "C engine" else {"ALDIS_NO_EXTENSIONS": "1"}
    program = """
        import asyncio, threading
        import aldis.as_blinker
        from aldis.observe import trace
        from aldis.receivers import robust
        lit = aldis.Signal()

        @lit.connect
        @robust
        def receiver(sender): return 7

        with trace() as seen:
            lit.send("lamp")
        assert "receiver" in str(seen)
        thread = threading.Thread(target=lit.send)
        thread.start()
        thread.join()
        assert asyncio.run(lit.asend("lamp")) == [(receiver, 7)]
        assert isinstance(flask.request_started, aldis.Signal)
    """
    assert "" == run("asyncio, flask", program, **environment)


@pytest.mark.slow
def test_every_module_can_be_imported():
    """No module needs such a name at its import."""
    libraries = (
        "alembic.operations, alembic.script, asyncio, authlib.integrations.requests_client, click, "
        "flask, flask_login, hypothesis, msgspec, multiprocessing, pluggy, pytest, quart.signals, "
        "quart.utils, requests, rich.console, sqlalchemy.ext.asyncio, subprocess, tempfile"
    )
    program = """
        import pkgutil
        from importlib import import_module
        import aldis
        for found in pkgutil.walk_packages(aldis.__path__, "aldis."):
            if not found.name.endswith(("__main__", "sitecustomize")):
                import_module(found.name)
    """
    assert "" == run(libraries, program)


@pytest.mark.slow
def test_a_delivery_is_recorded_and_run(tmp_path):
    """A worker with its signal handlers runs a delivery on SQLite, and the commands see it."""
    (tmp_path / "shop.py").write_text(APP)
    program = f"""
        from aldis.cli import main
        os.chdir({str(tmp_path)!r})
        sys.path.insert(0, os.getcwd())
        sys.stderr = sys.stdout  # the worker reports its end there

        def command(*words):
            sys.argv = ["aldis", *words]
            try:
                main()
            except SystemExit as ended:
                assert ended.code in (0, None), ended.code

        command("db", "upgrade", "--url", "sqlite:///shop.db")
        import shop
        with shop.outbox.using():
            shop.paid.send("harbour")
        shop.session.commit()
        command("worker", "--outbox", "shop:outbox")
        command("deliveries", "stats", "--outbox", "shop:outbox")
    """
    libraries = "alembic.operations, asyncio, click, msgspec, rich.console, sqlalchemy.ext.asyncio"
    assert "thanks harbour" in run(libraries, program)
