"""The sends and errors that a trace records, and the printed trace."""

import asyncio
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier

import pytest

from aldis import Namespace
from aldis.observe import Trace, trace
from aldis.receivers import robust


def signals_of(seen: Trace) -> list[str]:
    """Return a description of each root of a trace."""
    return [f"{root.signal} from {root.sender}" for root in seen.roots]


@pytest.fixture
def paid():
    """Give a signal."""
    return Namespace().signal("paid")


class TestEverywhereFalse:
    """``trace(everywhere=False)`` records one of several concurrent requests."""

    def test_a_trace_records_only_its_thread(self, paid):
        """Of two traces in two threads, each records only the sends of its thread."""
        both_trace = Barrier(2)

        def answer(name):
            with trace(everywhere=False) as seen:
                both_trace.wait(5)
                paid.send(name)
                both_trace.wait(5)
            return signals_of(seen)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(answer, ["a", "b"]))

        assert [["paid from 'a'"], ["paid from 'b'"]] == answers

    def test_a_trace_records_only_its_task(self, paid):
        """Of two traces in two concurrent tasks, each records only the sends of its task."""

        async def answer(name):
            with trace(everywhere=False) as seen:
                await asyncio.sleep(0)
                paid.send(name)
                await asyncio.sleep(0)
            return signals_of(seen)

        async def main():
            return await asyncio.gather(answer("a"), answer("b"))

        assert [["paid from 'a'"], ["paid from 'b'"]] == asyncio.run(main())

    def test_a_task_started_inside_the_block_is_recorded(self, paid):
        """The trace also records the sends of tasks that the block starts."""

        async def send():
            paid.send("task")

        async def main():
            with trace(everywhere=False) as seen:
                await asyncio.create_task(send())
            return signals_of(seen)

        assert ["paid from 'task'"] == asyncio.run(main())

    def test_nested_sends_are_children(self, paid):
        """A send inside a receiver is a child of the receiver's call."""
        booked = Namespace().signal("booked")

        def book(sender):
            booked.send(sender)

        with paid.connected_to(book), trace(everywhere=False) as seen:
            paid.send("shop")

        (root,) = seen.roots
        assert ["booked"] == [emission.signal for emission in root.calls[0].emissions]

    def test_sends_after_the_block_are_not_recorded(self, paid):
        """The end of the block ends its trace, but not an outer trace."""
        with trace(everywhere=False) as outer:
            with trace(everywhere=False) as inner:
                paid.send(1)
            paid.send(2)
        paid.send(3)

        assert ["paid from 1"] == signals_of(inner)
        assert ["paid from 1", "paid from 2"] == signals_of(outer)


class TestErrors:
    """The tree has every error, even if the sender did not get it."""

    def test_an_error_that_robust_caught(self, paid):
        """The error is shown at the receiver. The text adds that the send continued."""

        @robust
        def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen:
            paid.send("shop")

        (root,) = seen.roots
        assert root.error is None
        assert ["ValueError: too long"] == [call.error for call in root.calls]
        assert "raised ValueError: too long (the send went on)" in str(seen)

    def test_an_error_of_an_async_robust_receiver(self, paid):
        """The error is shown at the async receiver."""

        @robust
        async def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen:
            asyncio.run(paid.asend("shop"))

        assert ["ValueError: too long"] == [call.error for call in seen.roots[0].calls]

    def test_an_error_of_a_robust_method(self, paid):
        """The error is shown at the method."""

        class Printer:
            @robust
            def fail(self, sender):
                raise ValueError("too long")

        with paid.connected_to(Printer().fail), trace() as seen:
            paid.send("shop")

        assert ["ValueError: too long"] == [call.error for call in seen.roots[0].calls]

    def test_only_the_call_of_the_robust_receiver_has_the_error(self, paid):
        """The outer call has no error if the send of the robust receiver is not observed."""
        printed = Namespace().signal("printed")

        @robust
        def fail(sender):
            raise ValueError("too long")

        def relay(sender):
            end_of_trace.__exit__(None, None, None)
            printed.send(sender)

        end_of_trace = trace()
        with printed.connected_to(fail), paid.connected_to(relay):
            seen = end_of_trace.__enter__()
            paid.send("shop")

        assert [None] == [call.error for call in seen.roots[0].calls]

    def test_an_error_of_a_plain_receiver(self, paid):
        """An error that reached the sender is shown in full only at the receiver."""

        def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen, pytest.raises(ValueError, match="too long"):
            paid.send("shop")

        first, second = str(seen).splitlines()
        assert "  raised  sent by 'shop'" in first
        assert "  raised ValueError: too long  " in second

    def test_an_error_of_the_send_itself(self, paid):
        """An error before any receiver ran is shown at the send."""

        async def listen(sender):
            """Do nothing: a sync send cannot call this receiver."""

        with paid.connected_to(listen), trace() as seen, pytest.raises(RuntimeError):
            paid.send("shop")

        assert "no receiver  raised AsyncReceiverError: " in str(seen)

    def test_an_error_of_several_lines(self, paid):
        """The text of the error is put on one line, so the tree stays readable."""

        @paid.connect
        def print_label(sender, **extra):
            raise ValueError("too long:\n  24 characters\n")

        with trace() as seen:
            paid.send_robust("shop")
        assert "ValueError: too long: 24 characters" == seen.roots[0].calls[0].error

    def test_an_error_without_a_text(self, paid):
        """An error without a text, or whose ``__str__`` raises, is shown by its type."""

        class Mute(Exception):  # noqa: N818 - the test expects this short name
            def __str__(self):
                raise TypeError

        @paid.connect
        def first(sender, **extra):
            raise Mute

        @paid.connect
        def second(sender, **extra):
            raise ValueError

        with trace() as seen:
            paid.send_robust("shop")
        assert ["Mute", "ValueError"] == [call.error for call in seen.roots[0].calls]


class Terminal(StringIO):
    """A file that claims to be a terminal."""

    def isatty(self):
        """Return true."""
        return True


class TestPrinting:
    """``Trace.print``."""

    @pytest.fixture
    def seen(self, paid):
        """Give a trace of a send inside another send."""
        booked = Namespace().signal("booked")

        def book(sender):
            booked.send(sender)

        with paid.connected_to(book), trace() as seen:
            paid.send("shop")
        return seen

    def test_a_title_is_the_root(self, seen):
        """With a title, the trees are its children."""
        file = StringIO()
        seen.print("POST /pay", file=file)

        assert ["POST /pay", "└─ paid", "   └─ book", "      └─ booked"] == [
            re.split(r"(?<=\w)  ", line)[0] for line in file.getvalue().splitlines()
        ]

    def test_a_file_gets_plain_text(self, seen):
        """A file or a pipe gets the text of ``str`` without colours."""
        file = StringIO()
        seen.print(file=file)

        assert f"{seen}\n" == file.getvalue()
        assert "\x1b" not in file.getvalue()

    def test_standard_output_is_the_default(self, seen, capsys):
        """Without a file, the trace goes to the standard output."""
        seen.print()

        assert f"{seen}\n" == capsys.readouterr().out

    @pytest.mark.parametrize("title", [None, "POST /pay"])
    def test_a_terminal_gets_colour(self, seen, monkeypatch, title):
        """With rich, the text on a terminal has colours."""
        pytest.importorskip("rich")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        file = Terminal()
        seen.print(title, file=file)

        assert "\x1b[1;36mpaid\x1b[0m" in file.getvalue()
        assert (title is not None) == ("\x1b[1mPOST /pay\x1b[0m" in file.getvalue())

    def test_a_terminal_without_rich_gets_plain_text(self, seen, monkeypatch):
        """Without rich, a terminal gets the text of a file."""
        monkeypatch.setitem(sys.modules, "rich.console", None)
        file = Terminal()
        seen.print(file=file)

        assert f"{seen}\n" == file.getvalue()
