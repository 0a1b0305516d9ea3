"""Random programs in which foreign code interferes with a signal. fuzz_program.py makes them."""

from __future__ import annotations

import sys

import pytest

import aldis
from tests.core.engines import fuzz_program
from tests.sizes import sized
from tools import fuzz

pytestmark = pytest.mark.skipif(
    not aldis.COMPILED, reason="the C engine is not built (no compiler?), or not chosen"
)


def test_random_programs_show_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """No program crashes an engine, and both engines give equal results."""
    count = sized(40, 4000)
    assert (0, f"{count} programs from 1 on, 0 faults\n") == (
        fuzz.main(["--seed", "1", "--programs", str(count)]),
        capsys.readouterr().out,
    )


@pytest.fixture
def python() -> fuzz.Engine:
    """Give an engine that names itself and returns empty results."""
    return fuzz.Engine(compiled=False, command=_engine("false", "print(line)"))


def _engine(name: str, answer: str) -> list[str]:
    program = f"import os, sys\nprint('{name}', flush=True)\nfor line in sys.stdin: {answer}"
    return [sys.executable, "-u", "-c", program]


def test_a_crash_is_a_fault_with_its_message(python: fuzz.Engine) -> None:
    """The fault names the engine and shows its standard error. The next program runs again."""
    command = _engine("true", "print('no such luck', file=sys.stderr); os.abort()")
    with python, fuzz.Engine(compiled=True, command=command) as compiled:
        for seed in (7, 8):
            assert fuzz.fault(seed, python, compiled) == "crash of the C engine\nno such luck\n"


def test_a_difference_is_a_fault(python: fuzz.Engine) -> None:
    """The fault shows both results."""
    command = _engine("true", "print('other')")
    with python, fuzz.Engine(compiled=True, command=command) as compiled:
        assert str(fuzz.fault(7, python, compiled)).startswith("difference")


def test_a_seed_gives_one_program() -> None:
    """A program has equal results each time, so a seed repeats a fault."""
    assert [fuzz_program.run(seed) for seed in (2, 4, 6)] == [
        fuzz_program.run(seed) for seed in (2, 4, 6)
    ]
