"""The goals of aldis for speed, and whether a run reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.contenders import ALDIS, BASELINE, PEERS, Contender
from benchmarks.samples import Samples, Spread

SIZES: Final = (0, 1, 10, 100)
#: With a hundred times the senders, caches may make each sender slower by this factor.
_LINEAR: Final = 3.0
#: The bytes that may remain, for any number of senders.
_LEFT: Final = 16_384
_COMPILED = ALDIS[0]


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and its result.

    Attributes:
        work: The measured operation.
        least: The lower limit of the figure.
        most: The upper limit of the figure.
        measured: The figure, or ``None`` if it was not measured.
        note: A text after the figure.
        unit: The unit of the figures.
    """

    work: str
    measured: Spread | None
    least: float | None = None
    most: float | None = None
    note: str = ""
    unit: str = "\N{MULTIPLICATION SIGN}"

    @property
    def wanted(self) -> str:
        """Return the limit as text."""
        if self.least is None and self.most is None:
            return ""
        sign, bound = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {bound:,g} {self.unit}"

    @property
    def verdict(self) -> str:
        """Return whether the median reaches the goal, and whether the middle half agrees."""
        if self.measured is None:
            return "not measured"
        verdict = "yes" if self._kept(self.measured.middle) else "**no**"
        ends = {self._kept(self.measured.low), self._kept(self.measured.high)}
        return f"{verdict}, within noise" if len(ends) > 1 else verdict

    def _kept(self, figure: float) -> bool:
        return (self.least is None or figure >= self.least) and (
            self.most is None or figure <= self.most
        )


def goals(samples: Samples, groups: Sequence[str]) -> list[Goal]:
    """Return the goals of ``groups``. An engine that was not measured has one entry."""
    found: list[Goal] = []
    for engine in ALDIS:
        if any(engine.key in contenders for contenders in samples.series.values()):
            for group, promises in _PROMISES.items():
                if group in groups:
                    found += promises(samples, engine)
        else:
            found.append(Goal(engine.title, None))
    return found


def _series(size: int) -> str:
    return f"send/functions/{size}/ns"


def _to(size: int) -> str:
    return {1: "1 receiver"}.get(size, f"{size} receivers")


def _send(samples: Samples, engine: Contender) -> Iterator[Goal]:
    bounds = (6.0, 10.0, 10.0) if engine is _COMPILED else (1.1, 2.2, 2.2)
    for size, least in zip((0, 1, 10), bounds, strict=True):
        ratio = samples.ratio(_series(size), BASELINE, engine.key)
        yield Goal(f"{engine.title}: send to {_to(size)}, as fast as blinker", ratio, least=least)
    if engine is _COMPILED:
        for hand, answers in (("hand-pairs", "in a list"), ("hand", "dropped")):
            ratio = samples.ratio(_series(10), engine.key, hand)
            work = f"{engine.title}: send to 10 receivers, time of the calls by hand, answers"
            yield Goal(f"{work} {answers}", ratio, most=1.8)
    yield from _peers(samples, engine)


def _peers(samples: Samples, engine: Contender) -> Iterator[Goal]:
    """Compare the engine with the fastest peer. The Python engine has only peers in Python."""
    peers = [peer for peer in PEERS if engine is _COMPILED or not peer.compiled]
    who = "every peer" if engine is _COMPILED else "every peer in Python"
    for size in SIZES:
        ratios = {
            peer.title: ratio
            for peer in peers
            if (ratio := samples.ratio(_series(size), peer.key, engine.key)) is not None
        }
        closest = min(ratios, key=lambda title: ratios[title].middle, default="")
        work = f"{engine.title}: send to {_to(size)}, ahead of {who}"
        yield Goal(work, ratios.get(closest), least=1.0, note=closest)


def _connect(samples: Samples, engine: Contender) -> Iterator[Goal]:
    for way, what in (("one", "one receiver"), ("own", "a receiver each")):
        keys = [key for key in samples.series if key.startswith(f"connect/{way}/")]
        if not keys:
            continue
        most = max(int(key.split("/")[2]) for key in keys)
        series = f"connect/{way}/{most}/both"
        work = f"{engine.title}: connect + disconnect, {most:,} senders, {what}"
        bound = 1.2 if engine is _COMPILED else 0.9
        yield Goal(
            f"{work}, as fast as blinker", samples.ratio(series, BASELINE, engine.key), least=bound
        )
        least = 1000 if most > 1000 else 10
        base = samples.median_of(f"connect/{way}/{least}/both", engine.key)
        spread = samples.value(series, engine.key)
        growth = None
        if base is not None and spread is not None:
            growth = Spread(spread.middle / base, spread.low / base, spread.high / base)
        yield Goal(f"{work}, time of each at {least:,} senders", growth, most=_LINEAR)
    for way, what in (("disconnected", "one receiver"), ("own", "a receiver each")):
        for series in samples.series:
            if series.startswith(f"connect/{way}/") and series.endswith("/each"):
                work = f"{engine.title}: memory for a connection, {what}"
                yield Goal(work, samples.value(series, engine.key), most=400, unit="bytes")
    for way in ("disconnected", "died", "strings", "own"):
        for series in samples.series:
            if series.startswith(f"connect/{way}/") and series.endswith("/left"):
                work = f"{engine.title}: memory left after {_gone(way)}"
                yield Goal(work, samples.value(series, engine.key), most=_LEFT, unit="bytes")


def _gone(way: str) -> str:
    return {
        "disconnected": "senders were disconnected",
        "died": "senders died",
        "strings": "strings were disconnected",
        "own": "senders with a receiver each were disconnected",
    }[way]


def _variants(samples: Samples, engine: Contender) -> Iterator[Goal]:
    compiled = engine is _COMPILED
    suffix = engine.key.removeprefix("aldis")
    bounds = {
        "robust": ("send_robust", 3.0 if compiled else 0.8),
        "traced": ("a send that trace() records,", 0.5 if compiled else 0.3),
        "strict": ("a send in strict mode", 0.5),
    }
    for key, (what, least) in bounds.items():
        for size in (1, 10):
            ratio = samples.ratio(f"variants/functions/{size}/ns", BASELINE, f"aldis-{key}{suffix}")
            work = f"{engine.title}: {what} to {_to(size)}, as fast as blinker's plain send"
            yield Goal(work, ratio, least=least)


def _paths(samples: Samples, engine: Contender) -> Iterator[Goal]:
    for size in (1, 10):
        ratio = samples.ratio(f"asend/coroutines/{size}/ns", engine.key, "hand")
        work = f"{engine.title}: asend to {_to(size)}, time of awaiting them by hand"
        yield Goal(work, ratio, most=2.0)
    for size in (1, 10):
        more = samples.difference(
            f"after_commit/functions/{size}/ns", engine.key, "hand", 1000 * size
        )
        work = f"{engine.title}: after the commit, {_to(size)}, for each more than the call"
        yield Goal(work, more, most=3.0, unit="µs")
    more = samples.difference("import/package/1/ms", engine.key, BASELINE, 1)
    yield Goal(f"{engine.title}: import aldis, more than import blinker", more, most=5, unit="ms")


def _flask(samples: Samples, engine: Contender) -> Iterator[Goal]:
    figures = {"flask": ("ns", "time"), "callgrind": ("instructions", "instructions")}
    for group, (figure, what) in figures.items():
        for view in ("plain", "page", "failing"):
            for size in (0, 5):
                ratio = samples.ratio(f"{group}/{view}/{size}/{figure}", engine.key, BASELINE)
                work = f"Flask request ({view}), {size} receivers a signal, {what} of blinker's"
                if ratio is not None or group == "flask":
                    yield Goal(f"{engine.title}: {work}", ratio, most=1.0)


_PROMISES: Final = {
    "send": _send,
    "variants": _variants,
    "connect": _connect,
    "paths": _paths,
    "flask": _flask,
}
