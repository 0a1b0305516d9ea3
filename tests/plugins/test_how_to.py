"""The examples of the page on writing plugins run and print the shown output."""

import re
from pathlib import Path

from aldis.plugins import GROUP

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-plugins.md").read_text()


def test_the_examples_run_one_after_the_other(capsys):
    """Enabled plugins receive, disabled ones do not. A block connects a unit."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert 3 == len(blocks)
    exec(compile("\n".join(blocks), "the_page", "exec"), {"__name__": "the_page"})  # noqa: S102
    lines = ["points for order 7", "a customer of the harbour", "points for order 9"]
    assert lines == capsys.readouterr().out.splitlines()


def test_the_entry_point_group_is_the_managers():
    """The page shows the entry point group that the manager searches."""
    assert f'[project.entry-points."{GROUP}"]' in PAGE
