"""Signals: connect receivers to them, and send."""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import ExitStack, contextmanager
from types import CoroutineType, FunctionType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, overload
from warnings import warn
from weakref import WeakMethod, ref

from aldis.core import observers, slowpath, strict
from aldis.core._native import Emitter
from aldis.core._typing import ConnectDecorator, P, R, Receiver
from aldis.core.contract import Contract
from aldis.core.explain import Explanation, explain
from aldis.core.frames import is_hidden
from aldis.core.inspection import Inspection
from aldis.core.muting import Muting
from aldis.core.process import cached_property
from aldis.core.receiver import (
    bound_call,
    check_receiver,
    describe,
    describe_signal,
    name_of,
    original,
    receiver_key,
)
from aldis.core.registry import (
    CONNECT,
    Connection,
    ReceiverRecord,
    Registry,
    ResolvingRef,
    UidOwner,
    describe_source,
    sender_of,
)
from aldis.core.sender import (
    ANY,
    COLLECTIONS,
    SubclassesOf,
    Symbol,
    describe_sender,
    real_sender,
    senders_of,
)
from aldis.core.signal_type import SignalType
from aldis.core.slowpath import Outcome
from aldis.core.tables import ReceiversTable
from aldis.core.text import printable
from aldis.errors import ContractError, ContractWarning, SenderWarning, SignalPickleError

__all__ = ["LATER", "Signal", "Subscription"]

#: The receiver in a ``connect`` call that is used as a decorator with arguments.
LATER: Final = Symbol("LATER")


class Signal(Muting, Inspection, Emitter, Generic[P, R], metaclass=SignalType):
    """Calls its connected receivers in connection order each time it is sent.

    Args:
        doc: The purpose of the signal.

    Attributes:
        contract: The declared payload, if the signal was declared with ``Namespace.define``.
        continue_on_error: Whether a send calls the remaining receivers after one raised, and raises
            the first error at the end. Flask's teardown signals do this. A subclass may set it.
        sent: Whether the signal was ever sent.
    """

    ANY: ClassVar[Symbol] = ANY

    contract: Contract | None
    continue_on_error: bool
    sent: bool

    def __init__(self, doc: str | None = None) -> None:
        if doc:
            self.__doc__ = doc
        self._registry = Registry(ref(self))
        self._routes = self._registry.routes
        self._routes.continue_on_error = bool(self._continue_on_error)
        vars(self)["receivers"] = ReceiversTable(self._registry)
        self.sent = False
        self.contract = None  # this chooses the path of a send

    # -- connecting ----------------------------------------------------------------------------

    # The first three overloads are those of ConnectDecorator.

    @overload
    def connect(
        self,
        receiver: Callable[P, R],
        sender: Any = ...,
        weak: bool = ...,
        *,
        senders: Iterable[Any] | None = ...,
        subclasses: bool = ...,
        dispatch_uid: str | None = ...,
    ) -> Callable[P, R]: ...

    @overload
    def connect(
        self,
        receiver: Callable[P, Coroutine[Any, Any, R]],
        sender: Any = ...,
        weak: bool = ...,
        *,
        senders: Iterable[Any] | None = ...,
        subclasses: bool = ...,
        dispatch_uid: str | None = ...,
    ) -> Callable[P, Coroutine[Any, Any, R]]: ...

    @overload
    def connect(
        self,
        receiver: Callable[P, R | Awaitable[R]],
        sender: Any = ...,
        weak: bool = ...,
        *,
        senders: Iterable[Any] | None = ...,
        subclasses: bool = ...,
        dispatch_uid: str | None = ...,
    ) -> Callable[P, R | Awaitable[R]]: ...

    @overload
    def connect(
        self,
        *,
        sender: Any = ...,
        weak: bool = ...,
        senders: Iterable[Any] | None = ...,
        subclasses: bool = ...,
        dispatch_uid: str | None = ...,
    ) -> ConnectDecorator[P, R]: ...

    def connect(
        self,
        receiver: Any = LATER,
        sender: Any = ANY,
        weak: bool = True,
        *,
        senders: Iterable[Any] | None = None,
        subclasses: bool = False,
        dispatch_uid: str | None = None,
    ) -> Any:
        """Call ``receiver`` whenever ``sender`` sends this signal.

        Without a receiver, return a decorator: ``@signal.connect(sender=x)``. If you connect a
        receiver for a sender a second time, only ``weak`` may change.

        Args:
            receiver: Called with the sender and the keyword arguments of ``send``.
            sender: The signal compares senders by identity, but ``str`` and ``int`` by value.
                ``ANY`` is every sender. A proxy, such as Flask's ``current_app``, stands for its
                object.
            weak: Whether the connection ends when nothing else refers to the receiver. Use
                ``False`` for a function that is defined inside another function.
            senders: Several senders, instead of ``sender``. If one connection fails, none is made.
            subclasses: Whether the sender is a class that stands for its subclasses, too. A send
                has the class itself as sender, not an instance.
            dispatch_uid: A text that identifies the connection. A later ``connect`` with this text
                for this sender replaces the receiver, which keeps its place in the order. So a
                factory that runs twice connects its receiver once.

        Returns:
            ``receiver``.

        Raises:
            ReceiverError: ``receiver`` is not callable, or a wrapper hides its delivery mode, or
                ``weak`` is true and ``receiver`` allows no weak reference.
            ContractError: ``receiver`` does not accept the payload of this signal, or no send of it
                has ``sender``.
            UnboundSenderError: ``sender`` is a proxy that stands for no object at the moment.
            TypeError: ``senders`` is not a list of senders, or ``subclasses`` is true and the
                sender is not a class, or ``dispatch_uid`` is not a text.
            ValueError: ``senders`` or ``dispatch_uid`` is empty.

        Warns:
            SenderWarning: ``sender`` is a list, a tuple or a set. A send does not match its items.
        """
        if senders is not None or subclasses or dispatch_uid is not None:
            targets = _targets(sender, senders, subclasses)
            return self._connect_each(receiver, targets, weak, _checked_uid(dispatch_uid))
        if receiver is LATER:
            return lambda function: self.connect(function, sender, weak)
        if sender is not ANY:
            if type(sender) is not self._routes.real_type:
                sender = self._real_sender(sender)
            if type(sender) in COLLECTIONS:
                _warn_collection(sender)
        if type(receiver) is FunctionType and self.contract is None and not strict.is_strict():
            if hasattr(receiver, "__wrapped__"):
                check_receiver(receiver)
            _, before = self._registry.connect(receiver, sender, bool(weak), CONNECT)
        else:
            _, before = self._connect(receiver, sender, weak, CONNECT)
        if "receiver_connected" in self.__dict__:
            with ExitStack() as undo:
                undo.callback(self._undo, receiver, sender, CONNECT, before)
                self._announce("receiver_connected", receiver=receiver, sender=sender, weak=weak)
                undo.pop_all()
        return receiver

    def _connect_each(
        self, receiver: Any, targets: Sequence[Any], weak: bool, uid: str | None
    ) -> Any:
        """Connect ``receiver`` for each of ``targets``, or for none of them."""
        if receiver is LATER:
            return lambda function: self._connect_each(function, targets, weak, uid)
        owners = [(each, CONNECT if uid is None else UidOwner(uid)) for each in targets]
        with ExitStack() as undo:
            for target, owner in owners:
                known = self._registry.find(receiver, target, owner)
                before = None if known is None else known.owned_weakly(owner)
                # First, because an interrupt may come after the registry has made the connection.
                undo.callback(self._undo, receiver, target, owner, before)
                self._connect_announced(receiver, target, weak, owner)
            undo.pop_all()
        for target, owner in owners:
            self._announce_replaced(target, owner)
        return receiver

    def _connect_announced(self, receiver: Any, target: Any, weak: bool, owner: Any) -> Connection:
        link, _ = self._connect(receiver, target, weak, owner)
        sender = target.sender if type(target) is SubclassesOf else target
        self._announce("receiver_connected", receiver=receiver, sender=sender, weak=weak)
        return link

    def _undo(self, receiver: Any, target: Any, owner: Any, before: bool | None) -> None:
        """Undo a connection of ``owner`` that was made a moment ago, if it was made.

        Args:
            receiver: The receiver.
            target: The sender, or a class that stands for its subclasses.
            owner: The owner. The receiver that it replaced is connected again.
            before: Whether ``owner`` held the receiver weakly before. ``None`` means that it
                did not hold the receiver.
        """
        replaced = owner.replaced if type(owner) is UidOwner else None
        if replaced is not None:
            self._registry.connect(replaced.receiver, target, replaced.weak, replaced.owner)
            owner.replaced = None
        if before is not None:
            self._registry.connect(receiver, target, before, owner)
            return
        link = self._registry.find(receiver, target, owner)
        if link is not None:
            self._registry.disown(link, owner)

    def _announce_replaced(self, target: Any, owner: Any) -> None:
        """Send ``receiver_disconnected`` for a receiver that the one of ``owner`` has replaced."""
        replaced = owner.replaced if type(owner) is UidOwner else None
        if replaced is None:
            return
        owner.replaced = None
        if not replaced.link.live:
            sender = target.sender if type(target) is SubclassesOf else target
            self._announce("receiver_disconnected", receiver=replaced.receiver, sender=sender)

    def connect_via(
        self,
        sender: Any,
        weak: bool = False,
        *,
        subclasses: bool = False,
        dispatch_uid: str | None = None,
    ) -> ConnectDecorator[P, R]:
        """Return a decorator that connects a function for ``sender``; see :meth:`connect`."""
        if isinstance(sender, FunctionType) and strict.is_strict():
            strict.warn(
                f"the sender in connect_via is the function {describe(sender)}; if it is the "
                "receiver, write @signal.connect, or @signal.connect_via(sender)"
            )

        def connect(receiver: Any, /) -> Any:
            if not subclasses and dispatch_uid is None:
                return self.connect(receiver, sender, weak)
            options: Any = {"subclasses": subclasses, "dispatch_uid": dispatch_uid}
            return self.connect(receiver, sender, weak, **options)

        return connect

    def subscribe(
        self,
        receiver: Callable[P, R | Awaitable[R]],
        sender: Any = ANY,
        weak: bool = True,
        *,
        subclasses: bool = False,
        dispatch_uid: str | None = None,
    ) -> Subscription:
        """Connect ``receiver`` and return a handle that undoes exactly this subscription.

        If two owners subscribe one receiver, it stays connected until both have cancelled. If a
        later subscription has this ``dispatch_uid``, the handle of the earlier one is not active
        any more.

        Args:
            receiver: See :meth:`connect`, also for the exceptions.
            sender: See :meth:`connect`.
            weak: See :meth:`connect`.
            subclasses: See :meth:`connect`.
            dispatch_uid: See :meth:`connect`.
        """
        [target] = _targets(sender, None, subclasses)
        uid = _checked_uid(dispatch_uid)
        owner = object() if uid is None else UidOwner(uid)
        try:
            link = self._connect_announced(receiver, target, weak, owner)
            self._announce_replaced(target, owner)
            return Subscription(self, link, owner)
        except BaseException:
            # An interrupt may come after the registry has made the connection.
            self._undo(receiver, target, owner, None)
            raise

    @contextmanager
    def connected_to(
        self,
        receiver: Callable[P, R | Awaitable[R]],
        sender: Any = ANY,
        *,
        senders: Iterable[Any] | None = None,
        subclasses: bool = False,
    ) -> Generator[None, None, None]:
        """Connect ``receiver`` during a ``with`` block.

        Args:
            receiver: The signal holds it strongly during the block; see :meth:`connect`.
            sender: See :meth:`connect`.
            senders: See :meth:`connect`.
            subclasses: See :meth:`connect`.
        """
        given: dict[str, Any] = {}
        if senders is not None:
            given["senders"] = senders = tuple(senders_of(sender, senders, subclasses=False))
        if self._is_replaced("connect", _connect) or self._is_replaced("disconnect", _disconnect):
            # As on blinker, a replacement of the two methods sees every connection.
            try:
                if subclasses:
                    self.connect(receiver, sender, weak=False, subclasses=subclasses, **given)
                else:
                    self.connect(receiver, sender=sender, weak=False, **given)
                yield None
            finally:
                self.disconnect(receiver, sender, **given)
            return
        owner = object()
        registry = self._registry
        with ExitStack() as end:
            for target in _targets(sender, senders, subclasses):
                # First, because an interrupt may come after the registry has made the connection.
                end.callback(self._end, registry, receiver, target, owner)
                self._connect_announced(receiver, target, False, owner)  # noqa: FBT003 - weak, as in connect
            yield None

    def _end(self, registry: Registry, receiver: Any, target: Any, owner: object) -> None:
        """Undo a connection of :meth:`connected_to`, if it was made and still exists."""
        link = registry.find(receiver, target, owner)
        if link is not None:
            self._cancel(registry, link, owner)

    def disconnect(
        self,
        receiver: Any = LATER,
        sender: Any = ANY,
        *,
        senders: Iterable[Any] | None = None,
        dispatch_uid: str | None = None,
    ) -> None:
        """Undo the connection of ``receiver`` for ``sender``, including all its subscriptions.

        Args:
            receiver: The receiver, or its key or value in ``receivers``. If it is not connected,
                nothing happens. You can leave it out if you give a ``dispatch_uid``.
            sender: Only this sender. The default is every sender.
            senders: Only these senders, instead of ``sender``.
            dispatch_uid: Undo the connection that was made with this text, whichever receiver it
                has.

        Raises:
            TypeError: Neither ``receiver`` nor ``dispatch_uid`` is given.
        """
        if senders is not None or dispatch_uid is not None or receiver is LATER:
            uid = _checked_uid(dispatch_uid)
            for each in senders_of(sender, senders, subclasses=False):
                self._disconnect_by(receiver, each, uid)
            return
        if sender is not ANY and type(sender) is not self._routes.real_type:
            sender = self._real_sender(sender)
        undone = self._registry.disconnect(receiver, sender)
        if not undone and type(receiver) in _KEY_TYPES:
            receiver = self._receiver_of(receiver)
            undone = self._registry.disconnect(receiver, sender)
        if undone and "receiver_disconnected" in self.__dict__:
            self._announce("receiver_disconnected", receiver=receiver, sender=sender)
        elif not undone and type(sender) in COLLECTIONS:
            _warn_collection(sender)

    def _disconnect_by(self, receiver: Any, sender: Any, uid: str | None) -> None:
        """Disconnect a receiver from one of several senders, or by its ``dispatch_uid``."""
        if uid is not None:
            for each, source in self._registry.disconnect_uid(uid, sender):
                self._announce("receiver_disconnected", receiver=each, sender=source)
        elif receiver is LATER:
            message = "disconnect needs the receiver, or the dispatch_uid of its connection"
            raise TypeError(message)
        else:
            self.disconnect(receiver, sender)

    def _real_sender(self, sender: Any) -> Any:
        # Routes remembers the type of the last sender that is not a proxy.
        return sender if self._routes.is_real(sender) else real_sender(sender)

    def _receiver_of(self, key: Any) -> Any:
        """Return the receiver with a key or value of :attr:`receivers`; ``None`` if it is dead."""
        if isinstance(key, ref):
            return key()
        try:
            value = self.receivers.get(key, key)
        except TypeError:  # the key cannot be hashed, so it is not a key
            return key
        return value() if isinstance(value, ref) else value

    def _connect(
        self, receiver: Any, sender: Any, weak: bool, owner: object
    ) -> tuple[Connection, bool | None]:
        if type(receiver) is not FunctionType or hasattr(receiver, "__wrapped__"):
            check_receiver(receiver)  # a plain function needs no check
        contract = self.contract
        if contract is not None:
            problem = contract.mismatch(receiver) or _sender_problem(contract, receiver, sender)
            if problem is not None and not contract.advisory:
                raise ContractError(problem)
            if problem is not None:
                strict.warn(problem, ContractWarning)
        weak = bool(weak)  # blinker accepts any object as a truth value
        link, before = self._registry.connect(receiver, sender, weak, owner)
        if before is None and strict.is_strict():
            message = strict.loss_message(receiver, weak=weak)
            if message is not None:
                self._registry.loss_messages[link] = message
                self._choose_path()
        return link, before

    def _cancel(self, registry: Registry, link: Connection, owner: object) -> None:
        link = registry.current(link, owner)
        pair, sender = link.resolve(), link.sender()
        if registry.disown(link, owner) and pair is not None:
            self._announce("receiver_disconnected", receiver=pair[0], sender=sender)

    # -- announcing connections ----------------------------------------------------------------

    @cached_property
    def receiver_connected(self) -> Signal:
        """A signal that is sent after ``connect``, with its arguments and this signal as sender.

        If a receiver of it raises, the connection is undone.
        """
        return Signal("Sent after a receiver was connected.")

    @cached_property
    def receiver_disconnected(self) -> Signal:
        """A signal that is sent after ``disconnect``, with this signal as sender.

        It is not sent when a receiver or a sender dies.
        """
        return Signal("Sent after a receiver was disconnected.")

    def _announce(self, name: str, **payload: Any) -> None:
        # Read from the dict, so that the attribute does not make a signal that nothing uses.
        meta = self.__dict__.get(name)
        if meta is not None and meta.receivers:
            meta.send(self, **payload)

    # -- sending -------------------------------------------------------------------------------

    if TYPE_CHECKING:

        def send(  # type: ignore[override]
            self, /, *args: P.args, **kwargs: P.kwargs
        ) -> list[tuple[Receiver, R]]:
            """Call the receivers of the sender, and those of any sender, in connection order.

            If a receiver raises, the exception propagates and the remaining receivers are not
            called.

            Args:
                *args: The sender. Without it, the sender is ``None``.
                **kwargs: The payload. ``_async_wrapper`` is not part of it: this function makes an
                    async receiver sync.

            Returns:
                Each receiver with the value that it returned.

            Raises:
                AsyncReceiverError: A receiver is async and there is no ``_async_wrapper``. No
                    receiver was called.
            """

        def send_robust(  # type: ignore[override]
            self, /, *args: P.args, **kwargs: P.kwargs
        ) -> list[Outcome[R]]:
            """Call every receiver, even if one raises. Log the errors and return them.

            Args:
                *args: See :meth:`send`.
                **kwargs: See :meth:`send`.

            Returns:
                An :class:`Outcome` for each receiver, in connection order.

            Raises:
                AsyncReceiverError: See :meth:`send`.
            """

    async def send_async(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Receiver, R]]:
        """Await the receivers one after the other, as blinker does.

        Args:
            *args: See :meth:`send`.
            **kwargs: See :meth:`send`. ``_sync_wrapper`` is not part of the payload: this function
                makes a sync receiver async.

        Raises:
            AsyncReceiverError: A receiver is sync and there is no ``_sync_wrapper``. No receiver
                was called. :meth:`asend` accepts sync receivers.
        """
        wrapper: Any = kwargs.pop("_sync_wrapper", None)
        send = self._prepare("send_async", *args, payload=kwargs)
        adapt = slowpath.only_async(send, wrapper)
        robust = self.continue_on_error
        return slowpath.pairs(await slowpath.await_receivers(send, adapt=adapt, robust=robust))

    async def asend(self, /, *args: P.args, **kwargs: P.kwargs) -> list[tuple[Receiver, R]]:
        """Call sync receivers and await async ones, one after the other in connection order.

        A sync receiver runs in the thread of the event loop. If a receiver raises, the exception
        propagates and the remaining receivers are not called.
        """
        sender: Any = args[0] if len(args) == 1 else _sender_of(*args)
        if type(sender) is not self._routes.real_type:
            sender = self._real_sender(sender)
        links = self._registry.direct_links(sender)
        if links is None or observers.enabled or self._routes.continue_on_error:
            return await self._asend_slowly(sender, kwargs)
        positional = (sender,)
        results: list[tuple[Any, Any]] = []
        for link in links:
            receiver = call = link.ref()
            if receiver is None:  # it died, or was disconnected after the send began
                continue
            if link.resolver is not None:
                pair = link.resolver(receiver)
                if pair is None:
                    continue
                receiver, call = pair
            value = call(*positional, **kwargs)
            if type(value) is CoroutineType or (
                link.receiver.info.is_async or isinstance(value, Awaitable)
            ):
                value = await value
            results.append((receiver, value))
        return results

    async def _asend_slowly(self, sender: Any, payload: dict[str, Any]) -> list[tuple[Any, Any]]:
        send = self._prepare("asend", sender, payload=payload)
        robust = self.continue_on_error
        # Without a local variable for the results: the error refers to this frame, which would be a
        # cycle.
        return slowpath.pairs(
            await slowpath.await_receivers(send, adapt=slowpath.mixed, robust=robust)
        )

    async def asend_robust(self, /, *args: P.args, **kwargs: P.kwargs) -> list[Outcome[R]]:
        """Call or await every receiver, even if one raises. Log the errors and return them."""
        send = self._prepare("asend_robust", *args, payload=kwargs)
        return await slowpath.await_receivers(send, adapt=slowpath.mixed, robust=True)

    def _send_slowly(
        self, sender: Any, wrapper: Any, kwargs: dict[str, Any]
    ) -> list[tuple[Any, Any]]:
        send = self._prepare("send", sender, payload=kwargs)
        robust = self._routes.continue_on_error
        return slowpath.pairs(slowpath.call_receivers(send, wrapper=wrapper, robust=robust))

    def _send_robust_slowly(
        self, sender: Any, wrapper: Any, kwargs: dict[str, Any]
    ) -> list[Outcome[Any]]:
        send = self._prepare("send_robust", sender, payload=kwargs)
        return slowpath.call_receivers(send, wrapper=wrapper, robust=True)

    def _report_absence(self, emission: Any, link: Any) -> None:
        slowpath.report_absence(emission, link)

    def _log_error(self, receiver: Any, error: Exception) -> None:
        slowpath.log_error(self, receiver, error)

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
        rest = slowpath.Send(self, sender, kwargs, "send", links[position + 1 :])
        slowpath.call_receivers(rest, robust=True)

    def _prepare(
        self, how: str, sender: Any = None, /, *, payload: dict[str, Any]
    ) -> slowpath.Send:
        """Find the receivers of a send from ``sender``. Every method that sends begins here."""
        routes = self._routes
        if type(sender) is not routes.real_type:
            sender = self._real_sender(sender)
        if routes.everyone is not None and not routes.dead:
            published: Any = routes.find(sender) if routes.senders else routes.everyone
            if published is not None:
                return slowpath.Send(self, sender, payload, how, published)
        if not self.sent:
            self.sent = True
            self._choose_path()
        links = self._registry.links_for(sender)
        if self._registry.lost:
            strict.warn_lost(describe_signal(self), self._registry.lost)
        if self._muted_or_overridden:
            return slowpath.Send(self, sender, payload, how, self._other_steps(sender, links))
        if self._checked:
            for link in links:
                self._registry.loss_messages.pop(link, None)  # the receiver is about to be called
            if not self._is_checked():
                self._choose_path()
        return slowpath.Send(self, sender, payload, how, links)

    def _other_steps(self, sender: Any, links: Sequence[Connection]) -> Sequence[slowpath.Step]:
        if self.is_muted:
            return ()
        if not self._is_overridden():
            return links
        named = {receiver_key(call): receiver for receiver, call in _resolved(links)}
        return [
            slowpath.ChosenStep(call, named.get(receiver_key(call), original(call)))
            for call in self.receivers_for(sender)
        ]

    def _use(self, table: ReceiversTable) -> None:
        """Let the signal have the receivers of ``table`` from now on."""
        with self._registry.lock:
            table.registry.routes.continue_on_error = self._routes.continue_on_error
            vars(self)["receivers"] = table
            self._registry = table.registry
            self._routes = table.registry.routes
            self._choose_path()

    # -- choosing the path of a send -----------------------------------------------------------

    def _choose_path(self) -> None:
        """Let the call loop walk the receivers, or let every send take the slow path."""
        # Under the lock, so that a decision from an outdated state is never the last one.
        with self._registry.lock:
            special = self._is_overridden() or bool(self._muting or self._muting_contexts)
            self._muted_or_overridden = special
            self._checked = self._is_checked()
            # The first send takes the slow path, which sets ``sent``.
            self._registry.publish(allowed=self.sent and not special and not self._checked)

    def _is_checked(self) -> bool:
        """Return whether strict mode checks the sends of this signal."""
        registry = self._registry
        return strict.is_strict() and (
            self.contract is not None or bool(registry.loss_messages or registry.lost)
        )

    def _is_overridden(self) -> bool:
        return self._is_replaced("receivers_for", _receivers_for)

    def _is_replaced(self, name: str, original: object) -> bool:
        """Return whether a subclass, or a tool such as mock, has replaced a method."""
        return name in self.__dict__ or getattr(type(self), name) is not original

    # ``receivers_for`` is a plain function, not a descriptor that notices its replacement, because
    # mock's autospec and wrapt look for a plain function.

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in {"receivers_for", "contract"}:
            self._choose_path()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name == "receivers_for":
            self._choose_path()

    _continue_on_error: bool = False

    if not TYPE_CHECKING:

        @property
        def continue_on_error(self) -> bool:
            """Whether a send calls the remaining receivers after one raised.

            The send raises the first error at the end. A subclass may set this attribute.
            """
            return self._routes.continue_on_error

        @continue_on_error.setter
        def continue_on_error(self, value: object) -> None:
            self._routes.continue_on_error = bool(value)

        @continue_on_error.deleter
        def continue_on_error(self) -> None:
            self._routes.continue_on_error = bool(self._continue_on_error)

        @property
        def every_receiver_runs(self) -> bool:
            """The old name of ``continue_on_error``."""
            _warn_old_name()
            return self.continue_on_error

        @every_receiver_runs.setter
        def every_receiver_runs(self, value: object) -> None:
            _warn_old_name()
            self.continue_on_error = value

        @every_receiver_runs.deleter
        def every_receiver_runs(self) -> None:
            _warn_old_name()
            del self.continue_on_error

        def __dir__(self) -> list[str]:
            # mock reads every attribute in the list, so the list has no old name that would warn.
            return [name for name in super().__dir__() if name != "every_receiver_runs"]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("every_receiver_runs", "continue_on_error"):
            value = cls.__dict__.get(name)
            if isinstance(value, bool):
                if name == "every_receiver_runs":
                    _warn_old_name()
                # The property stays in place, so that a signal may differ from its class.
                delattr(cls, name)
                cls._continue_on_error = value

    # -- looking -------------------------------------------------------------------------------

    def has_receivers_for(self, sender: Any) -> bool:
        """Return whether a send from ``sender`` would find a living receiver.

        Args:
            sender: ``ANY`` counts only receivers of every sender.
        """
        links = self._registry.links_for(real_sender(sender))
        return any(link.resolve() is not None for link in links)

    def receivers_for(self, sender: Any) -> Iterator[Receiver]:
        """Yield the callables that a send from ``sender`` calls, in order.

        For a receiver with a delivery mode, the callable is not the receiver; its ``__wrapped__``
        is. If you override this method in a subclass or on an instance, a send calls the callables
        that your method returns.
        """
        for receiver, call in _resolved(self._registry.links_for(real_sender(sender))):
            if call is receiver or hasattr(call, "__wrapped__"):
                yield call
            else:
                yield bound_call(call, receiver)

    def explain(self, sender: Any = ANY) -> Explanation:
        """List the receivers that a send from ``sender`` would call, and the reason for the others.

        Args:
            sender: ``ANY`` lists all receivers, whatever sender they are connected for.
        """
        notes = []
        if self.is_muted:
            notes.append("the signal is muted: a send calls no receiver")
        if self._is_overridden():
            notes.append("receivers_for is overridden and may choose other receivers than these")
        return explain(
            describe_signal(self), self._registry.all(), real_sender(sender), tuple(notes)
        )

    @property
    def documented(self) -> bool:
        """Whether this signal has a doc, not only its class."""
        return bool(self.__dict__.get("__doc__"))

    def _living_receivers(self) -> list[Receiver]:
        """Return every living receiver of the program, whatever sender it is connected for."""
        return [receiver for receiver in _living(self) if not is_hidden(receiver)]

    def _misfits(self, contract: Contract) -> list[str]:
        """Return the reason for each connection that does not fit ``contract``."""
        problems = []
        for link in self._registry.all():
            pair, sender = link.resolve(), sender_of(link.sender)
            if pair is None or (sender is None and link.sender.is_weak):
                continue
            problem = contract.mismatch(pair[0]) or _sender_problem(contract, pair[0], sender)
            if problem is not None and problem not in problems:
                problems.append(problem)
        return problems

    def _repeated_receivers(self) -> list[str]:
        """Describe the strong local functions that one line has connected more than once."""
        found: dict[tuple[Any, object], list[Any]] = {}
        for link in self._registry.all():
            receiver = link.keep
            named = any(type(owner) is UidOwner for owner, _ in link.owners)
            if type(receiver) is FunctionType and not named and "<locals>" in receiver.__qualname__:
                place = receiver.__code__, link.sender.key
                found.setdefault(place, []).append(receiver)
        return [
            f"{describe(each[0])} is connected {len(each)} times to {describe_signal(self)}; if a "
            "factory ran more than once, give the connection a dispatch_uid"
            for each in found.values()
            if len(each) > 1 and not is_hidden(each[0])
        ]

    def _lost_receivers(self) -> list[str]:
        """Return strict mode's warnings about receivers that died since the last send."""
        self._registry.sweep()
        return list(self._registry.lost)

    # -- copying -------------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        self._refuse_copy_in_use()
        state: Any = self.__getstate__()
        if isinstance(state, tuple):  # of the attributes and the slots
            state = {**(state[0] or {}), **state[1]}
        kept = {name: value for name, value in state.items() if name not in _NOT_COPIED}
        if self.contract is not None:
            kept["contract"] = self.contract
        if self.continue_on_error != self._continue_on_error:
            kept["continue_on_error"] = self.continue_on_error
        if True in self._muting:
            kept["is_muted"] = True
        return _fresh, (type(self),), kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def _refuse_copy_in_use(self) -> None:
        """Refuse to copy a signal with receivers, because a copy would have none.

        Raises:
            SignalPickleError: A receiver is connected.
        """
        connected = [(receiver, "it") for receiver in _living(self)]
        for name in ("receiver_connected", "receiver_disconnected"):
            if name in self.__dict__:
                meta = self.__dict__[name]
                connected += [(each, f"its {name}") for each in _living(meta)]
        if connected:
            receiver, where = connected[0]
            more = "" if len(connected) == 1 else f" and {len(connected) - 1} more"
            message = (
                f"{describe_signal(self)} cannot be copied or pickled while receivers are "
                f"connected: {describe(receiver)} listens to {where}{more}; disconnect them first, "
                "or make the signal with Namespace.signal in a namespace that is a module's global"
            )
            raise SignalPickleError(message)


class Subscription:
    """The handle that ``subscribe`` returns. ``cancel()`` undoes exactly this subscription.

    The receiver stays connected while another owner remains: another subscription of this receiver
    and sender, or ``connect``. If the handle itself is collected, the subscription remains. As a
    context manager, the handle cancels at the end of the block.
    """

    __slots__ = ("__weakref__", "_made", "_owner", "_registry", "_signal")

    def __init__(self, signal: Signal[..., Any], link: Connection, owner: object) -> None:
        self._signal = signal
        self._registry = signal._registry  # noqa: SLF001 - in this module
        self._made = link
        self._owner = owner

    @property
    def _link(self) -> Connection:
        return self._registry.current(self._made, self._owner)

    @property
    def signal(self) -> Signal[..., Any]:
        """The signal."""
        return self._signal

    @property
    def receiver(self) -> Any:
        """The receiver, or ``None`` if it is disconnected or dead."""
        pair = self._link.resolve()
        return None if pair is None else pair[0]

    @property
    def sender(self) -> Any:
        """The sender; ``ANY`` for every sender, or ``None`` if it is dead."""
        return self._link.sender()

    @property
    def active(self) -> bool:
        """Whether this subscription was not cancelled, and its receiver and sender live."""
        link = self._link
        if not link.live or link.owned_weakly(self._owner) is None:
            return False
        alive = not link.sender.is_weak or link.sender() is not None
        return alive and link.resolve() is not None

    def cancel(self) -> None:
        """Undo this subscription. A second call does nothing."""
        self._signal._cancel(self._registry, self._made, self._owner)  # noqa: SLF001 - in this module

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
        scope = describe_source(self._link.sender)
        receiver, signal = printable(name_of(self.receiver)), describe_signal(self._signal)
        return f"<Subscription of {receiver} to {signal} for {scope}; {state}>"


#: The attributes that a copy of a signal does not take over as they are.
_NOT_COPIED: Final = frozenset(
    {
        "_checked",
        "_muted_or_overridden",
        "_muting",
        "_muting_before",
        "_muting_contexts",
        "_namespace",
        "_registry",
        "_routes",
        "contract",
        "receivers",
        "receiver_connected",
        "receiver_disconnected",
        "sent",
    }
)


def _fresh(signal_class: type[Signal[..., Any]]) -> Signal[..., Any]:
    """Return a new signal without calling the ``__init__`` of its class, as copying does."""
    made = signal_class.__new__(signal_class)
    Signal.__init__(made)
    return made


def _living(signal: Signal[..., Any]) -> list[Receiver]:
    return [receiver for receiver, _ in _resolved(signal._registry.all())]  # noqa: SLF001 - in this module


def _resolved(links: Sequence[Connection]) -> Iterator[tuple[Any, Any]]:
    """Yield each living receiver once, with its callable."""
    seen = set()
    for link in links:
        pair = link.resolve()
        if pair is not None and link.receiver.key not in seen:
            seen.add(link.receiver.key)
            yield pair


def _sender_of(sender: Any = None, /) -> Any:
    """Return the sender in the arguments of a send."""
    return sender


def _targets(sender: Any, senders: Iterable[Any] | None, subclasses: bool) -> tuple[Any, ...]:
    """Return the senders of a new connection, and warn about a list of senders."""
    if type(sender) in COLLECTIONS:
        _warn_collection(sender)
    return senders_of(sender, senders, subclasses)


def _checked_uid(uid: Any) -> str | None:
    """Return a ``dispatch_uid`` as a plain text, or ``None`` if none was given.

    Raises:
        TypeError: It is not a text.
        ValueError: It is empty.
    """
    if uid is None:
        return None
    if not issubclass(type(uid), str):
        message = (
            "dispatch_uid must be a text that identifies the connection, such as "
            f"'billing.audit', not {describe_sender(uid, address=False)}"
        )
        raise TypeError(message)
    text = str.__str__(uid)
    if not text:
        message = "dispatch_uid is empty; give the connection a text such as 'billing.audit'"
        raise ValueError(message)
    return text


def _sender_problem(contract: Contract, receiver: Any, sender: Any) -> str | None:
    """Return the reason why no send that fits ``contract`` has ``sender``, or ``None``."""
    if type(sender) is SubclassesOf:
        return contract.class_mismatch(receiver, sender.sender)
    return contract.sender_mismatch(receiver, sender)


def _warn_collection(sender: Any) -> None:
    """Warn about a sender that is a list of senders."""
    size = None if type(sender) is GeneratorType else len(sender)
    if size == 0:
        return
    kind = type(sender).__name__
    items = "" if size is None else f" with {size} item{'' if size == 1 else 's'}"
    strict.warn(
        f"the sender is a {kind}{items}, and a send from an item does not match the {kind}; for "
        "several senders, write senders=[...] instead of sender=",
        SenderWarning,
    )


def _warn_old_name() -> None:
    message = "Signal.every_receiver_runs is now called continue_on_error"
    warn(message, DeprecationWarning, stacklevel=3)


#: The types of the keys and of most values of ``Signal.receivers``.
_KEY_TYPES: Final = (int, tuple, ReceiverRecord, ResolvingRef, WeakMethod)

_receivers_for: Final = Signal.receivers_for
_connect: Final = Signal.connect
_disconnect: Final = Signal.disconnect
