"""Text for people: names and errors of other code, made safe for a terminal."""

from __future__ import annotations

__all__ = ["printable", "shortened"]


def printable(text: str) -> str:
    """Return ``text`` in one line, with escapes for the characters that a terminal interprets."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def shortened(text: str, limit: int) -> str:
    """Return ``text`` as a plain ``str`` of at most ``limit`` characters."""
    if str.__len__(text) <= limit:
        return str.__str__(text)
    return str.__getitem__(text, slice(limit - 3)) + "..."
