"""Runs small programs on the engine of this process and reports all visible results.

Each line of standard input is a JSON document, and each line of standard output is its report. The
first line of output names the engine.
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
    """Members that are strings."""

    RED = "red"


class Size(IntEnum):
    """Members that are ints."""

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
    """A proxy of another object, like werkzeug's LocalProxy."""

    def __init__(self, target: object) -> None:
        self._target = target

    def _get_current_object(self) -> object:
        return self._target


def successor(sender: object, **payload: object) -> str:
    """Receive instead of a receiver that has died."""
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
        """Return a receiver. The number decides its kind."""

        def receiver(sender: object, **payload: Any) -> int:
            self.log.append((number, sorted(payload)))
            for step in payload.get("inside", []):
                self.run(step)
            if payload.get("fail") == number:
                raise ValueError(number)
            return number

        return receiver

    def run(self, step: list[Any]) -> Any:
        """Run one step of a program."""
        name, *given = step
        return getattr(self, f"do_{name}")(*given)

    def do_connect(self, receiver: int, sender: int, weak: bool) -> None:
        """Connect a receiver that may be connected already."""
        self.signal.connect(self.receivers[receiver], self.senders[sender], weak=weak)

    def do_disconnect(self, receiver: int, sender: int) -> None:
        """Disconnect a receiver that may not be connected."""
        self.signal.disconnect(self.receivers[receiver], self.senders[sender])

    def do_send(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send with keyword arguments."""
        return self.signal.send(self.senders[sender], **payload)

    def do_send_wrapped(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send with an async wrapper, as Flask does."""
        return self.signal.send(self.senders[sender], _async_wrapper=lambda each: each, **payload)

    def do_send_robust(self, sender: int, payload: dict[str, Any]) -> Any:
        """Send to every receiver, and return the errors as text."""
        return [
            (each.receiver, each.value, repr(each.error))
            for each in self.signal.send_robust(self.senders[sender], **payload)
        ]

    def do_send_bare(self) -> Any:
        """Send without a sender and without arguments."""
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
        """Set whether sends continue after an error."""
        self.signal.continue_on_error = on

    def do_mute(self, step: list[Any]) -> Any:
        """Run a step while the signal is muted."""
        with self.signal.muted():
            return self.run(step)

    def name(self, value: Any) -> Any:
        """Return the text of a result, so that two processes can compare it."""
        if isinstance(value, (list, tuple)):
            return [self.name(each) for each in value]
        for number, receiver in enumerate(self.receivers):
            if value == receiver:
                return f"receiver {number}"
        if callable(value):  # a dropped receiver; the type of a bound send differs between engines
            return "a callable"
        return value if isinstance(value, (int, str, type(None))) else type(value).__name__

    def report(self, step: list[Any]) -> dict[str, Any]:
        """Run a step and return everything that is visible afterwards."""
        seen: dict[str, Any] = {}
        try:
            seen["result"] = self.name(self.run(step))
        except Exception as error:  # noqa: BLE001 - the test compares every error
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
    """Run programs until standard input ends."""
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
