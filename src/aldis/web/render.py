"""Renders templates. Every value appears as text, with escapes for invisible characters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aldis.core.text import printable
from aldis.web.messages import Response

__all__ = ["age", "asset", "duration", "html_response", "lines", "payload_text", "render"]

#: The files that pages load, and their types.
ASSETS: Final = {
    "aldis.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))

#: No inline script or style, nothing from elsewhere, and no frame around a page.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: The largest payload that is indented, and the deepest.
_INDENTED: Final = 65_536


def duration(seconds: float) -> str:
    """Return a duration in its largest unit: ``45s``, ``12m``, ``3h``, ``5d``."""
    for unit, size in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def age(moment: datetime) -> str:
    """Return how long ago a time was, or how far ahead it is."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds > -1 else f"in {duration(-seconds)}"


def lines(text: str) -> Markup:
    """Return text of several lines with escapes for every invisible character but line ends."""
    escaped = (Markup.escape(printable(line.expandtabs(4))) for line in text.split("\n"))
    return Markup("\n").join(escaped)


def payload_text(payload: str) -> str:
    """Return a recorded payload, indented if it is JSON."""
    if len(payload) > _INDENTED:
        return payload
    try:
        # Numbers stay as they are written.
        facts = json.loads(
            payload,
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_Number,
            object_pairs_hook=_Object,
        )
        return _indented(facts, 0)
    except (ValueError, RecursionError):
        return payload


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object. A name may be there twice."""

    __slots__ = ()


def _indented(value: Any, depth: int) -> str:
    pad = "  " * (depth + 1)
    if isinstance(value, _Object):
        if not value:
            return "{}"
        parts = [f"{pad}{_quoted(name)}: {_indented(each, depth + 1)}" for name, each in value]
        return "{\n" + ",\n".join(parts) + "\n" + "  " * depth + "}"
    if isinstance(value, list) and value:
        parts = [pad + _indented(each, depth + 1) for each in value]
        return "[\n" + ",\n".join(parts) + "\n" + "  " * depth + "]"
    if isinstance(value, _Number):
        return str.__str__(value)
    return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _visible(value: Any) -> Any:
    """Escape the invisible characters of a value, such as ESC and the marks of writing direction.

    Text that a template has escaped already is of type Markup.
    """
    if isinstance(value, Markup):
        return value
    return printable(value) if isinstance(value, str) else value


def raw(value: Any) -> Markup:
    """Return the value of a form's field: escaped, but with its invisible characters.

    The server must get the name of a receiver back as it is.
    """
    return Markup.escape(str(value))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("aldis.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["raw"] = raw
    environment.filters |= {
        "age": age,
        "duration": duration,
        "lines": lines,
        "payload": payload_text,
    }
    return environment


def render(template: str, values: dict[str, Any]) -> str:
    """Return a page."""
    return _environment().get_template(template).render(values)


def html_response(status: int, page: str, *headers: tuple[str, str]) -> Response:
    """Return a response with a page."""
    return Response(
        status,
        [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Cache-Control", "no-store"),
            *secured(),
            *headers,
        ],
        page.encode("utf-8", "backslashreplace"),
    )


def secured() -> list[tuple[str, str]]:
    """Return the headers that restrict what a page may do."""
    return [
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        # "no-referrer" would remove the Origin of forms, too.
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]


@cache
def asset(name: str) -> tuple[bytes, str] | None:
    """Return the content of a file and its version, or ``None`` if there is no such file."""
    if name not in ASSETS:
        return None
    content = (files("aldis.web") / "static" / name).read_bytes()
    return content, sha256(content).hexdigest()[:12]
