"""The JSON of ``aldis deliveries`` is documented."""

import re

import pytest

from aldis.durable.types import NewDelivery
from tests.cli.test_documentation import PAGE, keys_in


@pytest.mark.parametrize(
    "command",
    ["stats", "dead", "show 2", "replay 1", "discard 3", "prune --older-than 1d", "pause a"],
)
def test_every_key_of_the_json_is_documented(deliveries, command):
    """The how-to lists each key under the schema's name or under the schema that it refers to."""
    deliveries.add("a", count=3)
    deliveries.kill("a")
    deliveries.store.add(None, [NewDelivery("b" * 32, "b", "s", "{}", caused_by=f"{0:032x}:a")])
    facts = deliveries.json(*command.split())
    section = PAGE.partition("### `aldis-deliveries-stats/1`")[2].partition("\n## ")[0]
    assert f"`{facts['schema']}`" in PAGE
    facts.get("delivery", {}).pop("payload", None)
    documented = set(re.findall(r"`(\w+)`", section)) | {"schema", "payload"}
    assert keys_in(facts) <= documented
