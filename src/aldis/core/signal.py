"""Signals: what can be connected to and sent.

Over 400 lines, because it is one class, and most of it is the reference that its users read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, overload
from weakref import ref

from aldis.core import slowpath, strict
from aldis.core._native import Emitter
from aldis.core._typing import ConnectDecorator, P, R, Receiver
from aldis.core.contract import Contract
from aldis.core.explain import Explanation, explain
from aldis.core.receiver import bound_call, check_receiver, original, receiver_key
from aldis.core.registry import CONNECT, Connection, Registry
from aldis.core.sender import ANY, ANY_ID, Symbol, is_proxy, make_id, real_sender
from aldis.core.slowpath import Outcome
from aldis.errors import ContractError, ContractWarning, SignalPickleError

if TYPE_CHECKING:
    from aldis.core.namespace import Namespace


from collections.abc import ItemsView, Mapping, ValuesView
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aldis.core.receiver import name_of

__all__ = [
    "NamedSignal",
    "ReceiversView",
    "Signal",
    "Subscription",
]

#: The receiver of a ``connect`` that is used as a decorator with arguments.
_LATER: Final = Symbol("LATER")


class Signal(Emitter, Generic[P, R]):
    """Calls the receivers that are connected to it, in connection order, each time it is sent.

    Args:
        doc: What the signal is for.

    Attributes:
        contract: What the signal carries, if it was declared with ``Namespace.define``.
        every_receiver_runs: Whether a send goes on after a receiver has raised and raises the first
            error at the end. For signals that are "always called", as Flask's at teardown.
    """

    ANY: ClassVar[Symbol] = ANY
    #: Kept for those who set it, as blinker asked them to. Receivers run in connection order.
    set_class: type[set[Any]] = set

    contract: Contract | None
    every_receiver_runs: bool = False

    def __init__(self, doc: str | None = None) -> None:
        if doc:
            self.__doc__ = doc
        self._registry = Registry(ref(self))
        self._routes = self._registry.routes
        self.contract = None
        self.sent = False
        self._muted = 0
        self._muted_here: ContextVar[int] | None = None
        self._on_attribute_set("every_receiver_runs")  # which a subclass may have set
        self._watch_overrides()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._on_attribute_set(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._on_attribute_set(name)

    def _on_attribute_set(self, name: str) -> None:
        """Tell the call loop of a change that is its business."""
        if name == "receivers_for":
            self._watch_overrides()
        elif name == "every_receiver_runs":
            self._routes.continue_on_error = bool(self.every_receiver_runs)

    def _watch_overrides(self) -> None:
        """Let the call loop work by itself unless somebody wants a say in every send."""
        # Under the lock, or a decision that another thread has outdated could be the last word.
        with self._registry.lock:
            self._overridden = (
                "receivers_for" in self.__dict__ or type(self).receivers_for is not _receivers_for
            )
            aside = self._overridden or self._muted or self._muted_here is not None
            # The first send is one of them: that there was one is noted.
            self._registry.publish(allowed=self.sent and not aside)

    @cached_property
    def receiver_connected(self) -> Signal:
        """Sent after ``connect``: this signal is the sender, ``connect``'s arguments the payload.

        A receiver that raises undoes the connection that it was told of.
        """
        return self._meta("receiver_connected", "Sent after a receiver was connected.")

    @cached_property
    def receiver_disconnected(self) -> Signal:
        """Sent after ``disconnect`` undid something: this signal is the sender.

        What the garbage collector takes is not announced.
        """
        return self._meta("receiver_disconnected", "Sent after a receiver was disconnected.")

    def _meta(self, name: str, doc: str) -> Signal:
        # On two threads at once, both get the one that was first: cached_property knows no lock.
        meta: Signal = self.__dict__.setdefault(name, Signal(doc))
        return meta

    # -- connecting ----------------------------------------------------------------------------

    # The first three as in ConnectDecorator.

    @overload
    def connect(
        self, receiver: Callable[P, R], sender: Any = ..., weak: bool = ...
    ) -> Callable[P, R]: ...

    @overload
    def connect(
        self,
        receiver: Callable[P, Coroutine[Any, Any, R]],
        sender: Any = ...,
        weak: bool = ...,
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def connect(
        self, receiver: Callable[P, R | Awaitable[R]], sender: Any = ..., weak: bool = ...
    ) -> Callable[P, R | Awaitable[R]]: ...

    @overload
    def connect(self, *, sender: Any = ..., weak: bool = ...) -> ConnectDecorator[P, R]: ...

    def connect(self, receiver: Any = _LATER, sender: Any = ANY, weak: bool = True) -> Any:
        """Call ``receiver`` whenever this signal is sent by ``sender``.

        Without a receiver it returns a decorator: ``@signal.connect(sender=x)``. Connecting the
        same receiver for the same sender again changes only whether it is held weakly.

        Args:
            receiver: Called with the sender and the keyword arguments of ``send``.
            sender: Told by identity; ``str`` and ``int`` by value. ``ANY`` for every sender. A
                proxy, such as Flask's ``current_app``, means the object it stands for.
            weak: Whether the connection ends when nothing else refers to the receiver. Use
                ``False`` for a function defined inside another one.

        Returns:
            ``receiver``.

        Raises:
            ReceiverError: ``receiver`` is not callable, cannot be weakly referenced, or is a
                wrapper that hides the delivery mode of another receiver.
            ContractError: ``receiver`` cannot be called with the contract's payload.
            UnboundSenderError: ``sender`` is a proxy that stands for nothing at the moment.
        """
        if receiver is _LATER:
            return lambda function: self.connect(function, sender, weak)
        if is_proxy(sender):
            sender = real_sender(sender)
        link, before = self._connect(receiver, sender, weak, CONNECT)
        if "receiver_connected" not in self.__dict__:
            return receiver
        try:
            self._announce("receiver_connected", receiver=receiver, sender=sender, weak=weak)
        except BaseException:
            if before is None:
                self._registry.disown(link, CONNECT)
            else:
                self._registry.connect(receiver, sender, weak=before, owner=CONNECT)
            raise
        return receiver

    def connect_via(self, sender: Any, weak: bool = False) -> ConnectDecorator[P, R]:
        """Return a decorator that connects a function for ``sender``; see :meth:`connect`."""

        def connect(receiver: Any, /) -> Any:
            return self.connect(receiver, sender, weak)

        return connect

    def subscribe(
        self, receiver: Callable[P, R | Awaitable[R]], sender: Any = ANY, weak: bool = True
    ) -> Subscription:
        """Connect ``receiver`` and return the handle that undoes exactly that.

        What two owners subscribed stays until both have let go.

        Args:
            receiver: See :meth:`connect`, as for what is raised.
            sender: See :meth:`connect`.
            weak: See :meth:`connect`.
        """
        sender = real_sender(sender)
        owner = object()
        link, _ = self._connect(receiver, sender, weak, owner)
        try:
            self._announce("receiver_connected", receiver=receiver, sender=sender, weak=weak)
        except BaseException:
            self._registry.disown(link, owner)
            raise
        return Subscription(self, link, owner)

    @contextmanager
    def connected_to(
        self, receiver: Callable[P, R | Awaitable[R]], sender: Any = ANY
    ) -> Generator[None, None, None]:
        """Connect ``receiver`` for the length of a ``with`` block, and undo exactly that.

        Args:
            receiver: Held strongly meanwhile; see :meth:`connect`.
            sender: See :meth:`connect`.
        """
        with self.subscribe(receiver, sender, weak=False):
            yield None

    def disconnect(self, receiver: Receiver, sender: Any = ANY) -> None:
        """Undo the connection of ``receiver`` for ``sender``, whoever made it.

        Args:
            receiver: What was connected. One that is not connected is no error.
            sender: Only for this sender. By default, for all of them.
        """
        if is_proxy(sender):
            sender = real_sender(sender)
        undone = self._registry.disconnect(receiver, sender)
        if undone and "receiver_disconnected" in self.__dict__:
            self._announce("receiver_disconnected", receiver=receiver, sender=sender)

    def _connect(
        self, receiver: Any, sender: Any, weak: bool, owner: object
    ) -> tuple[Connection, bool | None]:
        if type(receiver) is not FunctionType or hasattr(receiver, "__wrapped__"):
            check_receiver(receiver)  # nothing can be wrong with a plain function
        contract = self.contract
        if contract is not None:
            problem = contract.mismatch(receiver)
            if problem is not None and not contract.advisory:
                raise ContractError(problem)
            if problem is not None:
                strict.warn(problem, ContractWarning)
        weak = bool(weak)  # blinker takes anything that is true or false
        origin = strict.loss_message(receiver, weak=weak) if strict.is_strict() else None
        return self._registry.connect(receiver, sender, weak=weak, owner=owner, origin=origin)

    def _cancel(self, link: Connection, owner: object) -> None:
        pair, sender = link.resolve(), link.sender.get()
        if self._registry.disown(link, owner) and pair is not None:
            self._announce("receiver_disconnected", receiver=pair[0], sender=sender)

    def _announce(self, name: str, **payload: Any) -> None:
        # Looked up, not made: most signals are never asked for theirs.
        meta = self.__dict__.get(name)
        if meta is not None and meta.receivers:
            meta.send(self, **payload)

    # -- muting --------------------------------------------------------------------------------

    @property
    def is_muted(self) -> bool:
        """Whether a send calls nobody at the moment, here."""
        here = self._muted_here
        return self._muted > 0 or (here is not None and here.get() > 0)

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:
        self._muted = int(bool(muted))
        self._watch_overrides()

    @contextmanager
    def muted(self, *, everywhere: bool = True) -> Generator[None, None, None]:
        """Call nobody while a ``with`` block runs; blocks may be nested and overlap.

        Args:
            everywhere: In every thread and task. ``False`` mutes only what is sent in this context,
                and in the tasks that it starts.
        """
        if everywhere:
            self._count_mute(1)
            try:
                yield None
            finally:
                self._count_mute(-1)
            return
        with self._registry.lock:
            if self._muted_here is None:
                self._muted_here = ContextVar("aldis_muted", default=0)
                self._watch_overrides()
        here = self._muted_here
        here.set(here.get() + 1)
        try:
            yield None
        finally:
            # A generator may be closed in a context that has not been muted.
            here.set(max(0, here.get() - 1))

    def _count_mute(self, step: int) -> None:
        with self._registry.lock:
            self._muted = max(0, self._muted + step)
            self._watch_overrides()

    # -- sending -------------------------------------------------------------------------------

    if TYPE_CHECKING:

        def send(  # type: ignore[override]
            self, /, *args: P.args, **kwargs: P.kwargs
        ) -> list[tuple[Receiver, R]]:
            """Call the receivers connected to the sender, and to any, in connection order.

            An exception of a receiver propagates, and the rest are not called.

            Args:
                *args: The sender; ``None`` when it is left out.
                **kwargs: The payload, handed to each receiver. ``_async_wrapper`` is not part of
                    it: it makes an async receiver sync.

            Returns:
                The receivers, and what they returned.

            Raises:
                AsyncReceiverError: A receiver is async and there is no ``_async_wrapper``; none has
                    been called.
            """

    def _send_slowly(
        self, sender: Any, wrapper: Any, kwargs: dict[str, Any]
    ) -> list[tuple[Any, Any]]:
        robust = self.every_receiver_runs
        return _pairs(self._run("send", sender, payload=kwargs, wrapper=wrapper, robust=robust))

    def _continue_after(
        self,
        links: Any,
        position: int,
        error: Exception,
        sender: Any,
        kwargs: dict[str, Any],
    ) -> None:
        pair = links[position].resolve()
        slowpath.log_error(self, pair and pair[0], error)
        sending = slowpath.Sending(self, sender, kwargs, "send")
        slowpath.deliver(sending, links[position + 1 :], robust=True)

    def send_robust(self, /, *args: P.args, **kwargs: P.kwargs) -> list[Outcome[R]]:
        """Call every receiver, whatever the others raise; log the errors and return them.

        Args:
            *args: See :meth:`send`.
            **kwargs: See :meth:`send`.

        Returns:
            An :class:`Outcome` for each receiver, in the order of their calls.

        Raises:
            AsyncReceiverError: As :meth:`send`.
        """
        wrapper = kwargs.pop("_async_wrapper", None)
        return self._run("send_robust", *args, payload=kwargs, wrapper=wrapper, robust=True)

    def _run(
        self,
        how: str,
        sender: Any = None,
        /,
        *,
        payload: dict[str, Any],
        wrapper: Any,
        robust: bool,
    ) -> list[Outcome[Any]]:
        sender = real_sender(sender)
        sending = slowpath.Sending(self, sender, payload, how)
        return slowpath.deliver(sending, self._steps(sender), wrapper=wrapper, robust=robust)

    async def send_async(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Receiver, R]]:
        """Await the receivers one after the other, as blinker does.

        Args:
            *args: See :meth:`send`.
            **kwargs: See :meth:`send`. ``_sync_wrapper`` is not part of the payload: it makes a
                sync receiver async.

        Raises:
            AsyncReceiverError: A receiver is sync and there is no ``_sync_wrapper``; none has been
                called. :meth:`asend` takes both kinds.
        """
        wrapper: Any = kwargs.pop("_sync_wrapper", None)
        return await self._send_async(*args, payload=kwargs, wrapper=wrapper)

    async def _send_async(
        self, sender: Any = None, /, *, payload: dict[str, Any], wrapper: Any
    ) -> list[tuple[Any, Any]]:
        sender = real_sender(sender)
        steps = self._steps(sender)
        adapt = slowpath.adapt_async(self, steps, wrapper)
        sending = slowpath.Sending(self, sender, payload, "send_async")
        robust = self.every_receiver_runs
        return _pairs(await slowpath.deliver_async(sending, steps, adapt=adapt, robust=robust))

    async def asend(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Receiver, R]]:
        """Call sync and await async receivers, one after the other in connection order.

        A sync receiver runs in the event loop's thread. An exception propagates, and the rest are
        not called.
        """
        robust = self.every_receiver_runs
        return _pairs(await self._arun("asend", *args, robust=robust, payload=kwargs))

    async def asend_robust(self, /, *args: P.args, **kwargs: P.kwargs) -> list[Outcome[R]]:
        """Call or await every receiver, whatever the others raise; log and return the errors."""
        return await self._arun("asend_robust", *args, robust=True, payload=kwargs)

    async def _arun(
        self,
        how: str,
        sender: Any = None,
        /,
        *,
        robust: bool,
        payload: dict[str, Any],
    ) -> list[Outcome[Any]]:
        sender = real_sender(sender)
        sending = slowpath.Sending(self, sender, payload, how)
        return await slowpath.deliver_async(
            sending, self._steps(sender), adapt=slowpath.adapt_mixed, robust=robust
        )

    def _steps(self, sender: Any) -> Sequence[slowpath.Step]:
        """Return whom a send from ``sender`` comes to now."""
        if not self.sent:
            self.sent = True
            self._watch_overrides()
        links = self._registry.links_for(sender)
        if self._registry.lost:
            strict.warn_lost(self, self._registry.lost)
        if self.is_muted:
            return ()
        if not self._overridden:
            if strict.is_strict():
                for link in links:
                    link.origin = None  # it has been heard: no obituary
            return links
        named = {receiver_key(call): receiver for receiver, call in _resolved(links)}
        return [
            slowpath.Chosen(call, named.get(receiver_key(call), original(call)))
            for call in self.receivers_for(sender)
        ]

    # -- looking -------------------------------------------------------------------------------

    def has_receivers_for(self, sender: Any) -> bool:
        """Tell whether a send from ``sender`` would find a receiver that is alive.

        Args:
            sender: ``ANY`` asks for receivers of every sender.
        """
        links = self._registry.links_for(real_sender(sender))
        return any(link.resolve() is not None for link in links)

    def receivers_for(self, sender: Any) -> Iterator[Receiver]:
        """Yield what a send from ``sender`` calls, in its order.

        For a receiver with a delivery that is not the receiver itself: it has a ``__wrapped__``.
        Overridden in a subclass or on an instance, it decides what a send calls.
        """
        for receiver, call in _resolved(self._registry.links_for(real_sender(sender))):
            if call is receiver or hasattr(call, "__wrapped__"):
                yield call
            else:
                yield bound_call(call, receiver)

    def explain(self, sender: Any = ANY) -> Explanation:
        """Say who would run for ``sender``, in which order, from where, how, and who would not.

        Args:
            sender: ``ANY`` looks at all receivers, whatever sender they are connected for.
        """
        return explain(self, self._registry.all(), real_sender(sender))

    @property
    def receivers(self) -> ReceiversView:
        """A live view of the receivers that are connected; empty, it is false."""
        return ReceiversView(self._registry)

    @property
    def _by_sender(self) -> dict[Any, set[Any]]:
        """For those who look: from a sender's identifier to those of its receivers."""
        table: dict[Any, set[Any]] = {}
        for link in self._registry.all():
            sender = link.sender.get()
            key = ANY_ID if sender is ANY else make_id(sender)
            table.setdefault(key, self.set_class()).add(link.receiver.key)
        return table

    @property
    def _by_receiver(self) -> dict[Any, set[Any]]:
        """For those who look: from a receiver's identifier to those of its senders."""
        table: dict[Any, set[Any]] = {}
        for link in self._registry.all():
            sender = link.sender.get()
            key = ANY_ID if sender is ANY else make_id(sender)
            table.setdefault(link.receiver.key, self.set_class()).add(key)
        return table

    def _registered(self) -> list[Receiver]:
        """Return every receiver that is alive, whatever sender it listens to."""
        return [receiver for receiver, _ in _resolved(self._registry.all())]

    @property
    def documented(self) -> bool:
        """Whether this signal, and not only its class, has a doc."""
        return bool(self.__dict__.get("__doc__"))

    def _cleanup_bookkeeping(self) -> None:
        """Forget what has died, now instead of at the next operation."""
        self._registry.sweep()

    def _clear_state(self) -> None:
        """Disconnect every receiver, for the tests of applications."""
        self._registry.clear()

    def __reduce__(self) -> Any:
        message = (
            f"{self!r} cannot be pickled or copied: only a named signal of a namespace that is a "
            "module's global can be found again; make it with Namespace.signal or define"
        )
        raise SignalPickleError(message)


class NamedSignal(Signal[P, R]):
    """A signal with a name.

    The name is for people; a signal made by ``Namespace.signal`` is found under it.

    Args:
        name: What it is called.
        doc: What it is for.
    """

    def __init__(self, name: str, doc: str | None = None) -> None:
        super().__init__(doc)
        self.name: str = name
        self._namespace: Callable[[], Namespace | None] = _no_namespace

    @property
    def namespace(self) -> Namespace | None:
        """The namespace that the signal belongs to."""
        return self._namespace()

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; {self.name!r}>"

    def __reduce__(self) -> Any:
        namespace = self.namespace
        if namespace is None or namespace.home is None:
            return super().__reduce__()
        return _signal_of, (namespace, self.name)


def _no_namespace() -> None:
    return None


def _signal_of(namespace: Namespace, name: str) -> NamedSignal:
    return namespace.signal(name)


def _resolved(links: Sequence[Connection]) -> Iterator[tuple[Any, Any]]:
    """Yield each living receiver once, with what is called instead of it."""
    seen = set()
    for link in links:
        pair = link.resolve()
        if pair is not None and link.receiver not in seen:
            seen.add(link.receiver)
            yield pair


def _pairs(outcomes: Sequence[Outcome[Any]]) -> list[tuple[Any, Any]]:
    """Return who answered what, or raise the first error."""
    error = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
    if error is None:
        return [(outcome.receiver, outcome.value) for outcome in outcomes]
    try:
        raise error
    finally:
        del error, outcomes  # which this frame, and so the error, would refer to: a cycle


_receivers_for = Signal.receivers_for


class Subscription:
    """What ``subscribe`` returned: ``cancel()`` undoes exactly this one.

    The receiver stays connected while anybody owns the connection: another subscription of the same
    receiver and sender, or ``connect``. Letting a handle be collected cancels nothing. As a context
    manager it cancels at the end of the block.
    """

    __slots__ = ("__weakref__", "_link", "_owner", "_signal")

    def __init__(self, signal: Signal[..., Any], link: Connection, owner: object) -> None:
        self._signal = signal
        self._link = link
        self._owner = owner

    @property
    def signal(self) -> Signal[..., Any]:
        """The signal that is subscribed to."""
        return self._signal

    @property
    def receiver(self) -> Any:
        """The receiver, or ``None`` once it is disconnected or dead."""
        pair = self._link.resolve()
        return None if pair is None else pair[0]

    @property
    def sender(self) -> Any:
        """The sender, ``ANY`` for every one, or ``None`` once it is dead."""
        return self._link.sender.get()

    @property
    def active(self) -> bool:
        """Whether this subscription still holds, and its receiver and sender live."""
        link = self._link
        if not link.live or link.owned_weakly(self._owner) is None:
            return False
        sender = link.sender
        alive = sender.ref is None or sender.ref() is not None
        return alive and link.resolve() is not None

    def cancel(self) -> None:
        """Undo this subscription. Doing so again does nothing."""
        self._signal._cancel(self._link, self._owner)  # noqa: SLF001 - the other half of it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def __repr__(self) -> str:
        state = "active" if self.active else "ended"
        sender = self.sender
        scope = "any sender" if sender is ANY else f"sender {sender!r}"
        return (
            f"<Subscription of {name_of(self.receiver)} to {self._signal!r} for {scope}; {state}>"
        )


class ReceiversView(Mapping[Any, Any]):
    """A live mapping from receivers' identifiers to receivers: weak references, or themselves.

    Only what is alive counts. Its truth and size are what blinker's users ask for.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, key: Any) -> Any:
        self._registry.sweep()
        return self._registry.receivers[key].held()

    def __iter__(self) -> Iterator[Any]:
        return iter([record.key for record in self._registry.records()])

    def __len__(self) -> int:
        return len(self._registry.records())

    def __bool__(self) -> bool:
        return len(self) > 0

    def values(self) -> ValuesView[Any]:
        """Return the receivers as they are now: whoever goes on to look sees no change."""
        return self._copy().values()

    def items(self) -> ItemsView[Any, Any]:
        """Return the identifiers and receivers as they are now; see :meth:`values`."""
        return self._copy().items()

    def _copy(self) -> dict[Any, Any]:
        # Not by way of the keys: a receiver may die between its key and its turn.
        return {record.key: record.held() for record in self._registry.records()}

    def clear(self) -> None:
        """Disconnect every receiver."""
        self._registry.clear()

    def __repr__(self) -> str:
        return f"<receivers: {self._copy()!r}>"
