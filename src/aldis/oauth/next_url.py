"""Where a login may send the user afterwards: only to paths of this site."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_LENGTH", "safe_next"]

#: Longer targets are refused: each login under way keeps its own in the session's cookie.
MAX_LENGTH: Final = 512


def safe_next(target: str | None) -> str | None:
    """Return ``target`` when it is a path of this site, else ``None``.

    Browsers read a backslash as a slash, drop tabs and line breaks, and take what follows two
    slashes for a host. Nothing of that sort is repaired: it is refused.

    Args:
        target: What the query string asked for.
    """
    if not target or len(target) > MAX_LENGTH or not target.startswith("/"):
        return None
    # Printable leaves out control characters, line and paragraph separators and lone surrogates.
    if "\\" in target or not target.isprintable():
        return None
    path = target.partition("?")[0].partition("#")[0]
    # Two slashes further on become a host in front of a proxy that removes "/." or "/..".
    return None if "//" in path else target
