"""Text for people: names and errors of other code, made safe for a terminal."""

from __future__ import annotations

from typing import Final

__all__ = ["encodable", "printable", "shortened"]

#: What stands for the characters of trees and durations in an encoding that lacks them.
_ASCII: Final = {"├": "+", "└": "`", "─": "-", "│": "|", "µ": "u", "…": "...", "→": "->"}


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


def encodable(text: str, encoding: str | None) -> str:
    """Return ``text`` without the characters that ``encoding`` lacks.

    The lines of a tree become ASCII, other characters escapes.

    Args:
        text: The text.
        encoding: The encoding of a file; ``None`` if the file has none.
    """
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return "".join(_encodable(each, encoding or "utf-8") for each in text)
    except LookupError:  # Python does not know the encoding
        return text.encode("ascii", "backslashreplace").decode()
    return text


def _encodable(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return _ASCII.get(character) or character.encode("unicode_escape").decode()
    return character
