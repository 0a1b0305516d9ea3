"""The call loop in Python. It is the reference for the C engine in ``_dispatch.c``.

Dispatch is separate from registration. A :class:`Registry <aldis.core.registry.Registry>` decides
which receivers a send calls, and publishes them in :class:`Routes` as tuples of :class:`Link`.
:meth:`Emitter.send` only walks such a tuple. The registry does not publish async receivers, muted
signals and other special cases. A send without a published tuple, and a send with an observer, goes
to :meth:`Emitter._send_slowly`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any, Final

from aldis.core.sender import PROXY_ATTRIBUTE, sender_key

__all__ = [
    "Emitter",
    "Link",
    "MethodResolver",
    "OutcomeFields",
    "Routes",
    "sender_key",
    "set_observed",
    "set_outcome_type",
]

#: Whether every send takes the slow path; see :func:`set_observed`.
_observed = False


def set_observed(observed: bool) -> None:
    """Route every send through the slow path while ``observed`` is true."""
    global _observed  # noqa: PLW0603 - one flag of the process that each send tests
    _observed = observed


class OutcomeFields:
    """The fields of the result of one receiver; see :class:`aldis.Outcome`."""

    __slots__ = ("error", "receiver", "value")

    receiver: Any
    value: Any
    error: Exception | None

    def __init__(self, receiver: Any, value: Any, error: Exception | None = None) -> None:
        # The descriptors, because a subclass refuses assignments.
        _set_receiver(self, receiver)
        _set_value(self, value)
        _set_error(self, error)


_set_receiver: Final = OutcomeFields.__dict__["receiver"].__set__
_set_value: Final = OutcomeFields.__dict__["value"].__set__
_set_error: Final = OutcomeFields.__dict__["error"].__set__

#: The type of the results of :meth:`Emitter.send_robust`; see :func:`set_outcome_type`.
_outcome_type: type[OutcomeFields] = OutcomeFields


def set_outcome_type(outcome_type: type[OutcomeFields]) -> None:
    """Let :meth:`Emitter.send_robust` return objects of this subclass of OutcomeFields."""
    global _outcome_type  # noqa: PLW0603 - one type of the process
    _outcome_type = outcome_type


class Link:
    """One receiver that is connected for one sender.

    The call loop uses ``ref`` and ``resolver``. The other attributes belong to the registry.

    Attributes:
        ref: Returns the referent: the receiver, or the object that a bound method belongs to. It
            returns ``None`` if the referent is dead or the receiver was disconnected.
        resolver: Turns the referent into the receiver and its callable; ``None`` if they are one
            object.
        receiver: The record of the receiver.
        sender: The record of the sender.
        keep: The receiver, if an owner holds it strongly.
        owners: The owners of the connection.
        serial: The number of the connection, in connection order.
    """

    __slots__ = ("keep", "owners", "receiver", "ref", "resolver", "sender", "serial")

    ref: Callable[[], Any]
    resolver: Callable[[Any], tuple[Any, Any] | None] | None
    receiver: Any
    sender: Any
    keep: Any
    owners: Any
    serial: int

    def __init__(
        self,
        ref: Callable[[], Any],
        resolver: Callable[[Any], tuple[Any, Any] | None] | None,
        receiver: Any,
        sender: Any,
        keep: Any,
        owners: Any,
        /,
    ) -> None:
        self.ref = ref
        self.resolver = resolver
        self.receiver = receiver
        self.sender = sender
        self.keep = keep
        self.owners = owners
        self.serial = 0

    def resolve(self) -> tuple[Any, Any] | None:
        """Return the receiver and the callable that runs, or ``None`` if the receiver is dead."""
        referent = self.ref()
        if referent is None:
            return None
        return (referent, referent) if self.resolver is None else self.resolver(referent)


class MethodResolver:
    """Resolves a bound method. Its object is the referent, and its function is held weakly."""

    __slots__ = ("function",)

    function: Callable[[], Any]

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self, referent: Any) -> tuple[Any, Any] | None:
        """Return the method twice, or ``None`` if its function is dead."""
        function = self.function()
        if function is None:
            return None
        method = MethodType(function, referent)
        return method, method


class Routes:
    """The links that a send walks, as far as the registry has published them.

    Attributes:
        everyone: The links for any sender; ``None`` sends through the slow path.
        senders: The record of each sender that has links, by its key.
        dead: Weak references that died. The registry removes their connections.
        real_type: The type of the last sender that was not a proxy.
        continue_on_error: Whether the receivers after one that raised are called too.
    """

    __slots__ = ("_plans", "continue_on_error", "dead", "everyone", "real_type", "senders")

    continue_on_error: bool
    dead: deque[Any]
    everyone: tuple[Link, ...] | None
    real_type: type | None
    senders: dict[object, Any]
    _plans: dict[object, tuple[tuple[Link, ...], tuple[Link, ...]]]

    def __init__(self, dead: deque[Any]) -> None:
        self.real_type = None
        self.continue_on_error = False
        self.everyone = None
        self.senders = {}
        self._plans = {}
        self.dead = dead

    def find(self, sender: object) -> tuple[Link, ...] | None:
        """Return the links for ``sender``, or ``None`` if they are not published."""
        # Dead senders must be removed first: another object may have the id of one.
        if self.dead or (type(sender) is not self.real_type and not self.is_real(sender)):
            return None
        key = sender_key(sender)
        entry = self._plans.get(key)
        if entry is None:
            return None if key in self.senders else self.everyone
        return entry[1] if entry[0] is self.everyone else None

    def publish(self, key: object, everyone: tuple[Link, ...], links: tuple[Link, ...], /) -> None:
        """Let a send from the sender with this key walk these links, merged with ``everyone``."""
        self._plans[key] = (everyone, links)

    def withdraw(self, key: object, /) -> None:
        """Forget the links of the sender with this key."""
        self._plans.pop(key, None)
        if not self._plans:
            self._plans.clear()  # it releases its memory

    @property
    def plans(self) -> dict[object, tuple[tuple[Link, ...], tuple[Link, ...]]]:
        """A copy of the published links of senders, each with the ``everyone`` it has merged."""
        return self._plans.copy()

    def is_real(self, sender: object) -> bool:
        """Return whether ``sender`` is not a proxy, and remember its type."""
        kind = type(sender)  # once, because a metaclass may change the class of the sender
        if hasattr(kind, PROXY_ATTRIBUTE):
            return False
        self.real_type = kind
        return True


class Emitter:
    """The base of :class:`Signal <aldis.core.signal.Signal>`. It sends."""

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
        """Call the receivers of ``sender``, and those of any sender, in connection order."""
        routes = self._routes
        links = routes.find(sender) if routes.senders else routes.everyone
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
                if receiver is None:  # it died, or was disconnected after the send began
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

    def send_robust(
        self,
        sender: Any = None,
        /,
        *,
        _async_wrapper: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Call every receiver, even if one raises. Log the errors and return them."""
        routes = self._routes
        links = routes.find(sender) if routes.senders else routes.everyone
        if links is None or _observed:
            return self._send_robust_slowly(sender, _async_wrapper, kwargs)
        outcomes: list[Any] = []
        if not links:
            return outcomes
        if type(sender) is not routes.real_type and not routes.is_real(sender):
            return self._send_robust_slowly(sender, _async_wrapper, kwargs)
        args = (sender,)
        failure: Exception | None = None
        try:
            for link in links:
                receiver = call = link.ref()
                if receiver is None:  # it died, or was disconnected after the send began
                    routes.everyone = None
                    continue
                if link.resolver is not None:
                    pair = link.resolver(receiver)
                    if pair is None:
                        continue
                    receiver, call = pair
                try:
                    value = call(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - it is logged and returned
                    failure = error
                else:
                    outcomes.append(_outcome_type(receiver, value, None))
                    continue
                self._log_error(receiver, failure)
                outcomes.append(_outcome_type(receiver, None, failure))
            return outcomes
        finally:
            del outcomes, failure  # an error refers to this frame, which would be a cycle

    def _log_error(self, receiver: Any, error: Exception) -> None:
        """Log an error of a receiver that does not end the send."""
        raise NotImplementedError

    def _continue_after(
        self,
        links: tuple[Link, ...],
        position: int,
        error: Exception,
        sender: Any,
        kwargs: dict[str, Any],
    ) -> None:
        """Call the receivers after the one at ``position``, which raised ``error``."""
        raise NotImplementedError

    def _send_slowly(
        self, sender: Any, wrapper: Callable[..., Any] | None, kwargs: dict[str, Any]
    ) -> list[tuple[Any, Any]]:
        """Send where the published links are not enough."""
        raise NotImplementedError

    def _send_robust_slowly(
        self, sender: Any, wrapper: Callable[..., Any] | None, kwargs: dict[str, Any]
    ) -> list[Any]:
        """Send robustly where the published links are not enough."""
        raise NotImplementedError
