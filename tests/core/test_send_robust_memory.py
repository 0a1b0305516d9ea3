"""A send that collects errors keeps no references to them."""

from __future__ import annotations

import gc
import logging
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

import aldis
from aldis.core import Observer, attach, detach


class Thing:
    """An object that can be weakly referenced."""


def test_an_error_is_freed_with_the_outcomes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an error, the payload is freed with the outcomes, without the garbage collector."""
    signal = aldis.Signal()

    def fail(sender: object, *, thing: Thing) -> None:
        raise ValueError

    signal.connect(fail)
    thing = Thing()
    gone = weakref.ref(thing)
    # The log records that pytest keeps refer to the error.
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
    signal.asend("north", thing=thing).send(None)  # no receiver waits, so it ends at once


@pytest.mark.parametrize("send", [_send, _asend])
def test_the_error_of_continue_on_error_is_freed(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[aldis.Signal, Thing], None]
) -> None:
    """The error that a send raises at its end is freed after it was handled."""
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


def test_the_traceback_of_a_collected_error_ends_in_the_receiver() -> None:
    """The traceback of an outcome's error shows the line that raised."""
    signal = aldis.Signal()

    def fail(sender: object) -> None:
        raise ValueError

    signal.connect(fail)
    error = signal.send_robust()[0].error
    assert error is not None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"


@pytest.mark.parametrize("continue_on_error", [False, True])
@pytest.mark.parametrize("send", [_send, _asend])
def test_the_error_of_an_observed_send_is_freed(
    monkeypatch: pytest.MonkeyPatch,
    send: Callable[[aldis.Signal, Thing], None],
    continue_on_error: bool,
) -> None:
    """An observed send keeps neither its error nor its payload after the error was handled."""
    signal = aldis.Signal()
    signal.continue_on_error = continue_on_error

    def fail(sender: object, *, thing: Thing) -> None:
        raise ValueError

    signal.connect(fail)
    monkeypatch.setattr(logging.getLogger("aldis"), "disabled", True)
    attach(observer := Observer())
    gc.disable()
    try:
        for _ in range(2):  # the first send takes another path
            thing = Thing()
            gone = weakref.ref(thing)
            with suppress(ValueError):
                send(signal, thing)
            del thing
            assert gone() is None
    finally:
        gc.enable()
        detach(observer)
