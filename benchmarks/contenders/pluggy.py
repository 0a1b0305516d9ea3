"""pluggy with one plugin for each receiver. It returns only values that are not None."""

from types import ModuleType

import pluggy

from benchmarks.benchmark import Benchmark, Participants, UnsupportedError

DISTRIBUTION = "pluggy"
_PROJECT = "measured"
_implementation = pluggy.HookimplMarker(_PROJECT)


class Specification:
    @pluggy.HookspecMarker(_PROJECT)
    def measured(self, sender: object, a: int) -> None:
        """Called to be timed."""


def benchmark(participants: Participants) -> Benchmark:
    """Connect the receivers to a new signal, and send."""
    if participants.shape in {"methods", "open"}:
        message = "a plugin's hook is a function with the arguments that it names"
        raise UnsupportedError(message)
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(Specification)
    for number, receiver in enumerate(participants.of_any_sender()):
        plugin = ModuleType(f"plugin_{number}")
        plugin.measured = _implementation(receiver)  # type: ignore[attr-defined]
        manager.register(plugin)
    names = {"hook": manager.hook, "sender": participants.sender}
    return Benchmark("hook.measured(sender=sender, a=1)", names, None, participants.size)
