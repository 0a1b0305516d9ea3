"""The module that Flask's documentation calls ``signals``: for extensions that degrade gracefully.

Where the engine is available, :class:`Namespace` is its own and :data:`signals_available` is true.
Otherwise a namespace makes fake signals: sending them does nothing, and everything else raises.
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
        # Missing is what this is for; an engine that is there but broken must be heard.
        if missing.name is None or not missing.name.startswith("aldis.core"):
            raise

        signals_available = False

        class Namespace:
            """Makes fake signals."""

            def signal(self, name: str, doc: str | None = None) -> _FakeSignal:
                """Return a signal that nobody can connect to."""
                return _FakeSignal(name, doc)


def _fail(self: _FakeSignal, *_: Any, **__: Any) -> NoReturn:
    message = (
        f"signal {self.name!r} is a fake, because the signalling engine is not available: it can "
        "only be sent; install aldis completely to use it"
    )
    raise RuntimeError(message)


class _FakeSignal:
    """A signal where there are none: ``send`` does nothing, every other operation raises."""

    def __init__(self, name: str, doc: str | None = None) -> None:
        self.name = name
        self.__doc__ = doc

    def send(self, sender: Any = None, /, **kwargs: Any) -> None:
        """Do nothing."""

    connect = connect_via = connected_to = subscribe = disconnect = _fail
    send_robust = send_async = asend = asend_robust = _fail
    has_receivers_for = receivers_for = explain = muted = _fail
    receivers = is_muted = receiver_connected = receiver_disconnected = property(_fail)
