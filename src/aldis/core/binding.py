"""How a receiver is reached: from a receiver to what is really called, and back.

A *shape* turns the object that a subscription holds on to (its anchor) into the receiver and what
to call instead of it. A plain callable needs no shape: it is all three.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable
from weakref import ref

from aldis.core.callables import in_words, is_async, name_of, unwrap_once
from aldis.core.identity import method_owner
from aldis.core.twin import Emitter, WeakMethodShape
from aldis.errors import HiddenDeliveryError, NotCallableError, WeakReferenceError

__all__ = [
    "PLAIN",
    "Anatomy",
    "Shape",
    "SupportsBindSignal",
    "anchor_of",
    "as_delivered",
    "check_receiver",
    "check_undelivered",
    "delivery_of",
    "dissect",
    "original",
    "unheld",
]

Shape: TypeAlias = Callable[[Any], "tuple[Any, Any] | None"]


@runtime_checkable
class SupportsBindSignal(Protocol):
    """A receiver that decides itself how a signal reaches it.

    The method is looked up on the receiver's *type*, as ``__get__`` is, once for each signal that
    the receiver is connected to.
    """

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return what ``signal`` shall call instead of this receiver.

        A bound method of this receiver leaves it weakly held. Any other callable is held strongly,
        and the receiver with it. When the receiver is a method's function, the callable gets the
        method's object before the sender. A callable with a true ``asks_send`` can ask
        :func:`aldis.core.tap.current_send` which send it is part of; that makes the send slower.
        """


def has_delivery(receiver: Any) -> bool:
    """Tell whether the type of ``receiver`` defines ``__bind_signal__``."""
    return hasattr(type(receiver), "__bind_signal__")


def delivery_of(receiver: Any) -> Any | None:
    """Return the object that decides about delivery to ``receiver``: itself, a method's function.

    ``None`` means that there is none: the receiver is called as it is.
    """
    if has_delivery(receiver):
        return receiver
    if type(receiver) is MethodType and has_delivery(receiver.__func__):
        return receiver.__func__
    return None


def check_receiver(receiver: Any) -> None:
    """Refuse what could never be called as it was meant.

    Raises:
        NotCallableError: It is not callable.
        HiddenDeliveryError: A wrapper around it would bypass its delivery, or it has two.
    """
    if not callable(receiver):
        message = f"a receiver must be callable, not {type(receiver).__name__}: {receiver!r}"
        raise NotCallableError(message)
    decider = delivery_of(receiver)
    inner = unwrap_once(receiver if decider is None else decider)
    for _ in range(100):
        if inner is None:
            return
        if has_delivery(inner):
            _refuse_hidden(receiver, decider, inner)
        inner = unwrap_once(inner)


def check_undelivered(function: Any, delivery: str) -> None:
    """Refuse to give ``function`` the delivery called ``delivery`` when it has one already.

    Raises:
        NotCallableError: It is not callable.
        HiddenDeliveryError: It, or something that it wraps, has a delivery.
    """
    check_receiver(function)
    if delivery_of(function) is not None:
        message = (
            f"{in_words(function)} cannot be {delivery} as well as "
            f"{type(delivery_of(function)).__name__}: a receiver has one delivery"
        )
        raise HiddenDeliveryError(message)


def _refuse_hidden(receiver: Any, decider: Any, inner: Any) -> None:
    who = in_words(receiver)
    hidden = type(inner).__name__
    if decider is None:
        problem = (
            f"{who} wraps a receiver with a delivery of its own ({hidden}) and would "
            f"bypass it; put the {hidden} decorator outermost"
        )
    else:
        problem = (
            f"{who} has two deliveries, {type(decider).__name__} around {hidden}; "
            "a receiver has one: keep the one that you need"
        )
    raise HiddenDeliveryError(problem)


def ask(decider: Any, signal: Any) -> Any:
    """Let ``decider`` answer what ``signal`` shall call.

    Raises:
        NotCallableError: The answer cannot be called.
    """
    target = type(decider).__bind_signal__(decider, signal)
    if not callable(target):
        message = (
            f"__bind_signal__ of {name_of(decider)} ({type(decider).__name__}) must return a "
            f"callable, not {type(target).__name__}"
        )
        raise NotCallableError(message)
    return target


class BuiltinMethodShape:
    """A method written in C, looked up anew on the anchor."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, anchor: Any) -> tuple[Any, Any] | None:
        method = getattr(anchor, self.name)
        return method, method


class DeliveredShape:
    """A receiver with a delivery: something else is called in its place.

    Args:
        inner: The receiver's own shape.
        target: What to call.
        takes: What ``target`` gets before the sender: nothing, the ``"receiver"`` itself (it is
            the function of the receiver's own method) or the ``"instance"`` that a method is of.
    """

    __slots__ = ("inner", "takes", "target")

    def __init__(self, inner: Shape | None, target: Callable[..., Any], takes: str | None) -> None:
        self.inner = inner
        self.target = target
        self.takes = takes

    def __call__(self, anchor: Any) -> tuple[Any, Any] | None:
        receiver = anchor
        if self.inner is not None:
            pair = self.inner(anchor)
            if pair is None:
                return None
            receiver = pair[0]
        if self.takes is None:
            return receiver, self.target
        first = receiver if self.takes == "receiver" else receiver.__self__
        return receiver, MethodType(self.target, first)


class Anatomy(NamedTuple):
    """A receiver taken apart, once for each signal that it is connected to."""

    function_ref: ref[Any] | None = None
    """The weak reference to the function of a bound method."""
    shape: Shape | None = None
    """From the anchor to the receiver and what is called; ``None`` when all three are one."""
    is_async: bool = False
    """Whether what is called has to be awaited."""
    relays: bool = False
    """Whether it is another signal's ``send``."""
    strong: bool = False
    """Whether its delivery asks to be held strongly, whatever ``connect`` was told."""
    asks_send: bool = False
    """Whether what is called asks :func:`aldis.core.tap.current_send` which send it is part of."""


#: The anatomy of nearly every receiver, and of nearly every async one: a function.
PLAIN: Final = Anatomy()
PLAIN_ASYNC: Final = Anatomy(is_async=True)


def as_delivered(call: Callable[..., Any], receiver: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call`` with a ``__wrapped__`` that names the ``receiver`` it is called for."""
    delivered = _Delivered(call)
    delivered.__wrapped__ = receiver
    return delivered


def original(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the receiver that :func:`as_delivered` made ``call`` for; else ``call`` itself."""
    return call.__wrapped__ if type(call) is _Delivered else call


class _Delivered(partial[Any]):
    """What is called for a receiver that has a delivery."""

    __wrapped__: Callable[..., Any]


def anchor_of(receiver: Any) -> Any:
    """Return what a connection holds on to: the receiver, or the object whose method it is."""
    if type(receiver) is FunctionType:
        return receiver
    if type(receiver) is MethodType:
        return receiver.__self__
    owner = method_owner(receiver)
    return receiver if owner is None else owner


def dissect(receiver: Any, signal: Any, make_ref: Callable[[Any], ref[Any] | None]) -> Anatomy:
    """Take ``receiver`` apart.

    Args:
        receiver: A callable that :func:`check_receiver` let pass.
        signal: What it is connected to.
        make_ref: Makes a weak reference, or ``None`` where there can be none.

    Raises:
        NotCallableError: Its ``__bind_signal__`` answered with something that cannot be called.
    """
    if type(receiver) is FunctionType:
        return PLAIN_ASYNC if is_async(receiver) else PLAIN
    function_ref: ref[Any] | None = None
    shape: Shape | None = None
    if type(receiver) is MethodType:
        function = receiver.__func__
        function_ref = make_ref(function)
        shape = WeakMethodShape(function_ref or (lambda: function))
    elif method_owner(receiver) is not None:
        shape = BuiltinMethodShape(receiver.__name__)
    decider = delivery_of(receiver)
    if decider is None:
        return Anatomy(function_ref, shape, is_async(receiver), _relays(receiver))
    target = ask(decider, signal)
    own_method = type(target) is MethodType and target.__self__ is decider
    if type(receiver) is MethodType:
        delivered = DeliveredShape(shape, target, "instance")
    elif own_method:
        delivered = DeliveredShape(shape, target.__func__, "receiver")
    else:
        delivered = DeliveredShape(shape, target, None)
    return Anatomy(
        function_ref,
        delivered,
        is_async(target),
        strong=not own_method,
        asks_send=getattr(target, "asks_send", None) is True,
    )


def _relays(receiver: Any) -> bool:
    return isinstance(getattr(receiver, "__self__", None), Emitter) and (
        getattr(receiver, "__name__", None) == "send"
    )


def unheld(receiver: Any) -> WeakReferenceError:
    """Return the error for a ``receiver`` that shall be held weakly, and cannot be."""
    return WeakReferenceError(
        f"{name_of(receiver)} cannot be weakly referenced (its "
        f"{type(anchor_of(receiver)).__qualname__} allows no weak references); connect it with "
        "weak=False"
    )
