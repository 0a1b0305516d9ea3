"""Run random programs on both engines: none may crash, and the results must be equal.

`make fuzz` runs this with the C engine under AddressSanitizer. The programs come from
tests/core/engines/fuzz_program.py. After a crash, a hang or a difference, this prints the command
that repeats it, and continues. The exit code is 1 if there was one.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile
from typing import Any, Final, Self

PROGRAM: Final = "tests.core.engines.fuzz_program"
HANGS_AFTER: Final = 600.0  # seconds for one program; it may have to wait for the processor
MOST_FAULTS: Final = 10


class CrashError(Exception):
    """The process of an engine ended, or hangs. The text is its standard error."""


class Engine:
    """A process that runs programs on one engine. After a crash, the next program starts it again.

    Args:
        compiled: Whether it runs the C engine.
        command: The command of the process; another one is for tests.
    """

    def __init__(self, *, compiled: bool, command: Sequence[str] = ()) -> None:
        self._compiled = compiled
        self._command = command or (sys.executable, "-X", "faulthandler", "-m", PROGRAM)
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, seed: int) -> bytes:
        """Return the results of the program ``seed``.

        Raises:
            CrashError: The process ended or hangs.
        """
        if self._process is None:
            self._start()
        return self._ask(f"{seed}\n".encode())

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        environment["ALDIS_NO_EXTENSIONS"] = "0" if self._compiled else "1"
        if not self._compiled:
            environment.pop("LD_PRELOAD", None)  # the sanitizer only slows this engine down
            environment.pop("PYTHONMALLOC", None)
        self._errors = TemporaryFile()  # noqa: SIM115 - it is closed with the process
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )
        expected = b"true" if self._compiled else b"false"
        found = self._ask(b"").strip()
        if found != expected:
            message = f"is the C engine in use? {found.decode()} instead of {expected.decode()}"
            raise SystemExit(message)

    def _ask(self, line: bytes) -> bytes:
        process: Any = self._process
        with suppress(BrokenPipeError):  # it has ended; then its output has ended too
            process.stdin.write(line)
            process.stdin.flush()
        readable, _, _ = select.select([process.stdout], [], [], HANGS_AFTER)
        answer: bytes = process.stdout.readline() if readable else b""
        if answer:
            return answer
        hangs = not readable
        process.send_signal(signal.SIGABRT)  # faulthandler then prints where it hangs
        process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")
        self.end()
        raise CrashError("it hangs\n" + said if hangs else said)

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def fault(seed: int, python: Engine, compiled: Engine) -> str | None:
    """Run one program on both engines and return the fault that it shows, if any."""
    answers = []
    for name, engine in (("C", compiled), ("Python", python)):
        try:
            answers.append(engine.run(seed))
        except CrashError as crash:
            return f"crash of the {name} engine\n{str(crash)[-4000:]}"
    if answers[0] != answers[1]:
        return f"difference\n  C:      {answers[0]!r}\n  Python: {answers[1]!r}"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the programs and return the exit code."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long to go on")
    parser.add_argument("--programs", type=int, help="the number of programs, instead of a time")
    parser.add_argument("--seed", type=int, help="the number of the first program")
    options = parser.parse_args(argv)
    first = int(time.time()) * 1000 if options.seed is None else options.seed
    ends = time.monotonic() + options.seconds
    faults = done = 0
    with ExitStack() as stack:
        python = stack.enter_context(Engine(compiled=False))
        compiled = stack.enter_context(Engine(compiled=True))
        while faults < MOST_FAULTS:
            if done == options.programs or (not options.programs and time.monotonic() > ends):
                break
            seed = first + done
            found = fault(seed, python, compiled)
            done += 1
            if found is not None:
                faults += 1
                print(f'make fuzz ARGS="--seed {seed} --programs 1"  # {found}', flush=True)
    print(f"{done} programs from {first} on, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
