"""The reference has every public name, and every signal with its arguments."""

import inspect
import pkgutil
import re
from contextlib import ExitStack
from importlib import import_module

import pytest

import aldis
from aldis.testing import record
from tests.docs.pages import DOCS, ROOT

for each in ("click", "flask", "quart", "authlib", "sqlalchemy", "pluggy", "flask_login"):
    pytest.importorskip(each)

REFERENCE = DOCS / "reference"
SIGNALS = (REFERENCE / "signals.md").read_text(encoding="utf-8")

#: Packages and modules that users import. Each other module belongs to one of them.
PUBLIC = [
    "aldis",
    "aldis.asgi",
    "aldis.ckan",
    "aldis.core",
    "aldis.durable",
    "aldis.durable.types",
    "aldis.durable.store.sql.migrate",
    "aldis.durable.store",
    "aldis.errors",
    "aldis.flask",
    "aldis.flask_login",
    "aldis.oauth",
    "aldis.oauth.linking",
    "aldis.oauth.providers",
    "aldis.oauth.sqla",
    "aldis.observe",
    "aldis.plugins",
    "aldis.quart",
    "aldis.receivers",
    "aldis.signals",
    "aldis.testing",
    "aldis.testing.oauth_storage",
    "aldis.testing.plugin",
    "aldis.testing.store",
    "aldis.web",
]

#: Modules that the reference describes without naming them.
ELSEWHERE = {"aldis.cli", "aldis.as_blinker", "aldis.blinker", "aldis.version", "aldis.__main__"}

#: Modules that users never import.
PLUMBING = {"aldis.transactions"}


def reference():
    """Return the text of all pages of the reference."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.md")))


def table(heading):
    """Return the rows of a section's table: each signal with its sender and its arguments."""
    section = SIGNALS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" |")] for line in section.splitlines()]
    return {
        row[0].strip("`"): (row[1], re.findall(r"`(\w+)`", row[2]))
        for row in rows
        if row[0].startswith("`") and len(row) == len(("signal", "sender", "arguments", "sent"))
    }


def signals_of(module):
    """Return the signals of a module by name."""
    offered = {name: getattr(module, name) for name in module.__all__}
    return {name: each for name, each in offered.items() if isinstance(each, aldis.Signal)}


def documented(module):
    """Return the names of a module that the reference documents."""
    text = reference()
    whole = rf"automodule:: {re.escape(module)}\n   :members:"
    if re.search(whole, text):
        return set(import_module(module).__all__ if module != "aldis.errors" else ())
    named = re.findall(rf":: {re.escape(module)}\.(\w+)$", text, re.MULTILINE)
    given = re.findall(
        rf":: (\w+)(?:\(.*\))?\n   :module: {re.escape(module)}$", text, re.MULTILINE
    )
    return {*named, *given}


@pytest.mark.parametrize("name", [each for each in PUBLIC if each != "aldis.errors"])
def test_every_public_name_is_documented(name):
    """Each public name is in the reference, under its module or under its origin."""
    module = import_module(name)
    faces = {each for other in PUBLIC for each in documented(other)}
    missing = {
        each
        for each in module.__all__
        if each not in faces
        and not isinstance(getattr(module, each, None), aldis.Signal)
        and not inspect.ismodule(getattr(module, each, None))
        and getattr(getattr(module, each, None), "__module__", None) != "aldis.errors"
    }
    assert set() == missing


def test_every_top_level_module_is_documented():
    """The reference has each package and module directly below ``aldis``."""
    top = {
        f"aldis.{each.name}"
        for each in pkgutil.iter_modules(aldis.__path__)
        if each.name == "__main__" or not each.name.startswith("_")
    }
    assert top == {each for each in {*PUBLIC, *ELSEWHERE, *PLUMBING} if each.count(".") == 1}


def test_flasks_signals_have_the_arguments_in_the_table():
    """Each signal is in the table, and real requests send it with these arguments."""
    import aldis.flask
    from tests.docs.serving import visit_flask

    there = signals_of(aldis.flask)
    assert {name: carried for name, (_, carried) in table("Flask").items()} == carried_by(
        there, visit_flask
    )


async def test_quarts_signals_have_the_arguments_in_the_table():
    """Each signal is in the table, and Quart really sends it with these arguments."""
    from quart import Quart

    import aldis.quart
    from tests.docs.serving import visit_quart

    there = signals_of(aldis.quart)
    with ExitStack() as stack:
        sent = stack.enter_context(record(*there.values()))
        await visit_quart()
    rows = table("Quart")
    assert set(there) == set(rows)
    heard = {each.signal: each for each in sent}
    for name, signal in there.items():
        sender, carried = rows[name]
        assert carried == list(heard[signal].payload), name
        assert (sender == "the app") == isinstance(heard[signal].sender, Quart), name


@pytest.mark.parametrize(
    ("heading", "module"),
    [
        ("ASGI", "aldis.asgi"),
        ("CKAN", "aldis.ckan"),
        ("Durable deliveries", "aldis.durable.signals"),
        ("Flask", "aldis.flask"),
        ("Flask-Login", "aldis.flask_login"),
        ("Logins", "aldis.oauth"),
        ("Quart", "aldis.quart"),
    ],
)
def test_contracts_have_the_arguments_in_the_table(heading, module):
    """Each signal of aldis is in the table, with the arguments of its contract."""
    there = signals_of(import_module(module))
    rows = table(heading)
    assert set(there) == set(rows)
    for name, signal in there.items():
        if signal.contract is not None:
            assert rows[name][1] == list(signal.contract.payload), name


def carried_by(signals, visit):
    """Return the names of the arguments of each signal in a visit."""
    with record(*signals.values()) as sent:
        visit()
    heard = {each.signal: list(each.payload) for each in sent}
    return {name: heard.get(signal) for name, signal in signals.items()}


def test_every_state_is_explained_and_drawn():
    """Each state of a delivery is on the page on promises, and in its picture."""
    from aldis.durable.types import State

    page = (DOCS / "explanation" / "promises.md").read_text(encoding="utf-8")
    for state in State:
        assert f"\n| {state.name} | " in page
        picture = (DOCS / "pictures" / "states-of-a-delivery.svg").read_text(encoding="utf-8")
        assert f">{state.name}</text>" in picture


def test_the_pictures_are_up_to_date():
    """Each diagram is what ``tools/diagrams.py`` draws now."""
    import importlib.util

    path = ROOT / "tools" / "diagrams.py"
    spec = importlib.util.spec_from_file_location("diagrams", path)
    diagrams = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(diagrams)
    for name, draw in diagrams.DRAWN.items():
        drawn = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert draw().svg() == drawn, f"run python tools/diagrams.py: {name}.svg is stale"
