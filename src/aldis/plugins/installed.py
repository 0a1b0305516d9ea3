"""Reads the entry points of the installed distributions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import NamedTuple

from aldis._compat import metadata_folder

__all__ = ["Installed", "distribution_of", "installed"]

_log = logging.getLogger("aldis")

_reported: set[str] = set()


class Installed(NamedTuple):
    """The entry points of a group.

    Attributes:
        entries: The entry points, sorted by name.
        damaged: For each distribution whose entry points cannot be read, a sentence that names it.
    """

    entries: list[EntryPoint]
    damaged: list[str]


def installed(group: str) -> Installed:
    """Return the entry points of ``group``.

    A distribution whose entry points cannot be read is left out, and a warning is logged once. The
    function ``entry_points`` of Python raises for such a distribution, and finds nothing at all.
    """
    entries: list[EntryPoint] = []
    damaged: list[str] = []
    for dist in _first_of_each_name():
        try:
            entries += dist.entry_points.select(group=group)
        except Exception as error:  # noqa: BLE001 - the file may contain anything
            reason = f"{type(error).__name__}: {error}"
            damaged.append(
                f"the entry points of {_describe(dist)} cannot be read, so its plugins are "
                f"missing: {reason}; reinstall the distribution"
            )
    for message in damaged:
        if message not in _reported:
            _reported.add(message)
            _log.warning("%s", message)
    return Installed(sorted(entries, key=lambda entry: entry.name), damaged)


def distribution_of(entry: EntryPoint) -> str:
    """Return the name and version of the distribution of an entry point; empty if it has none."""
    dist = entry.dist
    if dist is None:
        return ""
    with suppress(Exception):  # its METADATA may contain anything
        if dist.name and dist.version:
            return f"{dist.name} {dist.version}"
    return _describe(dist)


def _first_of_each_name() -> Iterator[Distribution]:
    """Yield the distributions that Python imports from; others of the same name are hidden."""
    seen: set[str] = set()
    for dist in distributions():
        name = re.sub(r"[-_.]+", "-", _plain_name(dist)).lower()
        if name not in seen:
            seen.add(name)
            yield dist


def _plain_name(dist: Distribution) -> str:
    """Return the name of a distribution, from the name of its folder if it has one.

    Reading the METADATA of every distribution would take long, and it may be damaged.
    """
    folder = metadata_folder(dist)
    if folder is None:
        return dist.name
    return folder.name.removesuffix(".dist-info").removesuffix(".egg-info").partition("-")[0]


def _describe(dist: Distribution) -> str:
    folder = metadata_folder(dist)
    return f"a distribution of {type(dist).__name__}" if folder is None else str(folder)
