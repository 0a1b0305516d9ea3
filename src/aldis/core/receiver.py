"""How a receiver is reached: from a receiver to what is really called, and back.

A *resolver* turns the object that a subscription holds on to (its anchor) into the receiver and
what to call instead of it. A plain callable needs no resolver: it is all three.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import CO_COROUTINE
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable
from weakref import ref

from aldis._compat import is_marked_async
from aldis.core._native import Emitter, MethodResolver
from aldis.errors import ReceiverError

__all__ = [
    "PLAIN",
    "ReceiverInfo",
    "Resolver",
    "SupportsBindSignal",
    "analyze",
    "binder_of",
    "bound_call",
    "check_receiver",
    "check_single_mode",
    "describe",
    "is_async",
    "location",
    "method_owner",
    "name_of",
    "original",
    "receiver_key",
    "referent_of",
    "unwrap_once",
    "weakref_error",
]


def is_async(receiver: Any) -> bool:
    """Tell whether calling ``receiver`` gives a coroutine.

    Looks through bound methods and ``functools.partial``, sees an ``async def __call__``, the marks
    of ``inspect.markcoroutinefunction`` and ``asyncio``, and takes a mock for what it stands for.
    """
    while type(receiver) is not FunctionType and isinstance(receiver, (MethodType, partial)):
        receiver = receiver.__func__ if isinstance(receiver, MethodType) else receiver.func
    if type(receiver) is FunctionType:
        return bool(receiver.__code__.co_flags & CO_COROUTINE) or is_marked_async(receiver)
    call = getattr(type(receiver), "__call__", None)  # noqa: B004 - the method is wanted
    if type(call) is FunctionType and call.__code__.co_flags & CO_COROUTINE:
        return True
    # A mock answers every question with a truthy mock: only a real flag is believed.
    flags = getattr(getattr(receiver, "__code__", None), "co_flags", None)
    if isinstance(flags, int):
        return bool(flags & CO_COROUTINE)
    return flags is None and is_marked_async(receiver)


def unwrap_once(receiver: Any) -> Any | None:
    """Return what ``receiver`` itself wraps (``__wrapped__``, ``partial``, method) or ``None``."""
    if isinstance(receiver, partial):
        return receiver.func
    if type(receiver) is MethodType:
        return receiver.__func__
    # From the instance's own dict: a mock would invent the attribute.
    return getattr(receiver, "__dict__", {}).get("__wrapped__")


def _innermost(receiver: Any) -> Any:
    """Follow wrappers down to the function that somebody wrote, at most 100 deep."""
    for _ in range(100):
        inner = unwrap_once(receiver)
        if inner is None:
            break
        receiver = inner
    return receiver


def name_of(receiver: Any) -> str:
    """Return the name that a reader of the source knows ``receiver`` by."""
    if isinstance(receiver, partial):
        return f"partial({name_of(receiver.func)})"
    for attribute in ("__qualname__", "__name__"):
        name = getattr(receiver, attribute, None)
        if isinstance(name, str):
            return name
    inner = unwrap_once(receiver)
    if inner is not None:
        return name_of(inner)
    return f"{type(receiver).__qualname__} object"


def location(receiver: Any) -> str | None:
    """Return ``file:line`` of the function behind ``receiver``, or ``None`` if it has no source.

    For an object with a ``__call__`` written in Python, that is where its ``__call__`` stands.
    """
    function = _innermost(receiver)
    if type(function) is not FunctionType:
        function = _innermost(getattr(type(function), "__call__", None))  # noqa: B004
    code: Any = getattr(function, "__code__", None)
    if isinstance(getattr(code, "co_filename", None), str):
        return f"{code.co_filename}:{code.co_firstlineno}"
    return None


def describe(receiver: Any) -> str:
    """Name ``receiver`` with its place, as messages do: ``note (shop.py:7)``."""
    place = location(receiver)
    return name_of(receiver) if place is None else f"{name_of(receiver)} ({place})"


def method_owner(receiver: object) -> object | None:
    """Return the object whose method ``receiver`` is, for methods written in C; else ``None``.

    ``items.append`` is a new object each time it is looked up, so its list and its name say who it
    is. A function of a C module is no method, although it has a ``__self__`` as well.
    """
    if isinstance(receiver, (BuiltinMethodType, MethodWrapperType)):
        owner: object | None = receiver.__self__
        return None if isinstance(owner, ModuleType) else owner
    return None


def receiver_key(receiver: Any) -> object:
    """Return the key that tells ``receiver`` from every other living receiver.

    Two bound methods are the same receiver when they have the same function and the same object.
    """
    kind = type(receiver)
    if kind is FunctionType:
        return id(receiver)
    if kind is MethodType:
        return id(receiver.__func__), id(receiver.__self__)
    owner = method_owner(receiver)
    return id(receiver) if owner is None else (receiver.__name__, id(owner))


Resolver: TypeAlias = Callable[[Any], "tuple[Any, Any] | None"]


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
        method's object before the sender. A callable with a true ``needs_send_id`` can ask
        :func:`aldis.core.observers.current_send_id` for the id of the send. This slows sends.
        """


def has_delivery(receiver: Any) -> bool:
    """Tell whether the type of ``receiver`` defines ``__bind_signal__``."""
    return hasattr(type(receiver), "__bind_signal__")


def binder_of(receiver: Any) -> Any | None:
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
        ReceiverError: It is not callable, a wrapper hides its delivery mode, or it has two of them.
    """
    if not callable(receiver):
        message = f"a receiver must be callable, not {type(receiver).__name__}: {receiver!r}"
        raise ReceiverError(message)
    decider = binder_of(receiver)
    inner = unwrap_once(receiver if decider is None else decider)
    for _ in range(100):
        if inner is None:
            return
        if has_delivery(inner):
            _refuse_hidden(receiver, decider, inner)
        inner = unwrap_once(inner)


def check_single_mode(function: Any, delivery: str) -> None:
    """Refuse to give ``function`` the delivery called ``delivery`` when it has one already.

    Raises:
        ReceiverError: It is not callable, or it already has a delivery mode.
    """
    check_receiver(function)
    if binder_of(function) is not None:
        message = (
            f"{describe(function)} cannot be {delivery} as well as "
            f"{type(binder_of(function)).__name__}: a receiver has one delivery"
        )
        raise ReceiverError(message)


def _refuse_hidden(receiver: Any, decider: Any, inner: Any) -> None:
    who = describe(receiver)
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
    raise ReceiverError(problem)


def ask(decider: Any, signal: Any) -> Any:
    """Let ``decider`` answer what ``signal`` shall call.

    Raises:
        ReceiverError: The answer cannot be called.
    """
    target = type(decider).__bind_signal__(decider, signal)
    if not callable(target):
        message = (
            f"__bind_signal__ of {name_of(decider)} ({type(decider).__name__}) must return a "
            f"callable, not {type(target).__name__}"
        )
        raise ReceiverError(message)
    return target


class BuiltinMethodResolver:
    """A method written in C, looked up anew on the anchor."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, anchor: Any) -> tuple[Any, Any] | None:
        method = getattr(anchor, self.name)
        return method, method


class ModeResolver:
    """A receiver with a delivery: something else is called in its place.

    Args:
        inner: The receiver's own resolver.
        target: What to call.
        takes: What ``target`` gets before the sender: nothing, the ``"receiver"`` itself (it is
            the function of the receiver's own method) or the ``"instance"`` that a method is of.
    """

    __slots__ = ("inner", "takes", "target")

    def __init__(
        self, inner: Resolver | None, target: Callable[..., Any], takes: str | None
    ) -> None:
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


class ReceiverInfo(NamedTuple):
    """A receiver taken apart, once for each signal that it is connected to."""

    function_ref: ref[Any] | None = None
    """The weak reference to the function of a bound method."""
    resolver: Resolver | None = None
    """From the anchor to the receiver and what is called; ``None`` when all three are one."""
    is_async: bool = False
    """Whether what is called has to be awaited."""
    relays: bool = False
    """Whether it is another signal's ``send``."""
    strong: bool = False
    """Whether its delivery asks to be held strongly, whatever ``connect`` was told."""
    needs_send_id: bool = False
    """Whether what is called asks :func:`aldis.core.observers.current_send_id` for the send."""


#: The info of nearly every receiver, and of nearly every async one: a function.
PLAIN: Final = ReceiverInfo()
PLAIN_ASYNC: Final = ReceiverInfo(is_async=True)


def bound_call(call: Callable[..., Any], receiver: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call`` with a ``__wrapped__`` that names the ``receiver`` it is called for."""
    delivered = _Delivered(call)
    delivered.__wrapped__ = receiver
    return delivered


def original(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the receiver that :func:`bound_call` made ``call`` for; else ``call`` itself."""
    return call.__wrapped__ if type(call) is _Delivered else call


class _Delivered(partial[Any]):
    """What is called for a receiver that has a delivery."""

    __wrapped__: Callable[..., Any]


def referent_of(receiver: Any) -> Any:
    """Return what a connection holds on to: the receiver, or the object whose method it is."""
    if type(receiver) is FunctionType:
        return receiver
    if type(receiver) is MethodType:
        return receiver.__self__
    owner = method_owner(receiver)
    return receiver if owner is None else owner


def analyze(receiver: Any, signal: Any, make_ref: Callable[[Any], ref[Any] | None]) -> ReceiverInfo:
    """Take ``receiver`` apart.

    Args:
        receiver: A callable that :func:`check_receiver` let pass.
        signal: What it is connected to.
        make_ref: Makes a weak reference, or ``None`` where there can be none.

    Raises:
        ReceiverError: Its ``__bind_signal__`` answered with something that cannot be called.
    """
    if type(receiver) is FunctionType:
        return PLAIN_ASYNC if is_async(receiver) else PLAIN
    function_ref: ref[Any] | None = None
    resolver: Resolver | None = None
    if type(receiver) is MethodType:
        function = receiver.__func__
        function_ref = make_ref(function)
        resolver = MethodResolver(function_ref or (lambda: function))
    elif method_owner(receiver) is not None:
        resolver = BuiltinMethodResolver(receiver.__name__)
    decider = binder_of(receiver)
    if decider is None:
        return ReceiverInfo(function_ref, resolver, is_async(receiver), _relays(receiver))
    target = ask(decider, signal)
    own_method = type(target) is MethodType and target.__self__ is decider
    if type(receiver) is MethodType:
        delivered = ModeResolver(resolver, target, "instance")
    elif own_method:
        delivered = ModeResolver(resolver, target.__func__, "receiver")
    else:
        delivered = ModeResolver(resolver, target, None)
    return ReceiverInfo(
        function_ref,
        delivered,
        is_async(target),
        strong=not own_method,
        needs_send_id=getattr(target, "needs_send_id", None) is True,
    )


def _relays(receiver: Any) -> bool:
    return isinstance(getattr(receiver, "__self__", None), Emitter) and (
        getattr(receiver, "__name__", None) == "send"
    )


def weakref_error(receiver: Any) -> ReceiverError:
    """Return the error for a ``receiver`` that shall be held weakly, and cannot be."""
    return ReceiverError(
        f"{name_of(receiver)} cannot be weakly referenced (its "
        f"{type(referent_of(receiver)).__qualname__} allows no weak references); connect it with "
        "weak=False"
    )
