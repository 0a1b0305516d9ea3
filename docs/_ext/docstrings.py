"""What autodoc does not read by itself of aldis's docstrings."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any, Final

from aldis import Signal

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ATTRIBUTES: Final = ("attribute", "data", "property")


def doc_of_send() -> list[str]:
    """Return the docstring of ``Signal.send``, which only type checkers see: it is compiled."""
    tree = ast.parse(inspect.getsource(Signal))
    (found,) = (
        each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == "send"
    )
    return (ast.get_docstring(found) or "").splitlines()


def read_docstring(
    app: Sphinx,  # noqa: ARG001 - Sphinx hands it to everybody who listens
    what: str,
    name: str,
    obj: Any,  # noqa: ARG001 - as above
    options: Any,  # noqa: ARG001 - as above
    lines: list[str],
) -> None:
    """Correct a docstring before napoleon reads it."""
    if name in ("aldis.Signal.send", "aldis.core.signal.Signal.send"):
        lines[:] = doc_of_send()
    elif what in ATTRIBUTES and lines and ":" in lines[0]:
        lines[:0] = ["..", ""]  # else napoleon takes what comes before the colon for a type


def read_signature(  # noqa: PLR0913, PLR0917 - Sphinx calls it so
    app: Sphinx,  # noqa: ARG001 - as above
    what: str,  # noqa: ARG001 - as above
    name: str,
    obj: Any,  # noqa: ARG001 - as above
    options: Any,  # noqa: ARG001 - as above
    signature: str,
    returned: str,
) -> tuple[str, str] | None:
    """Say what the compiled ``send`` takes, which has no signature."""
    if name.endswith("Signal.send"):
        return "(sender=None, /, **payload)", ""
    return (signature, returned) if signature is not None else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Take part in the build, earlier than napoleon does."""
    app.connect("autodoc-process-docstring", read_docstring, priority=400)
    app.connect("autodoc-process-signature", read_signature)
    return {"parallel_read_safe": True}
