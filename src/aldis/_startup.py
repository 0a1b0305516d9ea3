"""Reach the Python programs that a command under ``aldis run`` starts."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["stay_first"]


def stay_first(folder: str) -> None:
    """Keep a folder in front of ``PYTHONPATH`` in every program that this process starts.

    A launcher, such as ``opentelemetry-instrument``, puts a folder with a ``sitecustomize`` in
    front and starts Python again. Python imports only the first ``sitecustomize``. The one of
    ``aldis run`` imports the next one, so it must be the first.

    Args:
        folder: An entry of ``PYTHONPATH``. An environment without ``ALDIS_RUN_PREFIX`` stays as it
            is.
    """

    def before_a_program(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.exec", "os.system", "subprocess.Popen"):
            _put_first(folder, os.environ)
        if event == "subprocess.Popen":
            _put_first(folder, arguments[-1])

    def wrapped(start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def call(path: Any, argv: Any, env: Any, *args: Any, **kwargs: Any) -> Any:
            if env is None:  # since Python 3.13: the environment of this process
                _put_first(folder, os.environ)
            else:
                env = env if env is os.environ else dict(env)
                _put_first(folder, env)
            return start(path, argv, env, *args, **kwargs)

        return call

    sys.addaudithook(before_a_program)
    # Python has read the environment of these three when it raises their event.
    for name in ("execve", "posix_spawn", "posix_spawnp"):
        if hasattr(os, name):
            setattr(os, name, wrapped(getattr(os, name)))


def _put_first(folder: str, environment: Any) -> None:
    try:
        if "ALDIS_RUN_PREFIX" not in environment:  # a program that starts afresh
            return
        path = environment.get("PYTHONPATH")
        entries = path.split(os.pathsep) if path else []
        if entries[:1] != [folder]:
            others = [each for each in entries if each != folder]
            environment["PYTHONPATH"] = os.pathsep.join([folder, *others])
    except (TypeError, AttributeError):
        pass  # the environment is none of Python's, or it cannot be changed
