"""Writes the figures of a run into the README of the project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from benchmarks.contenders import ALDIS, BASELINE, Contender
from benchmarks.samples import Samples

README: Final = Path(__file__).parent.parent / "README.md"
_SENDS: Final = tuple(f"send/functions/{size}/ns" for size in (0, 1, 10))
_X: Final = "\N{MULTIPLICATION SIGN}"
_ROW: Final = re.compile(
    rf"(\| a send to 0, 1, 10 receivers \| 1 {_X} \| )[^{_X}]*"
    rf"( {_X} as fast .*; without a compiler )[^{_X}]*"
)


def write_figures(samples: Samples, path: Path = README) -> bool:
    """Write the speed of a send relative to blinker. Return whether the row was found."""
    compiled, python = (_ratios(samples, engine) for engine in ALDIS)
    if compiled is None or python is None:
        return False
    text = path.read_text(encoding="utf-8")
    text, found = _ROW.subn(rf"\g<1>{compiled}\g<2>{python} ", text)
    path.write_text(text, encoding="utf-8")
    return bool(found)


def _ratios(samples: Samples, engine: Contender) -> str | None:
    ratios = [samples.ratio(series, BASELINE, engine.key) for series in _SENDS]
    if None in ratios:
        return None
    return ", ".join(f"{ratio.middle:.3g}" for ratio in ratios if ratio is not None)
