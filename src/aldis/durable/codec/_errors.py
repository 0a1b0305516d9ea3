"""Build the errors about one value: its place in the payload, the problem and the remedy."""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

from aldis.errors import PayloadError, PayloadMismatchError, PayloadTypeError

E = TypeVar("E", PayloadError, PayloadTypeError)

#: The most characters of a place in an error message.
MAX_PLACE: Final = 200

_JSON_NAMES: Final = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def type_name(kind: Any) -> str:
    """Return the name of a type for an error message."""
    if kind is type(None):
        return "None"
    return kind.__qualname__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def with_article(kind: Any) -> str:
    """Return the name of a type with its article: ``an Order``."""
    name = type_name(kind)
    return name if name == "None" else f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def reject_value(value: Any, types: tuple[type, ...], declared: str) -> NoReturn:
    """Refuse a value that is not of one of the declared types."""
    sent = with_article(type(value))
    base = next((each for each in types if isinstance(value, each)), None)
    if base is None or type(value) is base:
        raise PayloadError(f"is {sent}, but {declared} is declared: send that, or declare {sent}")
    base_name = with_article(base)
    raise PayloadError(
        f"is {sent}, which would arrive as {base_name}: send {base_name}, or declare {sent}"
    )


def reject_raw(
    raw: Any, kinds: frozenset[type], declared: str, cause: Exception | None = None
) -> NoReturn:
    """Refuse a JSON value that is not of one of the JSON types, or has no valid content."""
    problem = f"is {raw!r:.50}, not a valid {declared}"
    if type(raw) not in kinds:
        problem = f"is {_JSON_NAMES.get(type(raw), 'not JSON')}, not {with_article(declared)}"
    raise PayloadMismatchError(problem) from cause


def at_step(error: E, step: str) -> E:
    """Put ``step`` before the place that the error names, and return the error."""
    vars(error)["place"] = step + place_of(error)
    return error


def place_of(error: Exception) -> str:
    """Return the place of the wrong value: ``argument 'order'.lines[2].sku``."""
    place: str = vars(error).get("place", "")
    return place if len(place) <= MAX_PLACE else f"{place[:MAX_PLACE]}…"
