"""Both engines have the same visible behaviour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aldis
from tests.sizes import sized

pytestmark = pytest.mark.skipif(
    not aldis.COMPILED, reason="the C engine is not built (no compiler?), or not chosen"
)

RECEIVERS = st.integers(0, 8)
SENDERS = st.integers(0, 13)
NAMES = st.sampled_from(["a", "b", "c", "sender_", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"])


def steps(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return steps. Their sends make the receivers run the steps ``inside``."""
    payload = st.dictionaries(NAMES, st.integers(0, 3), max_size=12).flatmap(
        lambda plain: st.fixed_dictionaries(
            {name: st.just(value) for name, value in plain.items()},
            optional={"fail": st.integers(0, 4), "inside": st.lists(inside, max_size=2)},
        )
    )
    plain = st.one_of(
        st.tuples(st.just("connect"), RECEIVERS, SENDERS, st.booleans()),
        st.tuples(st.just("disconnect"), RECEIVERS, SENDERS),
        st.tuples(st.just("send"), SENDERS, payload),
        st.tuples(st.just("send_wrapped"), SENDERS, payload),
        st.tuples(st.just("send_robust"), SENDERS, payload),
        st.just(("send_bare",)),
        st.just(("send_badly",)),
        st.tuples(st.just("drop"), RECEIVERS),
        st.tuples(st.just("observe"), st.booleans()),
        st.tuples(st.just("continue_on_error"), st.booleans()),
    )
    return st.one_of(plain, plain, plain, st.tuples(st.just("mute"), plain))


CHANGES = st.one_of(
    st.tuples(st.just("connect"), RECEIVERS, SENDERS, st.booleans()),
    st.tuples(st.just("disconnect"), RECEIVERS, SENDERS),
    st.tuples(st.just("drop"), RECEIVERS),
)
PROGRAMS = st.lists(steps(CHANGES), min_size=1, max_size=25)


class Engine:
    """A process that runs programs on one of the engines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.compiled = self._read()

    def run(self, program: list[Any]) -> list[dict[str, Any]]:
        """Return the visible results of each step."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(program) + "\n")
        self._process.stdin.flush()
        reports: list[dict[str, Any]] = self._read()
        return reports

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@contextmanager
def engine(no_extensions: str) -> Iterator[Engine]:
    """Start an engine's process and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.core.engines.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ALDIS_NO_EXTENSIONS": no_extensions},
    )
    try:
        yield Engine(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Engine, Engine]]:
    """Give the Python engine and the C engine."""
    with engine("1") as python, engine("0") as compiled:
        yield python, compiled


def test_the_two_processes_run_different_engines(engines: tuple[Engine, Engine]) -> None:
    """One process runs the Python engine and the other one runs the C engine."""
    assert [False, True] == [each.compiled for each in engines]


@settings(
    max_examples=sized(60, 2000),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=PROGRAMS)
def test_random_programs_have_equal_results_on_both_engines(
    engines: tuple[Engine, Engine], program: list[Any]
) -> None:
    """Results, order, exceptions, tracebacks and reference counts are equal after every step."""
    python, compiled = engines
    assert python.run(program) == compiled.run(program)
