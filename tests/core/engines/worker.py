"""Runs small programs on the engine that this process has chosen and reports all visible results.

One JSON document a line on standard input, one report a line on standard output. The first line of
output says which engine it is.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import traceback
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any

import aldis
from aldis.core import Observer, attach, detach


class Colour(StrEnum):
    """A string that is also a member."""

    RED = "red"


class Size(IntEnum):
    """An int that is also a member."""

    ONE = 1


class Thing:
    """A sender, or the object of a method."""

    def method(self, sender: object, **payload: object) -> str:
        """Receive."""
        return f"method {sorted(payload)}"

    def failing(self, sender: object, **payload: object) -> str:
        """Fail."""
        raise LookupError(sorted(payload))


class Slotted:
    """A sender without weak references."""

    __slots__ = ()


class Proxy:
    """Stands for another object, as werkzeug's LocalProxy does."""

    def __init__(self, target: object) -> None:
        self._target = target

    def _get_current_object(self) -> object:
        return self._target


def successor(sender: object, **payload: object) -> str:
    """Receive in place of a receiver that has died."""
    return f"successor {sorted(payload)}"


class Machine:
    """One signal with its receivers and senders, and a log of the calls."""

    def __init__(self) -> None:
        self.signal = aldis.Signal()
        self.log: list[Any] = []
        things = [Thing(), Thing()]
        self.senders: list[Any] = [
            None, 0, 1, True, "red", Colour.RED, Size.ONE, "", things[0], things[1],
            Slotted(), [1], Proxy(things[0]), aldis.ANY,
        ]  # fmt: skip
        self.receivers: list[Any] = [self.make(number) for number in range(4)] + [
            things[0].method,
            things[1].method,
            things[1].failing,
            self.log.append,
        ]
        self.signals = [self.signal, aldis.Signal()]
        self.receivers.append(self.signals[1].send)

    def make(self, number: int) -> Any:
        """Return a receiver of one's own kind."""

        def receiver(sender: object, **payload: Any) -> int:
            self.log.append((number, sorted(payload)))
            for step in payload.get("inside", []):
                self.run(step)
            if payload.get("fail") == number:
                raise ValueError(number)
            return number

        return receiver

    def run(self, step: list[Any]) -> Any:
        """Carry out one step of a program."""
        name, *given = step
        return getattr(self, f"do_{name}")(*given)

    def do_connect(self, receiver: int, sender: int, weak: bool) -> None:
        """Connect, perhaps again."""
        self.signal.connect(self.receivers[receiver], self.senders[sender], weak=weak)

    def do_disconnect(self, receiver: int, sender: int) -> None:
        """Disconnect, perhaps in vain."""
        self.signal.disconnect(self.receivers[receiver], self.senders[sender])

    def do_send(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send with keyword arguments."""
        return self.signal.send(self.senders[sender], **payload)

    def do_send_wrapped(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send as Flask does."""
        return self.signal.send(self.senders[sender], _async_wrapper=lambda each: each, **payload)

    def do_send_robust(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send to every receiver, and return the errors as text."""
        return [
            (each.receiver, each.value, repr(each.error))
            for each in self.signal.send_robust(self.senders[sender], **payload)
        ]

    def do_send_bare(self) -> Any:
        """Send without anything."""
        return self.signal.send()

    def do_send_badly(self) -> Any:
        """Send with too many positional arguments."""
        return self.signal.send(1, 2)

    def do_drop(self, receiver: int) -> None:
        """Let a receiver die."""
        self.receivers[receiver] = successor

    def do_observe(self, on: bool) -> None:
        """Attach or detach an observer."""
        self.observer = getattr(self, "observer", None) or Observer()
        (attach if on else detach)(self.observer)

    def do_continue_on_error(self, on: bool) -> None:
        """Go on after an error, or not."""
        self.signal.continue_on_error = on

    def do_mute(self, step: list[Any]) -> Any:
        """Do something while muted."""
        with self.signal.muted():
            return self.run(step)

    def name(self, value: Any) -> Any:
        """Write a result so that two processes can compare it."""
        if isinstance(value, (list, tuple)):
            return [self.name(each) for each in value]
        for number, receiver in enumerate(self.receivers):
            if value == receiver:
                return f"receiver {number}"
        if callable(value):  # a receiver that was dropped; a bound send is of another type on each
            return "a callable"
        return value if isinstance(value, (int, str, type(None))) else type(value).__name__

    def report(self, step: list[Any]) -> dict[str, Any]:
        """Carry out a step and say everything that can be seen afterwards."""
        seen: dict[str, Any] = {}
        try:
            seen["result"] = self.name(self.run(step))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            seen["error"] = [type(error).__name__, str(error)]
            seen["traceback"] = [
                frame.name
                for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename == __file__
            ]
        gc.collect()
        seen["log"] = [self.name(entry) for entry in self.log]
        seen["receivers"] = len(self.signal.receivers)
        seen["references"] = [
            sys.getrefcount(each) for each in self.receivers if each is not successor
        ]
        seen["senders"] = [sys.getrefcount(self.senders[number]) for number in (8, 9, 10, 11, 12)]
        return seen


def main() -> None:
    """Serve programs until standard input ends."""
    logging.disable()
    say = partial(print, flush=True)
    say(json.dumps(aldis.COMPILED))
    for line in sys.stdin:
        machine = Machine()
        reports = [machine.report(step) for step in json.loads(line)]
        machine.do_observe(False)
        say(json.dumps(reports))


if __name__ == "__main__":
    main()
