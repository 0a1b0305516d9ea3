"""The memory of a send that collects errors."""

from __future__ import annotations

import gc
import logging
import traceback
import weakref
from collections.abc import Callable

import pytest

import aldis


class Thing:
    """Something to hold on to."""


def test_errors_keep_nothing_alive_once_the_outcomes_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A payload that met an error dies with the outcomes, and needs no collector for it."""
    signal = aldis.Signal()

    def fail(sender: object, *, thing: Thing) -> None:
        raise ValueError

    signal.connect(fail)
    thing = Thing()
    gone = weakref.ref(thing)
    # What pytest keeps of the log would keep the error.
    monkeypatch.setattr(logging.getLogger("aldis"), "disabled", True)
    gc.disable()
    try:
        outcomes = signal.send_robust(thing=thing)
        assert isinstance(outcomes[0].error, ValueError)
        del thing, outcomes
        assert gone() is None
    finally:
        gc.enable()


def _send(signal: aldis.Signal, thing: Thing) -> None:
    signal.send("north", thing=thing)


def _asend(signal: aldis.Signal, thing: Thing) -> None:
    signal.asend("north", thing=thing).send(None)  # nothing in it waits


@pytest.mark.parametrize("send", [_send, _asend])
def test_nor_does_the_error_that_was_put_off(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[aldis.Signal, Thing], None]
) -> None:
    """The error of a signal with ``continue_on_error`` is released too."""
    signal = aldis.Signal()
    signal.continue_on_error = True

    def fail(sender: object, *, thing: Thing) -> None:
        raise ValueError

    signal.connect(fail)
    thing = Thing()
    gone = weakref.ref(thing)
    monkeypatch.setattr(logging.getLogger("aldis"), "disabled", True)
    gc.disable()
    try:
        try:
            send(signal, thing)
        except ValueError:
            heard = True
        del thing
        assert heard
        assert gone() is None
    finally:
        gc.enable()


def test_an_error_still_says_where_the_receiver_raised() -> None:
    """The traceback ends in the receiver."""
    signal = aldis.Signal()

    def fail(sender: object) -> None:
        raise ValueError

    signal.connect(fail)
    error = signal.send_robust()[0].error
    assert error is not None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"
