"""A callable of a delivery mode can read the id of the send."""

from typing import Any

import pytest

from aldis.core import Signal
from aldis.core.observers import current_send_id


class Recorder:
    """A receiver whose delivery mode records the ids of sends."""

    def __init__(self) -> None:
        self.sends: list[str | None] = []

    def __call__(self, sender: Any, **extra: Any) -> None:
        """Fail: a signal must call the callable of ``__bind_signal__``."""
        raise AssertionError

    def __bind_signal__(self, signal: Any) -> Any:
        """Return a callable that reads the id."""

        def note(sender: Any, **extra: Any) -> None:
            self.sends.append(current_send_id())

        note.needs_send_id = True
        return note


def test_each_send_has_one_id_for_all_its_receivers():
    """Two receivers read one id in a send, and another id in the next send."""
    signal, first, second = Signal(), Recorder(), Recorder()
    signal.connect(first)
    signal.connect(second)
    signal.send("shop")
    signal.send_robust("shop")
    assert first.sends == second.sends
    assert 2 == len({*first.sends})
    assert [32, 32] == [len(each or "") for each in first.sends]


def test_the_old_name_of_the_attribute_warns():
    """A callable with ``asks_send`` still gets an id, with a DeprecationWarning."""
    seen = []

    class Old:
        def __call__(self, sender):
            """Do nothing."""

        def __bind_signal__(self, signal):
            """Return a callable with the old attribute."""

            def note(sender):
                seen.append(current_send_id())

            note.asks_send = True
            return note

    signal, old = Signal(), Old()
    with pytest.warns(DeprecationWarning, match="asks_send is now called needs_send_id"):
        signal.connect(old)
    signal.send("shop")
    assert [32] == [len(each or "") for each in seen]


async def test_async_sends_have_an_id():
    """The receivers of ``asend`` can read an id."""
    signal, recorder = Signal(), Recorder()
    signal.connect(recorder)
    await signal.asend("shop")
    assert 32 == len(recorder.sends[0] or "")


def test_a_send_inside_a_receiver_has_its_own_id():
    """After a nested send, the outer send still has its own id."""
    outer, inner, before, nested, after = Signal(), Signal(), Recorder(), Recorder(), Recorder()
    inner.connect(nested)
    outer.connect(before)

    @outer.connect
    def send_on(sender: Any, **extra: Any) -> None:
        inner.send(sender)

    outer.connect(after)
    outer.send("shop")
    assert before.sends == after.sends
    assert before.sends != nested.sends


def test_the_id_is_none_without_a_receiver_that_needs_it():
    """Without a receiver that needs the id, the id is ``None``."""
    signal, seen = Signal(), []

    @signal.connect
    def plain(sender: Any) -> None:
        seen.append(current_send_id())

    signal.send("shop")
    assert [None, None] == [*seen, current_send_id()]
