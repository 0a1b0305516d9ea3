"""The call loop in Python. It is the reference for the C engine in ``_dispatch.c``.

Dispatch is separate from registration. A :class:`Registry <aldis.core.registry.Registry>` decides
which receivers a send calls, and publishes them in :class:`Routes` as tuples of :class:`Link`.
:meth:`Emitter.send` only walks such a tuple. The registry does not publish async receivers, muted
signals and other special cases. A send without a published tuple goes to
:meth:`Emitter._send_slowly`. With an observer, :meth:`Emitter._walk_observed` walks the tuple.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from types import MethodType, TracebackType
from typing import Any, Final, Self

from aldis._compat import set_variable
from aldis.core.sender import PROXY_ATTRIBUTE, sender_key

__all__ = [
    "CallFields",
    "EmissionFields",
    "Emitter",
    "Link",
    "MethodResolver",
    "OutcomeFields",
    "Progress",
    "Routes",
    "current_call",
    "sender_key",
    "set_observed_types",
    "set_observers",
    "set_outcome_type",
]

#: The observers of the sends that begin now; see :func:`set_observers`.
_observers: tuple[Any, ...] = ()

#: The observed call of a receiver in which this code runs.
current_call: ContextVar[Any] = ContextVar("aldis_current_call", default=None)


def set_observers(observers: tuple[Any, ...]) -> None:
    """Notify these objects of every send that begins from now on."""
    global _observers  # noqa: PLW0603 - one tuple of the process that each send tests
    _observers = observers


class Progress:
    """The beginning, the end and the state of a send or a call, as numbers and text.

    A trace keeps this object, and not the call, which refers to objects of the program.

    Attributes:
        started: The time of the beginning in nanoseconds.
        finished: The time of the end in nanoseconds, or ``None``.
        error: The exception as text, if a trace has written it.
        state: See :class:`aldis.core.Call`.
        delivery_id: The id of the recorded delivery, or ``None``.
    """

    __slots__ = ("delivery_id", "error", "finished", "started", "state")

    started: int
    finished: int | None
    error: str | None
    state: str
    delivery_id: int | None

    def __init__(self, state: str = "called") -> None:
        self.started = perf_counter_ns()
        self.finished = None
        self.error = None
        self.state = state
        self.delivery_id = None


class EmissionFields:
    """The fields of an observed send; see :class:`aldis.core.Emission`."""

    __slots__ = (
        "cause",
        "error",
        "how",
        "muted",
        "observers",
        "payload",
        "progress",
        "sender",
        "signal",
        "spans",
    )

    signal: Any
    sender: Any
    payload: dict[str, Any]
    how: str
    cause: Any
    muted: bool
    observers: tuple[Any, ...]
    error: BaseException | None
    progress: Progress
    spans: dict[Any, Any]

    def __init__(self, signal: Any, sender: Any, payload: dict[str, Any], how: str) -> None:
        self.signal = signal
        self.sender = sender
        self.payload = payload
        self.how = how
        self.cause = current_call.get()
        self.muted = signal.is_muted
        self.observers = _observers
        self.error = None
        self.spans = {}
        self.progress = Progress()

    def __enter__(self) -> Self:
        try:
            for observer in self.observers:
                try:
                    observer.emission_started(self)
                except Exception as error:  # noqa: BLE001 - it must not reach the sender
                    self._log_failure(observer, error)
        except BaseException as error:  # an interrupt; a with statement does not call __exit__ then
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.finished = perf_counter_ns()
        self.error = error
        for observer in self.observers:
            try:
                observer.emission_finished(self)
            except Exception as failure:  # noqa: BLE001 - it must not reach the sender
                self._log_failure(observer, failure)

    def _log_failure(self, observer: Any, error: Exception) -> None:
        """Log an error of an observer."""
        raise NotImplementedError


class CallFields:
    """The fields of an observed call of a receiver; see :class:`aldis.core.Call`."""

    __slots__ = ("_outer", "emission", "error", "is_async", "progress", "receiver")

    emission: Any
    receiver: Any
    is_async: bool
    error: BaseException | None
    progress: Progress
    _outer: Any

    def __init__(
        self, emission: Any, receiver: Any, *, is_async: bool, state: str = "called"
    ) -> None:
        self.emission = emission
        self.receiver = receiver
        self.is_async = is_async
        self.error = None
        self.progress = Progress(state)

    def __enter__(self) -> Self:
        # The outer call is the cause of the emission, unless the delivery mode calls the receiver
        # later.
        self._outer = current_call.get()
        try:
            for observer in self.emission.observers:
                try:
                    observer.call_started(self)
                except Exception as error:  # noqa: BLE001 - it must not reach the sender
                    self.emission._log_failure(observer, error)  # noqa: SLF001 - of this module
            self.progress.started = perf_counter_ns()
            set_variable(current_call, self)
        except BaseException as error:  # an interrupt; a with statement does not call __exit__ then
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # No token, because Python may close an abandoned coroutine in another context.
        set_variable(current_call, self._outer)
        self.progress.finished = perf_counter_ns()
        if error is not None:  # otherwise the error of report_error() stays
            self.error = error
        for observer in self.emission.observers:
            try:
                observer.call_finished(self)
            except Exception as failure:  # noqa: BLE001 - it must not reach the sender
                self.emission._log_failure(observer, failure)  # noqa: SLF001 - of this module


#: The types of the objects that observers get; see :func:`set_observed_types`.
_emission_type: type[EmissionFields] = EmissionFields
_call_type: type[CallFields] = CallFields


def set_observed_types(emission_type: type[EmissionFields], call_type: type[CallFields]) -> None:
    """Pass objects of these subclasses to observers."""
    global _emission_type, _call_type
    _emission_type, _call_type = emission_type, call_type


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
        if links is None or _observers:
            return self._send_specially(links, sender, _async_wrapper, kwargs, robust=False)
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
        if links is None or _observers:
            return self._send_specially(links, sender, _async_wrapper, kwargs, robust=True)
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

    def _send_specially(
        self,
        links: tuple[Link, ...] | None,
        sender: Any,
        wrapper: Callable[..., Any] | None,
        kwargs: dict[str, Any],
        *,
        robust: bool,
    ) -> list[Any]:
        """Send with observers, or where the published links are not enough."""
        routes = self._routes
        if (
            links is not None
            and (robust or not routes.continue_on_error)
            and (type(sender) is routes.real_type or routes.is_real(sender))
        ):
            how = "send_robust" if robust else "send"
            emission = _emission_type(self, sender, kwargs, how)
            try:
                with emission:
                    return self._walk_observed(emission, links, sender, kwargs, robust=robust)
            finally:
                del emission  # its error refers to this frame, which would be a cycle
        if robust:
            return self._send_robust_slowly(sender, wrapper, kwargs)
        return self._send_slowly(sender, wrapper, kwargs)

    def _walk_observed(
        self,
        emission: EmissionFields,
        links: tuple[Link, ...],
        sender: Any,
        kwargs: dict[str, Any],
        *,
        robust: bool,
    ) -> list[Any]:
        """Call the receivers of ``links`` and notify the observers."""
        routes = self._routes
        results: list[Any] = []
        try:
            for link in links:
                pair = link.resolve()
                if pair is None:
                    routes.everyone = None
                    self._report_absence(emission, link)
                    continue
                receiver, run = pair
                try:
                    with _call_type(emission, receiver, is_async=False):
                        value = run(sender, **kwargs)
                except Exception as error:
                    if not robust:
                        raise
                    self._log_error(receiver, error)
                    results.append(_outcome_type(receiver, None, error))
                else:
                    pair = (receiver, value)
                    results.append(_outcome_type(*pair, None) if robust else pair)
            return results
        finally:
            del results, emission  # an error refers to this frame, which would be a cycle

    def _report_absence(self, emission: Any, link: Link) -> None:
        """Notify the observers of a receiver that died or was disconnected during the send."""
        raise NotImplementedError

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
