"""``aldis deliveries show``."""

import re

import pytest

from aldis.durable.types import NewDelivery
from tests.cli.deliveries.support import everywhere, said


class TestShow:
    @everywhere
    def test_the_whole_page(self, deliveries):
        """The page shows the payload, the error and the causes. The first cause comes first."""
        deliveries.add("orders.place", signal="order-placed")
        deliveries.add("stock.reserve", caused_by=f"{0:032x}:orders.place")
        deliveries.add(
            caused_by=f"{1:032x}:stock.reserve", traceparent="00-ab-cd-01", order_key="7"
        )
        deliveries.kill()
        ended = deliveries.run("show", "3")
        assert 0 == ended.exit_code
        lines = ended.stdout.splitlines()
        assert "delivery 3  dead" == lines[0]
        until = lines.index("")
        facts = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines[1:until])
        assert ("billing.receipt", "order_paid", "7", "1", "00-ab-cd-01") == tuple(
            facts[name] for name in ("receiver", "signal", "ordered by", "attempts", "traceparent")
        )
        assert f"{2:032x}:billing.receipt" == facts["key"]
        page = ended.stdout
        assert 'payload\n  {\n    "payload": {\n      "order_id": 7\n    }\n  }\n' in page
        assert "failure\n  Traceback …\n  LookupError: no such lamp\n" in page
        assert page.endswith(
            "caused by\n"
            "  1  order-placed → orders.place  pending\n"
            "  └─ 2  order_paid → stock.reserve  pending\n"
            "     └─ 3  order_paid → billing.receipt  dead (this one)\n"
        )
        by_key = deliveries.run("show", f"{2:032x}:billing.receipt")
        assert page.splitlines()[0] == by_key.stdout.splitlines()[0]

    def test_a_cause_that_was_pruned(self, deliveries):
        """A pruned cause is shown by its key."""
        deliveries.add(caused_by=f"{9:032x}:orders.place")
        assert deliveries.run("show", "1").stdout.endswith(
            f"caused by\n  {9:032x}:orders.place (no longer recorded)\n"
            "  └─ 1  order_paid → billing.receipt  pending (this one)\n"
        )

    def test_the_id_of_a_send(self, deliveries):
        """The id of a send selects its delivery. If the send has several, the error lists them."""
        new = NewDelivery("a" * 32, "billing.receipt", "order_paid", "{}")
        deliveries.store.add(None, [new])
        assert "delivery 1  pending\n" in deliveries.run("show", "a" * 32).stdout
        deliveries.store.add(None, [NewDelivery("a" * 32, "shipping.label", "order_paid", "{}")])
        assert (
            2,
            (
                "Error: this send has several deliveries: name one of 1 (billing.receipt), "
                "2 (shipping.label)"
            ),
        ) == said(deliveries.run("show", "a" * 32))

    def test_json(self, deliveries):
        """The JSON contains the payload as data."""
        deliveries.add(payload='{"payload":{"order_id":7}}')
        deliveries.kill()
        facts = deliveries.json("show", "1")
        assert {"payload": {"order_id": 7}} == facts["delivery"]["payload"]
        assert [] == facts["causes"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("99", "delivery 99 does not exist: it may have been pruned"),
            ("9" * 19, f"delivery {'9' * 19} does not exist: it may have been pruned"),
            ("f" * 32, f"delivery {'f' * 32} does not exist: it may have been pruned"),
            (
                "latest",
                (
                    "'latest' is neither the id of a delivery nor a key: write an id, or a key "
                    "such as 0123456789abcdef0123456789abcdef:billing.receipt"
                ),
            ),
        ],
    )
    def test_an_unknown_delivery(self, deliveries, name, message):
        """An unknown id or key is an error in one line."""
        assert (2, f"Error: {message}") == said(deliveries.run("show", name))
