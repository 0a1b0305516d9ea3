"""What the commands tell of signals and receivers, as data."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any

from aldis.cli.naming import Known
from aldis.core import ANY, Contract, NamedSignal
from aldis.core.explain import Row

__all__ = ["Subscribed", "argument_text", "contract_json", "signal_json", "subscribed"]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """One subscription.

    Attributes:
        row: What ``Signal.explain`` says of it.
        plugins: The plugins that made it.
    """

    row: Row
    plugins: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return it as the documented schemas have it."""
        file, _, line = (self.row.location or "").rpartition(":")
        return {
            "receiver": self.row.receiver,
            "file": file or None,
            "line": int(line) if file else None,
            "sender": self.row.sender,
            "strength": self.row.strength,
            "delivery": self.row.delivery,
            "async": self.row.is_async,
            "plugins": list(self.plugins),
        }


def subscribed(signal: NamedSignal[..., Any], sender: Any = ANY) -> list[Subscribed]:
    """Return the subscriptions of ``signal`` in connection order, as seen by ``sender``."""
    rows = signal.explain(sender).rows
    plugins = _plugins(signal)
    if len(plugins) != len(rows):  # something died between two looks
        plugins = [()] * len(rows)
    return [Subscribed(row, names) for row, names in zip(rows, plugins, strict=True)]


def _plugins(signal: NamedSignal[..., Any]) -> list[tuple[str, ...]]:
    """Return the names of each subscription's plugins; none where no plugin was ever loaded."""
    if "aldis.plugins" not in sys.modules:  # it needs pluggy, which need not be installed
        return []
    from aldis.plugins import origins  # noqa: PLC0415 - see above

    return [origin.plugins for origin in origins(signal)]


def signal_json(known: Known) -> dict[str, Any]:
    """Return a signal without its receivers, as the documented schemas have it."""
    signal = known.signal
    return {
        "name": signal.name,
        "doc": inspect.getdoc(signal) if signal.documented else None,
        "contract": None if signal.contract is None else contract_json(signal.contract),
    }


def contract_json(contract: Contract) -> dict[str, Any]:
    """Return a contract as the documented schemas have it."""
    return {
        "arguments": [
            {
                "name": name,
                "annotation": _annotation(parameter),
                "required": name in contract.required,
            }
            for name, parameter in contract.payload.items()
        ],
        "open": contract.open,
        "advisory": contract.advisory,
        "mutable": contract.mutable,
    }


def argument_text(parameter: inspect.Parameter) -> str:
    """Write an argument of a contract as it is written in Python."""
    annotation = _annotation(parameter)
    text = parameter.name if annotation is None else f"{parameter.name}: {annotation}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {parameter.default!r}"


def _annotation(parameter: inspect.Parameter) -> str | None:
    if parameter.annotation is parameter.empty:
        return None
    if isinstance(parameter.annotation, str):  # `from __future__ import annotations`
        return parameter.annotation
    return inspect.formatannotation(parameter.annotation)
