"""How senders and payloads travel to a worker: as JSON, by the types of a signal's contract.

What does not come back as it was is refused, at connect as far as the types say it.
"""

from __future__ import annotations

from aldis.errors import MissingExtraError

try:
    from aldis.durable.codec.codec import PayloadCodec
except ModuleNotFoundError as missing:
    if missing.name != "msgspec":
        raise
    _message = "aldis.durable needs msgspec, which is not installed: pip install 'aldis[durable]'"
    raise MissingExtraError(_message, name="msgspec") from missing

from aldis.durable.codec.senders import add_app, register_sender
from aldis.durable.codec.shape import Loader

__all__ = ["Loader", "PayloadCodec", "add_app", "register_sender"]
