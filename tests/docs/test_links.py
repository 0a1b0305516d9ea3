"""Links between pages work, also in the files on a code host."""

import re

import pytest

from tests.docs.pages import DOCS, ROOT

PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def prose(path):
    """Return the text of a page without its code."""
    return _CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """Return the anchors of a page that a code host makes from its headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_each_link_leads_to_a_file_and_a_heading(page):
    """Each link leads to a file and a heading that exist."""
    for path, anchor in _LINK.findall(prose(page)):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert target.is_relative_to(ROOT), f"{page.name} links to {path}"
        # A page that includes a file has the headings of this file.
        if anchor and "project" not in target.parts:
            assert anchor in anchors(target), f"{page.name} links to {path}#{anchor}"
