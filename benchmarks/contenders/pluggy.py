"""pluggy: one plugin for each receiver; only answers that are not None come back."""

from types import ModuleType

import pluggy

from benchmarks.scene import Crowd, Scene, UnsupportedError

DISTRIBUTION = "pluggy"
_PROJECT = "measured"
_implementation = pluggy.HookimplMarker(_PROJECT)


class Specification:
    @pluggy.HookspecMarker(_PROJECT)
    def measured(self, sender: object, a: int) -> None:
        """Called to be timed."""


def scene(crowd: Crowd) -> Scene:
    """Connect the crowd to a new signal, and send."""
    if crowd.shape in {"methods", "open"}:
        message = "a plugin's hook is a function with the arguments that it names"
        raise UnsupportedError(message)
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(Specification)
    for number, receiver in enumerate(crowd.of_any_sender()):
        plugin = ModuleType(f"plugin_{number}")
        plugin.measured = _implementation(receiver)  # type: ignore[attr-defined]
        manager.register(plugin)
    names = {"hook": manager.hook, "sender": crowd.sender}
    return Scene("hook.measured(sender=sender, a=1)", names, None, crowd.size)
