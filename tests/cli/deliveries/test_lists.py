"""``aldis deliveries pending``, ``running`` and ``dead``."""

import re
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.deliveries.support import LEASE, everywhere, said


class TestLists:
    @everywhere
    def test_dead(self, deliveries):
        """The table shows the receiver, the times, the attempts and the error."""
        deliveries.add(count=2)
        deliveries.kill()
        ended = deliveries.run("dead")
        assert 0 == ended.exit_code
        rows = [re.split(r" {2,}", line.strip()) for line in ended.stdout.splitlines()]
        assert ["id", "receiver", "signal", "recorded", "dead", "attempts", "reason"] == rows[0]
        assert ["1", "billing.receipt", "order_paid"] == rows[1][:3]
        assert ["1", "LookupError: no such lamp"] == rows[1][5:]
        assert 3 == len(rows)

    def test_pending(self, deliveries):
        """The list has deliveries that wait for their time, their key or a retry."""
        deliveries.add(delay=7260)
        deliveries.add()
        deliveries.kill(retry_in=630)
        deliveries.add(order_key="7", count=2)
        deliveries.store.claim(LEASE, "billing.receipt", 1, ordered=True)
        deliveries.store.claim(LEASE, "billing.receipt", 1, ordered=True)
        lines = deliveries.run("pending").stdout.splitlines()
        assert ["in 2h", "in 10m", "behind its key"] == [
            re.split(r" {2,}", line.strip())[4] for line in lines[1:]
        ]
        assert lines[2].endswith("LookupError: no such lamp")
        assert "  1  quay-1" in deliveries.run("running").stdout

    def test_an_empty_list(self, deliveries):
        """If no delivery matches, the command prints a sentence."""
        for name in ("pending", "running", "dead"):
            assert f"No delivery is {name}.\n" == deliveries.run(name).stdout

    def test_the_limit(self, deliveries):
        """The last line shows how many deliveries exist. An option lists the newest first."""
        deliveries.add(count=5)
        lines = deliveries.run("pending", "--limit", "2", "--newest-first").stdout.splitlines()
        assert ["5", "4"] == [line.split()[0] for line in lines[1:3]]
        assert "2 of 5; --limit shows more." == lines[-1]

    def test_options_select_deliveries(self, deliveries):
        """Options select by receiver, signal, time and error."""
        deliveries.add()
        deliveries.kill()
        deliveries.add("shipping.label", signal="order-packed")
        deliveries.kill("shipping.label", "TimeoutError: 100% slow")
        hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

        def ids(*options):
            return [each["id"] for each in deliveries.json("dead", *options)["deliveries"]]

        assert [1, 2] == ids("--since", "1h", "--until", hour)
        assert [1] == ids("--receiver", "billing.receipt")
        assert [2] == ids("--signal", "order-packed")
        assert [2] == ids("--error", "100%")
        assert [1, 2] == ids("--error", "error:")
        assert [] == ids("--since", hour)
        assert [] == ids("--until", "2020-01-01")

    @pytest.mark.parametrize(
        "name", ["order_packed", "Order Packed", "shop.signals:order-packed", "shop.order_packed"]
    )
    def test_any_spelling_of_a_signal(self, deliveries, name):
        """``--signal`` finds the recorded name without its case, dashes and namespace."""
        deliveries.add()
        deliveries.add("shipping.label", signal="order-packed")
        deliveries.kill("shipping.label")
        listed = deliveries.json("dead", "--signal", name)
        assert ["order-packed"] == [each["signal"] for each in listed["deliveries"]]
        assert "1 dead letter replayed.\n" == deliveries.run("replay", "--signal", name).stdout

    def test_a_spelling_of_several_signals(self, deliveries):
        """If only a dash differs between two recorded names, the error names both."""
        deliveries.add(signal="order-packed")
        deliveries.add(signal="order_packed")
        ended = deliveries.run("pending", "--signal", "Order Packed")
        assert said(ended) == (
            2,
            (
                "Error: 2 signals are called 'Order Packed': write --signal order-packed or "
                "--signal order_packed"
            ),
        )
        assert 1 == deliveries.json("pending", "--signal", "order_packed")["total"]

    def test_hostile_text(self, deliveries):
        """Recorded text cannot send escape sequences to a terminal."""
        deliveries.add(payload='"\x1b[31mred"')
        deliveries.kill(reason="Error: \x1b[2J\u202e")
        assert "Error: \\x1b[2J\\u202e\n" in deliveries.run("dead").stdout
        shown = deliveries.run("show", "1").stdout
        assert "\x1b" not in shown
        assert '"\\x1b[31mred"' in shown


#: Names and errors that fill a line by themselves.
LONG = {"receiver": "billing." + "receipt" * 20, "signal": "order-" + "paid" * 30}


class TestNarrowTables:
    @pytest.fixture
    def wide(self, deliveries):
        """Give deliveries in each state, some of them with long names."""
        for more in ({}, LONG):
            receiver = more.get("receiver", "billing.receipt")
            deliveries.add(**more)
            deliveries.kill(receiver, f"LookupError: no {'lamp' * 40} in {LONG['signal']}")
            deliveries.add(count=2, **more)
            deliveries.store.claim(LEASE, receiver, 1, ordered=False)
        return deliveries

    @pytest.mark.parametrize("columns", [40, 60, 80])
    @pytest.mark.parametrize("command", ["stats", "pending", "running", "dead"])
    def test_in_a_pipe_with_columns(self, wide, monkeypatch, command, columns):
        """A table that is wider than ``COLUMNS`` becomes lines with the names of the columns."""
        whole = wide.run(command).stdout
        monkeypatch.setenv("COLUMNS", str(columns))
        narrow = wide.run(command).stdout
        assert max(map(len, narrow.splitlines())) <= columns
        assert max(map(len, whole.splitlines())) > 200
        assert LONG["receiver"] in re.sub(r"\s", "", narrow)

    @pytest.mark.parametrize("rich", [True, False])
    @pytest.mark.parametrize("columns", [40, 60])
    @pytest.mark.parametrize("command", ["stats", "pending", "running", "dead"])
    def test_on_a_terminal(self, wide, monkeypatch, command, columns, rich):
        """No line is wider than the terminal, and no text is lost."""
        lines = on_a_terminal(wide, command, columns, monkeypatch, rich=rich)
        assert max(map(len, lines)) <= columns
        assert LONG["receiver"] in re.sub(r"\s", "", "".join(lines))
        if command == "dead":
            assert "lamp" * 40 in re.sub(r"\s", "", "".join(lines))

    def test_a_table_that_fits_keeps_its_columns(self, deliveries, monkeypatch):
        """On a wide terminal, the table looks as in a pipe."""
        deliveries.add()
        whole = deliveries.run("pending").stdout.splitlines()
        assert whole == on_a_terminal(deliveries, "pending", 120, monkeypatch, rich=True)


def on_a_terminal(deliveries, command, columns, monkeypatch, *, rich):
    """Return the lines that a command prints on a terminal, without colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("NO_COLOR", "1")
    text = deliveries.run(command).stdout
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
