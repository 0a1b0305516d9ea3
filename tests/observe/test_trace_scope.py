"""What a trace takes in, what errors it knows of, and how it prints itself."""

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
    """Describe the roots of a trace."""
    return [f"{root.signal} from {root.sender}" for root in seen.roots]


@pytest.fixture
def paid():
    """A signal."""
    return Namespace().signal("paid")


class TestEverywhereFalse:
    """``trace(everywhere=False)``: one request among others."""

    def test_threads_are_kept_apart(self, paid):
        """Two traces on two threads at the same time each record their own thread's sends only."""
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

    def test_tasks_are_kept_apart(self, paid):
        """Two tasks that trace while they take turns each record their own sends only."""

        async def answer(name):
            with trace(everywhere=False) as seen:
                await asyncio.sleep(0)
                paid.send(name)
                await asyncio.sleep(0)
            return signals_of(seen)

        async def main():
            return await asyncio.gather(answer("a"), answer("b"))

        assert [["paid from 'a'"], ["paid from 'b'"]] == asyncio.run(main())

    def test_a_task_started_inside_belongs_to_it(self, paid):
        """What a task sends that was started inside the block is recorded."""

        async def send():
            paid.send("task")

        async def main():
            with trace(everywhere=False) as seen:
                await asyncio.create_task(send())
            return signals_of(seen)

        assert ["paid from 'task'"] == asyncio.run(main())

    def test_nested_sends_hang_where_they_happened(self, paid):
        """A send inside a receiver is a branch of the receiver's call, as in any trace."""
        booked = Namespace().signal("booked")

        def book(sender):
            booked.send(sender)

        with paid.connected_to(book), trace(everywhere=False) as seen:
            paid.send("shop")

        (root,) = seen.roots
        assert ["booked"] == [emission.signal for emission in root.calls[0].emissions]

    def test_nothing_is_recorded_after_the_block(self, paid):
        """The block's end ends the trace, and an outer one goes on."""
        with trace(everywhere=False) as outer:
            with trace(everywhere=False) as inner:
                paid.send(1)
            paid.send(2)
        paid.send(3)

        assert ["paid from 1"] == signals_of(inner)
        assert ["paid from 1", "paid from 2"] == signals_of(outer)


class TestErrors:
    """Every error is in the tree, whoever was spared it."""

    def test_what_robust_kept_from_the_sender(self, paid):
        """An error that robust caught stands at the receiver, and the send says it went on."""

        @robust
        def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen:
            paid.send("shop")

        (root,) = seen.roots
        assert root.error is None
        assert ["ValueError: too long"] == [call.error for call in root.calls]
        assert "raised ValueError: too long (the send went on)" in str(seen)

    def test_what_an_async_robust_receiver_kept(self, paid):
        """The same holds for an async receiver."""

        @robust
        async def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen:
            asyncio.run(paid.asend("shop"))

        assert ["ValueError: too long"] == [call.error for call in seen.roots[0].calls]

    def test_what_a_robust_method_kept(self, paid):
        """The same holds for a method."""

        class Printer:
            @robust
            def fail(self, sender):
                raise ValueError("too long")

        with paid.connected_to(Printer().fail), trace() as seen:
            paid.send("shop")

        assert ["ValueError: too long"] == [call.error for call in seen.roots[0].calls]

    def test_only_the_robust_receivers_own_call_has_the_error(self, paid):
        """A robust receiver whose send nobody observes leaves the call around it without error."""
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

    def test_what_a_plain_receiver_raised(self, paid):
        """An error that reached the sender is told once in full, at the receiver."""

        def fail(sender):
            raise ValueError("too long")

        with paid.connected_to(fail), trace() as seen, pytest.raises(ValueError, match="too long"):
            paid.send("shop")

        first, second = str(seen).splitlines()
        assert "  raised  sent by 'shop'" in first
        assert "  raised ValueError: too long  " in second

    def test_what_no_receiver_raised(self, paid):
        """An error of the send itself, before any receiver ran, is told at the send."""

        async def listen(sender):
            """Cannot be called by a sync send."""

        with paid.connected_to(listen), trace() as seen, pytest.raises(RuntimeError):
            paid.send("shop")

        assert "no receiver  raised AsyncReceiverError: " in str(seen)

    def test_an_error_of_several_lines(self, paid):
        """Its words stand on one line, which leaves the tree a tree."""

        @paid.connect
        def print_label(sender, **extra):
            raise ValueError("too long:\n  24 characters\n")

        with trace() as seen:
            paid.send_robust("shop")
        assert "ValueError: too long: 24 characters" == seen.roots[0].calls[0].error

    def test_an_error_without_words(self, paid):
        """One that has none, or fails to say them, is told by its type."""

        class Mute(Exception):  # noqa: N818 - the name is the point
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
    """A file that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


class TestPrinting:
    """``Trace.print``."""

    @pytest.fixture
    def seen(self, paid):
        """A trace of one send inside another."""
        booked = Namespace().signal("booked")

        def book(sender):
            booked.send(sender)

        with paid.connected_to(book), trace() as seen:
            paid.send("shop")
        return seen

    def test_a_title_makes_one_tree(self, seen):
        """Under a title, the trees are its branches."""
        file = StringIO()
        seen.print("POST /pay", file=file)

        assert ["POST /pay", "└─ paid", "   └─ book", "      └─ booked"] == [
            re.split(r"(?<=\w)  ", line)[0] for line in file.getvalue().splitlines()
        ]

    def test_a_file_gets_plain_text(self, seen):
        """Into a file or a pipe goes what ``str`` gives, without colour."""
        file = StringIO()
        seen.print(file=file)

        assert f"{seen}\n" == file.getvalue()
        assert "\x1b" not in file.getvalue()

    def test_standard_output_is_the_default(self, seen, capsys):
        """Without a file, standard output gets it."""
        seen.print()

        assert f"{seen}\n" == capsys.readouterr().out

    @pytest.mark.parametrize("title", [None, "POST /pay"])
    def test_a_terminal_gets_colour(self, seen, monkeypatch, title):
        """On a terminal, with rich, there is colour."""
        pytest.importorskip("rich")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm-256color")
        file = Terminal()
        seen.print(title, file=file)

        assert "\x1b[1;36mpaid\x1b[0m" in file.getvalue()
        assert (title is not None) == ("\x1b[1mPOST /pay\x1b[0m" in file.getvalue())

    def test_a_terminal_without_rich_gets_plain_text(self, seen, monkeypatch):
        """Without rich, a terminal gets what a file gets."""
        monkeypatch.setitem(sys.modules, "rich.console", None)
        file = Terminal()
        seen.print(file=file)

        assert f"{seen}\n" == file.getvalue()
