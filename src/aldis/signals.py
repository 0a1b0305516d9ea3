"""The module ``signals`` of Flask's documentation, for extensions that also run without signals.

If ``aldis.core`` is installed, :class:`Namespace` is its namespace, and :data:`signals_available`
is true. Otherwise a namespace makes fake signals. The ``send`` of a fake signal does nothing. Every
other operation raises RuntimeError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["Namespace", "signals_available"]

#: Whether signals work.
signals_available: bool

if TYPE_CHECKING:
    from aldis.core.namespace import Namespace
else:
    try:
        from aldis.core.namespace import Namespace

        signals_available = True
    except ModuleNotFoundError as missing:
        # A broken aldis.core must raise. Only if aldis.core is missing, the fallback helps.
        if missing.name is None or not missing.name.startswith("aldis.core"):
            raise

        signals_available = False

        class Namespace:
            """Makes fake signals."""

            def signal(self, name: str, doc: str | None = None) -> _FakeSignal:
                """Return a fake signal, which only has a working ``send``."""
                return _FakeSignal(name, doc)


def _fail(self: _FakeSignal, *_: Any, **__: Any) -> NoReturn:
    message = (
        f"signal {self.name!r} is a fake, because the signalling engine is not available, and "
        "only its send works; install aldis completely"
    )
    raise RuntimeError(message)


class _FakeSignal:
    """A fake signal: ``send`` does nothing, and every other operation raises RuntimeError."""

    def __init__(self, name: str, doc: str | None = None) -> None:
        self.name = name
        self.__doc__ = doc

    def send(self, sender: Any = None, /, **kwargs: Any) -> None:
        """Do nothing."""

    connect = connect_via = connected_to = subscribe = disconnect = _fail
    send_robust = send_async = asend = asend_robust = _fail
    has_receivers_for = receivers_for = explain = muted = _fail
    receivers = is_muted = receiver_connected = receiver_disconnected = property(_fail)
