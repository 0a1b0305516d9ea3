"""The logger of durable receivers: no value from a database can forge a line of the log.

Names, keys and errors come from rows, which another program may have written. A line break in a
value would begin a new line of the log, and an escape sequence would reach a terminal.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from aldis.core.text import printable

if TYPE_CHECKING:
    from aldis.durable.types import ClaimedDelivery, Delivery

__all__ = ["Lines", "SafeLogger", "delivery_fields", "get_logger"]


class Lines(str):
    """Text whose line breaks stay in the log, such as a stack."""

    __slots__ = ()


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Escapes every text in the arguments and the extra fields of a message."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the message as it is; it is a constant of aldis."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message with escaped arguments."""
        if not self.isEnabledFor(level):
            return
        fields = kwargs.get("extra")
        if fields is not None:
            kwargs["extra"] = {name: _escaped(value) for name, value in fields.items()}
        # The place in the source is that of the caller, not of this function.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *map(_escaped, args), **kwargs)


def get_logger() -> SafeLogger:
    """Return the logger ``aldis``, which escapes the arguments of messages."""
    return SafeLogger(logging.getLogger("aldis"), {})


def delivery_fields(delivery: ClaimedDelivery | Delivery, attempt: int) -> dict[str, Any]:
    """Return the extra fields of a log record about a delivery."""
    return {
        "receiver": delivery.receiver,
        "signal": delivery.signal,
        "key": delivery.key,
        "attempt": attempt,
        "delivery_id": delivery.id,
    }


def _escaped(value: object) -> object:
    if isinstance(value, Lines):
        return "\n".join(printable(line) for line in value.split("\n"))
    if isinstance(value, BaseException):
        return printable(" ".join(str(value).split()))
    return printable(value) if isinstance(value, str) else value
