"""The measured figures, and ratios within rounds with their median and their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the limits of the middle half of the rounds."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise ``values``. At least one value is needed."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)


@dataclass(slots=True)
class Samples:
    """The figures of a run, by series, contender and round.

    Attributes:
        series: The figure of each round, by series and contender.
        versions: The versions of the measured distributions.
        skipped: The contenders and cases that were left out, with the reasons.
        cut_short: Whether the time limit ended the run before all planned rounds.
    """

    series: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    cut_short: bool = False

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """Read samples from JSON. In JSON, the numbers of rounds are strings."""
        series = {
            name: {
                contender: {int(at): value for at, value in rounds.items()}
                for contender, rounds in contenders.items()
            }
            for name, contenders in data["series"].items()
        }
        return cls(series, dict(data["versions"]), dict(data["skipped"]), data["cut_short"])

    def add(self, series: str, contender: str, at: int, value: float) -> None:
        """Add the figure of ``contender`` in round ``at``."""
        self.series.setdefault(series, {}).setdefault(contender, {})[at] = round(value, 3)

    def contenders(self, series: str) -> list[str]:
        """Return the contenders that were measured."""
        return list(self.series.get(series, {}))

    def value(self, series: str, contender: str) -> Spread | None:
        """Return the absolute figure, or ``None`` if it was not measured."""
        rounds = self.series.get(series, {}).get(contender)
        return Spread.of(list(rounds.values())) if rounds else None

    def ratio(self, series: str, above: str, below: str) -> Spread | None:
        """Return ``above`` divided by ``below``, computed within each round that has both.

        For times, this is how many times as fast ``below`` is.
        """
        rounds = self.series.get(series, {})
        divided = [
            value / rounds[below][at]
            for at, value in rounds.get(above, {}).items()
            if rounds.get(below, {}).get(at)
        ]
        return Spread.of(divided) if divided else None

    def difference(self, series: str, above: str, below: str, unit: float) -> Spread | None:
        """Return ``above`` minus ``below`` in ``unit``, computed within each round with both."""
        rounds = self.series.get(series, {})
        differences = [
            (value - rounds[below][at]) / unit
            for at, value in rounds.get(above, {}).items()
            if at in rounds.get(below, {})
        ]
        return Spread.of(differences) if differences else None

    def median_of(self, series: str, contender: str) -> float | None:
        """Return the median of the absolute figure, or ``None`` if it was not measured."""
        spread = self.value(series, contender)
        return None if spread is None else spread.middle
