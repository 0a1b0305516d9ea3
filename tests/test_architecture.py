"""docs/architecture.md is true."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "aldis"
TEXT = (ROOT / "docs" / "architecture.md").read_text()
(TREE,) = re.findall(r"^```text\nsrc/aldis/\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_tree_names_every_module_and_nothing_else():
    """Each file of the package and of its core, and each folder, stands in the drawn tree."""
    names = [line.split()[0] for line in TREE.splitlines()]
    drawn = {name.rstrip("/") for name in names}
    there = {path.name for path in PACKAGE.iterdir()} | {
        path.name for path in (PACKAGE / "core").iterdir()
    }
    left_out = {"__main__.py", "__pycache__", "py.typed"}

    assert sorted(drawn) == sorted(
        name for name in there - left_out if not name.endswith((".so", ".pyd"))
    )


def test_each_link_leads_somewhere():
    """Every link leads to a file."""
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links
    assert [] == [link for link in links if not (ROOT / "docs" / link).exists()]
