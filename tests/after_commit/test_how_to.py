"""The page on ``after_commit``."""

import re
from pathlib import Path


def test_the_how_to(capsys):
    """The examples of the page print the output that the page shows."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "after-commit.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    names = {"__name__": "the_page"}
    exec(compile("\n".join(blocks), "the_page", "exec"), names)  # noqa: S102
    names["session"].bind.dispose()
    assert [
        "harbour: order 7 is paid, the cache is cleared",
        "market: order 7 is paid, the cache is cleared",
        "7",
        "lighthouse: 7",
    ] == capsys.readouterr().out.splitlines()
