"""The call loop, in Python: the reference for its compiled twin.

Dispatch is kept apart from registration. A :class:`Registry <aldis.core.registry.Registry>` decides
who is called and publishes it in :class:`Routes` as tuples of :class:`Link`; :meth:`Emitter.send`
only walks such a tuple. Whatever is not plain (async receivers, observers, muted signals …) is not
published, and the send goes to :meth:`Emitter._send_slowly`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from aldis.core.sender import is_proxy, sender_key

__all__ = ["Emitter", "Link", "MethodResolver", "Routes", "set_observed"]

#: Whether every send takes the slow path; see :func:`set_observed`.
_observed = False

_MISSING: Final = object()


def set_observed(observed: bool) -> None:
    """Route every send through :meth:`Emitter._send_slowly` while ``observed`` is true."""
    global _observed  # noqa: PLW0603 - one flag of the process that each send tests
    _observed = observed


class Link:
    """One receiver connected for one sender, as the call loop needs it."""

    __slots__ = ("ref", "resolver")

    ref: Callable[[], Any]
    """Gives the anchor: the receiver, or the object whose method it is. ``None`` when that is dead,
    or not connected any more."""
    resolver: Callable[[Any], tuple[Any, Any] | None] | None
    """From the anchor to the receiver and what to call; ``None`` when all three are one."""

    def resolve(self) -> tuple[Any, Any] | None:
        """Return the receiver and what is called instead of it, or ``None`` if it is dead."""
        anchor = self.ref()
        if anchor is None:
            return None
        return (anchor, anchor) if self.resolver is None else self.resolver(anchor)


class MethodResolver:
    """A bound method whose object is the anchor; its function is held weakly as well."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self, anchor: Any) -> tuple[Any, Any] | None:
        """Return the method, twice, or ``None`` when its function is dead."""
        function = self.function()
        if function is None:
            return None
        method = MethodType(function, anchor)
        return method, method


class Routes:
    """Which links a send walks, as far as they are known and plain.

    Attributes:
        everyone: Links of the receivers of any sender; ``None`` sends to ``_send_slowly``.
        scoped: For each sender with receivers of its own: the ``everyone`` that was merged, and the
            merged links; ``None`` when they have to be merged anew.
        dead: Weak references that died and wait to be swept out of the registry.
        real_type: The type of the last sender that was found to be no proxy.
        continue_on_error: Whether the receivers after one that raised are called as well.
    """

    __slots__ = ("continue_on_error", "dead", "everyone", "real_type", "scoped")

    def __init__(self, dead: deque[Any]) -> None:
        self.real_type: type | None = None
        self.continue_on_error = False
        self.everyone: tuple[Link, ...] | None = None
        self.scoped: dict[object, tuple[tuple[Link, ...], tuple[Link, ...]] | None] = {}
        self.dead = dead

    def find(self, sender: object) -> tuple[Link, ...] | None:
        """Return the links for ``sender``, or ``None`` if they are not known or not plain."""
        # A dead sender must be swept first: its id may be another object's by now.
        if self.dead or (type(sender) is not self.real_type and not self.is_real(sender)):
            return None
        everyone = self.everyone
        entry = self.scoped.get(sender_key(sender), _MISSING)
        if entry is _MISSING:
            return everyone
        if entry is None or entry[0] is not everyone:  # type: ignore[index]
            return None
        return entry[1]  # type: ignore[index,no-any-return]

    def is_real(self, sender: object) -> bool:
        """Tell whether ``sender`` is no proxy, and remember its type."""
        if is_proxy(sender):
            return False
        self.real_type = type(sender)
        return True


class Emitter:
    """What can send: the base of :class:`Signal <aldis.core.signal.Signal>`."""

    __slots__ = ("__weakref__", "_routes")

    _routes: Routes

    def send(
        self,
        sender: Any = None,
        /,
        *,
        _async_wrapper: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> list[tuple[Any, Any]]:
        """Call the receivers connected to ``sender``, and to any sender, in connection order."""
        routes = self._routes
        links = routes.find(sender) if routes.scoped else routes.everyone
        if links is None or _observed:
            return self._send_slowly(sender, _async_wrapper, kwargs)
        results: list[tuple[Any, Any]] = []
        if not links:
            return results
        if type(sender) is not routes.real_type and not routes.is_real(sender):
            return self._send_slowly(sender, _async_wrapper, kwargs)
        args = (sender,)
        try:
            for link in links:
                receiver = link.ref()
                if receiver is None:  # dead, or disconnected since the send began
                    routes.everyone = None
                    continue
                if link.resolver is None:
                    results.append((receiver, receiver(*args, **kwargs)))
                    continue
                pair = link.resolver(receiver)
                if pair is not None:
                    results.append((pair[0], pair[1](*args, **kwargs)))
        except Exception as error:
            if routes.continue_on_error:
                self._continue_after(links, links.index(link), error, sender, kwargs)
            raise
        return results

    def _continue_after(
        self,
        links: tuple[Link, ...],
        position: int,
        error: Exception,
        sender: Any,
        kwargs: dict[str, Any],
    ) -> None:
        """Call the receivers after the one at ``position``, which has raised ``error``."""
        raise NotImplementedError

    def _send_slowly(
        self, sender: Any, wrapper: Callable[..., Any] | None, kwargs: dict[str, Any]
    ) -> list[tuple[Any, Any]]:
        """Send by the whole of the rules, where the published links are not enough."""
        raise NotImplementedError
