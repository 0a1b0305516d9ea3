"""Names and errors of other code reach a terminal in one line, without control characters."""

import io
import sys

import pytest

import aldis
from aldis.cli._output import Report
from aldis.core.receiver import describe
from aldis.core.sender import describe_sender
from aldis.errors import ReceiverError
from aldis.observe import trace
from aldis.testing import assert_wired, record

HOSTILE = {
    "escape": "\x1b[2Jpaid",
    "newline": "paid\nforged",
    "carriage return": "paid\rforged",
    "backspace": "paid\b\b\b\bfree",
    "C1 control": "\x9b2Jpaid",
    "right to left": "\u202edaip",
    "isolate": "\u2066paid\u2069",
    "line separator": "paid\u2028forged",
    "nul": "paid\0",
    "surrogate": "paid\udc80",
}


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self):
        """Return true."""
        return True


def _sent(name):
    """Return a trace of a send in which every name and the error are ``name``."""
    signal = aldis.NamedSignal(name)

    try:
        kind = type(name, (ValueError,), {})
    except ValueError:  # Python refuses this name for a type
        kind = ValueError

    def fail(sender, **extra):
        raise kind(name)

    fail.__name__ = fail.__qualname__ = name
    signal.connect(fail)
    sender = type("Branch", (), {"name": name})()
    type(sender).__qualname__ = name
    with trace() as seen, pytest.raises(ValueError):  # noqa: PT011 - the text is hostile
        signal.send(sender, **{name: 1})
    return seen, signal, fail, sender


def _printed(name):
    stream = io.StringIO()
    _sent(name)[0].print(title=name, file=stream)
    return stream.getvalue()


def _in_colour(name):
    pytest.importorskip("rich")
    stream = Terminal()
    _sent(name)[0].print(title="title", file=stream)
    # rich prints the escape sequences of the colours.
    return stream.getvalue().replace("\x1b[", "")


def _explained(name):
    _, signal, _, sender = _sent(name)
    return str(signal.explain(sender)) + "\n" + str(signal.explain())


def _described(name):
    _, _, fail, sender = _sent(name)
    return describe(fail) + "\n" + describe_sender(sender) + "\n" + describe_sender(name)


def _refused(name):
    signal = aldis.NamedSignal(name)
    signal.connect(lambda sender, **extra: None, weak=False)
    with record(signal) as sent:
        signal.send(**{name: 1})
        signal.send(**{name: 1})
    with pytest.raises(AssertionError) as never:
        sent.never()
    _, other, fail, _ = _sent(name)
    with pytest.raises(AssertionError) as wired:
        assert_wired(signal, fail)
    assert other.receivers
    return f"{never.value}\n{wired.value}"


def _mode_of_a_method(name):
    with pytest.raises(ReceiverError) as raised:
        aldis.NamedSignal(name).connect(name)
    return str(raised.value)


def _listed(name):
    stream, before = io.StringIO(), sys.stdout
    sys.stdout = stream
    try:
        report = Report()
        report.line(name, (name, "bold"))
        report.table([name], [[name], [(name, "dim")]])
        report.print()
    finally:
        sys.stdout = before
    return stream.getvalue()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize(
    "write",
    [
        lambda name: str(_sent(name)[0]),
        _printed,
        _in_colour,
        _explained,
        _described,
        _refused,
        _mode_of_a_method,
        _listed,
    ],
    ids=["str", "print", "rich", "explain", "describe", "testing", "errors", "table"],
)
def test_every_line_is_printable(write, name):
    """Control characters of names and errors are escaped wherever they are printed."""
    text = write(name)
    assert "paid" in text or "daip" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.startswith(("forged", "free")) for line in text.split("\n"))


def test_a_trace_has_a_limit_of_text():
    """A trace keeps only a part of long names and errors."""
    signal = aldis.NamedSignal("n" * 100_000)

    def fail(sender, **extra):
        raise ValueError("e" * 100_000)

    fail.__qualname__ = "f" * 100_000
    signal.connect(fail)
    sender = type("Branch", (), {"name": "s" * 100_000})()
    payload = {f"{number}" * 10_000: number for number in range(200)}
    with trace() as seen:
        for _ in range(20):
            with pytest.raises(ValueError, match="eee"):
                signal.send(sender, **payload)
    [call] = seen.roots[0].calls
    assert 500 < len(call.error) < 700
    assert len(str(seen)) < 20 * 10_000
    assert 51 == len(seen.roots[0].arguments)


@pytest.mark.parametrize(
    "sender", [10**10_000, -(10**10_000), "x" * 10**6], ids=["number", "negative number", "text"]
)
def test_a_long_sender_has_a_short_text(sender):
    """The text is short even for a number that Python refuses to convert to text."""
    assert len(describe_sender(sender)) <= 60


def test_a_sender_is_described_without_its_own_repr():
    """A subclass of str or int is described by its plain value."""

    class Text(str):
        __slots__ = ()

        def __repr__(self):
            raise AssertionError

    class Number(int):
        __repr__ = Text.__repr__

    assert ["'north'", "7"] == [describe_sender(Text("north")), describe_sender(Number(7))]
