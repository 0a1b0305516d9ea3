"""How enabling and disabling plugins grows with their number.

``python -m benchmarks.plugins`` prints a table. For each number of plugins, it has the microseconds
to add, enable, reload and disable one plugin. Each plugin has ten subscriptions, and all plugins
use the same ten signals. If the figures of a column are equal, the time is linear.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from aldis import COMPILED, Namespace, Signal
from aldis.plugins import PluginManager

SIZES: Final = (125, 250, 500, 1000, 2000, 4000)
SUBSCRIPTIONS: Final = 10
_ROUNDS: Final = 5
_STEPS: Final = ("add", "enable", "reload", "disable")


class Plugin:
    """A plugin with ten receivers. It makes new ones for each request.

    Args:
        signals: The signals of the receivers.
    """

    def __init__(self, signals: Sequence[Signal[..., Any]]) -> None:
        self._signals = signals

    def get_signal_subscriptions(self) -> dict[Signal[..., Any], list[Any]]:
        """Return a new receiver for each of the signals."""
        return {signal: [_receiver()] for signal in self._signals}


def _receiver() -> Callable[..., None]:
    def receiver(sender: object, **kwargs: object) -> None:
        return None

    return receiver


def measure(size: int) -> dict[str, float]:
    """Return the microseconds of each step for one of ``size`` plugins."""
    namespace = Namespace()
    signals = [namespace.signal(f"signal_{number}") for number in range(SUBSCRIPTIONS)]
    plugins = {f"plugin_{number}": Plugin(signals) for number in range(size)}
    manager = PluginManager("aldis.benchmarks.none")
    result = {
        "add": _timed(plugins, lambda name: manager.add(name, plugins[name])),
        "enable": _timed(plugins, manager.enable),
    }
    if [size] * SUBSCRIPTIONS != [len(signal.receivers) for signal in signals]:
        message = "a receiver was lost"
        raise AssertionError(message)
    result["reload"] = _timed(plugins, manager.reload)
    result["disable"] = _timed(plugins, manager.disable)
    if any(signal.receivers for signal in signals):
        message = "a receiver is still connected"
        raise AssertionError(message)
    return result


def _timed(names: Sequence[str] | dict[str, Plugin], step: Callable[[str], None]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter_ns()
        for name in names:
            step(name)
        return (time.perf_counter_ns() - start) / len(names) / 1000
    finally:
        gc.enable()


def main() -> None:
    """Measure the sizes in turn, several times, and print the medians."""
    rounds = [{size: measure(size) for size in SIZES} for _ in range(_ROUNDS)]
    engine = "C" if COMPILED else "Python"
    print(f"aldis on its {engine} engine, Python {sys.version.split()[0]}")
    print(f"microseconds for a plugin of {SUBSCRIPTIONS} subscriptions; median of {_ROUNDS} rounds")
    print()
    print("| plugins | " + " | ".join(_STEPS) + " |")
    print("|---:" * (len(_STEPS) + 1) + "|")
    for size in SIZES:
        medians = [statistics.median(each[size][step] for each in rounds) for step in _STEPS]
        print(f"| {size} | " + " | ".join(f"{median:.1f}" for median in medians) + " |")


if __name__ == "__main__":
    main()
