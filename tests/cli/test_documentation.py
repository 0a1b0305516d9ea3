"""The how-to documents the commands."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.support import ALDIS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "how-to" / "command-line.md").read_text(encoding="utf-8")


def keys_in(facts):
    """Return every key of ``facts`` and of its nested objects."""
    if isinstance(facts, list):
        return set().union(*map(keys_in, facts))
    if not isinstance(facts, dict):
        return set()
    return set(facts).union(*map(keys_in, facts.values()))


@pytest.mark.parametrize(
    ("command", "more"),
    [("list", ()), ("explain", ("order_paid",)), ("check", ()), ("trace", ("/",))],
)
def test_every_key_of_the_json_is_documented(shop, command, more):
    """The how-to lists each key under the schema's name or under the schema that it refers to."""
    shop.write("wrong.py", "from shop import *\nshop.signal('order_pait').connect(thank)")
    ended = shop.run(*ALDIS, "signals", command, "--app", "wrong", "--json", *more)
    facts = json.loads(ended.stdout)
    assert facts["schema"] == f"aldis-signals-{command}/1"
    _, _, section = PAGE.partition(f"### `{facts['schema']}`\n")
    if command != "explain":
        section = section.partition("\n##")[0]
    else:  # the how-to documents the keys of a signal under `list`
        section = PAGE.partition("## For programs")[2].partition("-check/1`")[0]
    documented = set(re.findall(r"`(\w+)`", section))
    assert keys_in(facts) - {"schema"} <= documented


def test_every_command_is_named():
    """The page names each command of ``aldis --help``."""
    from aldis.cli import aldis, signals

    for name in signals.commands:
        assert f"`aldis signals {name}" in PAGE
    for name in set(aldis.commands) - {"signals"}:
        assert f"`aldis {name}" in PAGE


def test_the_extension_is_set_up_as_printed(shop):
    """The page's example of the extension is a module that the commands can load."""
    (module,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    shop.write("made.py", f"{module}\nassert extension is not None\n")
    ended = shop.run(*ALDIS, "signals", "check", "--app", "made:create_app()")
    assert (0, "") == (ended.returncode, ended.stderr)


def test_every_picture_is_there():
    """Each picture of the page exists and contains no path of a machine."""
    for name in re.findall(r"\]\(\.\./pictures/([\w-]+\.svg)\)", PAGE):
        drawn = (DOCS / "pictures" / name).read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|tmp|work|usr)/", drawn.replace("&#160;", " ")), name
