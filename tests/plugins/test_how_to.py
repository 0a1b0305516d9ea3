"""The page on writing plugins: its examples run, and print what they say."""

import re
from pathlib import Path

from aldis.plugins import GROUP

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-plugins.md").read_text()


def test_the_examples_run_one_after_the_other(capsys):
    """What is enabled is heard, what is disabled is not, and a block has a unit's receivers."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert 3 == len(blocks)
    exec(compile("\n".join(blocks), "the_page", "exec"), {"__name__": "the_page"})  # noqa: S102
    lines = ["points for order 7", "a customer of the harbour", "points for order 9"]
    assert lines == capsys.readouterr().out.splitlines()


def test_the_entry_point_group_is_the_managers():
    """What the page tells authors to write is where plugins are looked for."""
    assert f'[project.entry-points."{GROUP}"]' in PAGE
