"""Distributions with entry points, as an installer writes them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent


class Distributions:
    """Installs modules with an entry point into a directory that is on ``sys.path``.

    Args:
        path: The directory.
        group: The entry point group.
    """

    def __init__(self, path: Path, group: str) -> None:
        self.path = path
        self.group = group

    def install(
        self, plugin: str, source: str, *, version: str = "1.0", value: str | None = None
    ) -> None:
        """Install the module ``dist_PLUGIN`` and name its ``Plugin``, or ``value``, as plugin."""
        module = f"dist_{plugin.replace('-', '_')}"
        self.path.joinpath(f"{module}.py").write_text(dedent(source), encoding="utf-8")
        info = self.path / f"{module}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n"
        info.joinpath("METADATA").write_text(metadata, encoding="utf-8")
        entry = f"[{self.group}]\n{plugin} = {value or f'{module}:Plugin'}\n"
        info.joinpath("entry_points.txt").write_text(entry, encoding="utf-8")
