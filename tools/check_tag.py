"""Check that a tag, the version of aldis and the newest release in the CHANGELOG agree.

Usage: ``python tools/check_tag.py v0.2.0``. It needs no installed package.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def first(pattern: str, path: str) -> str:
    """Return the first match of a pattern in a file of the repository, or an empty text."""
    found = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def main(arguments: list[str]) -> None:
    """Compare the three."""
    if len(arguments) != 1:
        sys.exit("usage: python tools/check_tag.py TAG, for example v0.2.0")
    (tag,) = arguments
    version = first(r'^__version__ = "(.+)"$', "src/aldis/version.py")
    released = first(r"^## (\d\S*)", "CHANGELOG.md")
    if tag != f"v{version}":
        sys.exit(f"the tag is {tag}, but src/aldis/version.py has {version}: tag v{version}")
    if released != version:
        found = f"has the heading '## {released}'" if released else "has no release"
        sys.exit(f"CHANGELOG.md {found} on top: add the heading '## {version}'")
    print(f"{tag}: the version and the CHANGELOG agree")


if __name__ == "__main__":
    main(sys.argv[1:])
