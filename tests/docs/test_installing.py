"""The packages that the pages name can be installed."""

import re
import tomllib
from itertools import chain

import pytest

from tests.docs.pages import DOCS, ROOT

PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])

_ASKED = re.compile(r"pip install (?:-[\w-]+ )*'([^']*)\[([\w,]*)\]'")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_every_extra_on_a_page_exists(page):
    """Each extra that a page names exists."""
    for package, extras in _ASKED.findall(page.read_text(encoding="utf-8")):
        if package == "aldis" or "." in package or "/" in package:
            assert set(extras.split(",")) <= EXTRAS


def test_every_extra_of_users_is_listed():
    """The page on installing names each extra that is not for contributors."""
    text = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    table = text.partition("| extra | for |\n|---|---|\n")[2].partition("\n\n")[0]
    named = [re.findall(r"`([\w-]+)`", row.split("|")[1]) for row in table.splitlines()]
    assert {"test", "dev", "docs", "bench", "release"} == EXTRAS - set(chain.from_iterable(named))
