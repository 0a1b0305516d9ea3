"""Counts the instructions of a Flask request. Other programs do not affect this number.

Callgrind counts a whole process. The difference between a process with many requests and one with
few requests is the count of the requests. The process is
``python -m benchmarks.callgrind MODULE VIEW RECEIVERS REQUESTS``.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Final

from benchmarks.benchmark import Participants
from benchmarks.contenders import FLASK, Contender
from benchmarks.process import ROOT, environment
from benchmarks.samples import Samples

_FEW: Final = 30
_MANY: Final = 130
_LIMIT_S: Final = 300
_CASES: Final = [(view, size) for view in ("plain", "page") for size in (0, 5)]


def count(samples: Samples, log: Callable[[str], None]) -> None:
    """Add the instructions of a request to ``samples``, for every measured contender."""
    if shutil.which("valgrind") is None:
        samples.skipped["callgrind"] = "valgrind is not installed"
        return
    measured = {key for series in samples.series for key in samples.contenders(series)}
    work = [
        (contender, view, size)
        for contender in FLASK
        if contender.key in measured
        for view, size in _CASES
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (contender, view, size), instructions in zip(work, pool.map(_one, work), strict=True):
            series = f"callgrind/{view}/{size}/instructions"
            log(f"{series}: {contender.title}")
            if instructions is None:
                samples.skipped[f"{contender.title} in {series}"] = "callgrind failed"
            else:
                samples.add(series, contender.key, 0, instructions)


def _one(work: tuple[Contender, str, int]) -> float | None:
    contender, view, size = work
    few, many = (_collected(contender, view, size, requests) for requests in (_FEW, _MANY))
    return None if few is None or many is None else (many - few) / (_MANY - _FEW)


def _collected(contender: Contender, view: str, size: int, requests: int) -> int | None:
    module = ["-m", "benchmarks.callgrind", contender.module, view, str(size), str(requests)]
    try:
        done = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                sys.executable,
                *module,
            ],
            cwd=ROOT,
            env={**environment(contender), "PYTHONHASHSEED": "0", "PYTHONMALLOC": "pymalloc"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    return int(found[1]) if found and done.returncode == 0 else None


def main(module: str, view: str, size: str, requests: str) -> None:
    """Answer ``requests`` requests."""
    contender = import_module(f"benchmarks.contenders.{module}")
    benchmark = contender.benchmark(Participants(view, int(size)))
    request = benchmark.names["request"]
    gc.collect()
    gc.disable()  # a garbage collection would happen in some runs only
    for _ in range(int(requests)):
        request()


if __name__ == "__main__":
    main(*sys.argv[1:])
