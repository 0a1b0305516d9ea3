"""Facts about a receiver, and how a signal calls it.

A connection holds a *referent*: the receiver itself, or the object that a bound method belongs to.
A *resolver* turns the referent into the receiver and the callable that runs instead of it. A plain
function needs no resolver, because it is the referent, the receiver and the callable in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import CO_COROUTINE
from types import (
    BuiltinMethodType,
    CodeType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable
from warnings import warn
from weakref import ref

from aldis._compat import is_marked_async
from aldis.core._native import Emitter, MethodResolver
from aldis.core.text import printable
from aldis.errors import ReceiverError

__all__ = [
    "PLAIN",
    "ReceiverInfo",
    "Resolver",
    "SupportsBindSignal",
    "analyze",
    "asks_signal",
    "bind_signal",
    "binder_of",
    "bound_call",
    "check_receiver",
    "check_single_mode",
    "code_location",
    "complete_info",
    "contains_code",
    "describe",
    "describe_signal",
    "function_info",
    "is_async",
    "location",
    "name_of",
    "needs_send_id",
    "original",
    "receiver_key",
    "referent_of",
    "unwrap_once",
    "weakref_error",
]

#: How many wrappers inside each other are looked through.
_DEPTH: Final = 100

#: How many characters of a value are shown in a message.
_SHORT: Final = 60


# -- names ---------------------------------------------------------------------------------------


def unwrap_once(receiver: Any) -> Any | None:
    """Return what ``receiver`` directly wraps (``__wrapped__``, ``partial``, method), or None."""
    if _is_partial(receiver):
        return receiver.func
    if type(receiver) is MethodType:
        return receiver.__func__
    # Read from the instance's own dict, because a mock would invent the attribute.
    own = _attribute(receiver, "__dict__")
    return None if own is None else own.get("__wrapped__")


def _is_partial(receiver: Any) -> bool:
    # Not isinstance(), which asks the receiver's ``__class__``: a mock of a partial is not one.
    return issubclass(type(receiver), partial)


def _attribute(receiver: Any, name: str) -> Any:
    try:
        return getattr(receiver, name, None)
    except Exception:  # noqa: BLE001 - a property may raise anything, and no fact depends on it
        return None


def _innermost(receiver: Any) -> Any:
    for _ in range(_DEPTH):
        inner = unwrap_once(receiver)
        if inner is None:
            break
        receiver = inner
    return receiver


def name_of(receiver: Any) -> str:
    """Return the name that ``receiver`` has in the source code."""
    if _is_partial(receiver):
        return f"partial({name_of(receiver.func)})"
    for attribute in ("__qualname__", "__name__"):
        name = _attribute(receiver, attribute)
        if issubclass(type(name), str):
            return str(name)
    inner = unwrap_once(receiver)
    if inner is not None:
        return name_of(inner)
    return f"{type(receiver).__qualname__} object"


def location(receiver: Any) -> str | None:
    """Return ``file:line`` of the function behind ``receiver``, or ``None`` if it has no source.

    For an object with a ``__call__`` in Python, this is the location of its ``__call__``.
    """
    function = _innermost(receiver)
    if type(function) is not FunctionType:
        function = _innermost(getattr(type(function), "__call__", None))  # noqa: B004 - the method
    code = _attribute(function, "__code__")
    return code_location(code) if type(code) is CodeType else None


def code_location(code: CodeType) -> str:
    """Return ``file:line`` of a function's code."""
    return f"{code.co_filename}:{code.co_firstlineno}"


def describe(receiver: Any) -> str:
    """Return the name and the location of ``receiver`` for a message: ``note (shop.py:7)``."""
    place = location(receiver)
    name = name_of(receiver)
    return printable(name if place is None else f"{name} ({place})")


def describe_signal(signal: Any) -> str:
    """Return the name of ``signal`` for a message."""
    name = getattr(signal, "name", None)
    return printable(name) if type(name) is str and name else "an unnamed signal"


# -- identity ------------------------------------------------------------------------------------


def _method_owner(receiver: object) -> object | None:
    """Return the object that a method written in C belongs to; ``None`` for everything else.

    ``items.append`` is a new object at each look-up, so its list and its name identify it. A
    function of a C module has a ``__self__`` too, but it is not a method.
    """
    if type(receiver) is BuiltinMethodType or type(receiver) is MethodWrapperType:
        owner: object | None = receiver.__self__
        return None if isinstance(owner, ModuleType) else owner
    return None


def receiver_key(receiver: Any) -> object:
    """Return the key that tells ``receiver`` apart from every other living receiver.

    Two bound methods are one receiver if they have the same function and the same object.
    """
    kind = type(receiver)
    if kind is FunctionType:
        return id(receiver)
    if kind is MethodType:
        return id(receiver.__func__), id(receiver.__self__)
    owner = _method_owner(receiver)
    return id(receiver) if owner is None else (receiver.__name__, id(owner))


def referent_of(receiver: Any) -> Any:
    """Return the object that a connection holds: the receiver, or the object of a method."""
    if type(receiver) is FunctionType:
        return receiver
    if type(receiver) is MethodType:
        return receiver.__self__
    owner = _method_owner(receiver)
    return receiver if owner is None else owner


def weakref_error(receiver: Any) -> ReceiverError:
    """Return the error for a ``receiver`` that allows no weak reference."""
    return ReceiverError(
        f"{name_of(receiver)} cannot be weakly referenced (its "
        f"{type(referent_of(receiver)).__qualname__} allows no weak references); connect it with "
        "weak=False"
    )


# -- sync or async -------------------------------------------------------------------------------


def is_async(receiver: Any) -> bool:
    """Return whether a call of ``receiver`` returns a coroutine.

    This looks through bound methods and ``functools.partial``. It recognises ``async def
    __call__`` and the marks of ``inspect.markcoroutinefunction`` and ``asyncio``. A mock counts as
    the function that it replaces.
    """
    while type(receiver) is not FunctionType and (
        type(receiver) is MethodType or _is_partial(receiver)
    ):
        receiver = receiver.__func__ if type(receiver) is MethodType else receiver.func
    if type(receiver) is FunctionType:
        return bool(receiver.__code__.co_flags & CO_COROUTINE) or is_marked_async(receiver)
    call = getattr(type(receiver), "__call__", None)  # noqa: B004 - the method itself is needed
    if type(call) is FunctionType and call.__code__.co_flags & CO_COROUTINE:
        return True
    # A mock answers every look-up with another mock, so only an int counts as flags.
    flags = getattr(_attribute(receiver, "__code__"), "co_flags", None)
    if isinstance(flags, int):
        return bool(flags & CO_COROUTINE)
    return flags is None and is_marked_async(receiver)


# -- delivery modes ------------------------------------------------------------------------------


@runtime_checkable
class SupportsBindSignal(Protocol):
    """A receiver that decides how a signal calls it.

    Python looks the method up on the receiver's *type*, as it does with ``__get__``. The signal
    calls it once for each signal that the receiver is connected to.
    """

    def __bind_signal__(self, signal: Any, /) -> Callable[..., Any]:
        """Return the callable that ``signal`` calls instead of this receiver.

        If it is a bound method of this receiver, the signal holds the receiver weakly. The signal
        holds any other callable strongly, and the receiver with it. If the receiver is the function
        of a bound method, the callable gets the method's object before the sender. If the callable
        has a true attribute ``needs_send_id``, it can call
        :func:`aldis.core.observers.current_send_id`. This slows sends.
        """


def _has_mode(receiver: Any) -> bool:
    return hasattr(type(receiver), "__bind_signal__")


def binder_of(receiver: Any) -> Any | None:
    """Return the object whose ``__bind_signal__`` decides how ``receiver`` is called.

    This is the receiver or, for a bound method, its function. ``None`` means that the signal calls
    the receiver itself.
    """
    if _has_mode(receiver):
        return receiver
    if type(receiver) is MethodType and _has_mode(receiver.__func__):
        return receiver.__func__
    return None


def check_receiver(receiver: Any) -> None:
    """Refuse a receiver that a signal could not call as its author intended.

    Raises:
        ReceiverError: ``receiver`` is not callable, or a wrapper hides its delivery mode, or it has
            two delivery modes.
    """
    if not callable(receiver):
        sender = _short_repr(receiver) or "sender"
        raise _not_callable(
            receiver,
            f"if this is the sender, write @signal.connect_via({sender}) or "
            f"connect(receiver, sender={sender})",
        )
    binder = binder_of(receiver)
    inner = unwrap_once(receiver if binder is None else binder)
    for _ in range(_DEPTH):
        if inner is None:
            return
        if _has_mode(inner):
            _refuse_hidden(receiver, binder, inner)
        inner = unwrap_once(inner)


def _not_callable(receiver: Any, advice: str) -> ReceiverError:
    what = f"{type(receiver).__name__} {_short_repr(receiver)}".strip()
    return ReceiverError(f"a receiver must be callable, not {what}; {advice}")


def _short_repr(value: Any) -> str:
    """Return the ``repr`` of a number or a short text; it shows no address."""
    text = repr(value) if type(value) in (str, int) else ""
    return text if len(text) <= _SHORT else ""


def _refuse_hidden(receiver: Any, binder: Any, inner: Any) -> None:
    who = describe(receiver)
    hidden = type(inner).__name__
    if binder is None:
        problem = (
            f"{who} wraps a receiver that has a delivery mode ({hidden}) and would bypass "
            f"it; put the {hidden} decorator outermost"
        )
    else:
        problem = (
            f"{who} has two delivery modes, {type(binder).__name__} around {hidden}; a receiver "
            "has one: remove one of the two decorators"
        )
    raise ReceiverError(problem)


def check_single_mode(function: Any, mode: str) -> None:
    """Refuse to give ``function`` the delivery mode ``mode`` if it already has a delivery mode.

    Raises:
        ReceiverError: ``function`` is not callable, or it already has a delivery mode.
    """
    if not callable(function):
        raise _not_callable(function, f"write @{mode} above the function")
    check_receiver(function)
    binder = binder_of(function)
    if binder is not None:
        message = (
            f"{describe(function)} cannot be {mode} as well as {type(binder).__name__}: a receiver "
            "has one delivery mode"
        )
        raise ReceiverError(message)


def bind_signal(binder: Any, signal: Any) -> Any:
    """Return the callable that ``signal`` calls for the receiver that ``binder`` decides about.

    Raises:
        ReceiverError: ``__bind_signal__`` did not return a callable.
    """
    target = type(binder).__bind_signal__(binder, signal)
    if not callable(target):
        message = (
            f"__bind_signal__ of {name_of(binder)} ({type(binder).__name__}) must return a "
            f"callable, not {type(target).__name__}"
        )
        raise ReceiverError(message)
    return target


def needs_send_id(call: Any) -> bool:
    """Return whether ``call`` reads :func:`aldis.core.observers.current_send_id`."""
    if _attribute(call, "needs_send_id") is True:
        return True
    if _attribute(call, "asks_send") is True:
        message = f"{name_of(call)}: the attribute asks_send is now called needs_send_id"
        warn(message, DeprecationWarning, stacklevel=2)
        return True
    return False


# -- receivers that ask for the signal ------------------------------------------------------------

#: The name of the function :func:`aldis.core.current.current_signal`.
_CURRENT_SIGNAL: Final = "current_signal"


def asks_signal(receiver: Any) -> bool:
    """Return whether the code of ``receiver`` names the function ``current_signal``.

    This looks through wrappers, and into the functions that are defined in the receiver.
    """
    return any(map(_asks, _codes(receiver)))


def contains_code(receiver: Any, code: CodeType) -> bool:
    """Return whether ``code`` belongs to ``receiver`` or to a function that is defined in it."""
    return any(code is each or _defines(each, code) for each in _codes(receiver))


def _codes(receiver: Any) -> Iterator[CodeType]:
    """Yield the code of ``receiver`` and of what it wraps."""
    for _ in range(_DEPTH):
        function = receiver
        if type(function) is not FunctionType:
            function = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself
        if type(function) is FunctionType:
            yield function.__code__
        receiver = unwrap_once(receiver)
        if receiver is None:
            return


def _asks(code: CodeType) -> bool:
    if _CURRENT_SIGNAL in code.co_names or _CURRENT_SIGNAL in code.co_freevars:
        return True
    return any(type(each) is CodeType and _asks(each) for each in code.co_consts)


def _defines(outer: CodeType, code: CodeType) -> bool:
    inner = [each for each in outer.co_consts if type(each) is CodeType]
    return any(each is code or _defines(each, code) for each in inner)


class _BoundCall(partial[Any]):
    """The callable that runs for a receiver with a delivery mode; it has a ``__wrapped__``."""

    __wrapped__: Callable[..., Any]


def bound_call(call: Callable[..., Any], receiver: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``call`` with a ``__wrapped__`` that refers to ``receiver``."""
    bound = _BoundCall(call)
    bound.__wrapped__ = receiver
    return bound


def original(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the receiver that ``bound_call`` stored in ``call``, or ``call`` itself."""
    return call.__wrapped__ if type(call) is _BoundCall else call


# -- resolvers -----------------------------------------------------------------------------------

#: Turns a referent into the receiver and the callable that runs; ``None`` if the receiver is dead.
Resolver: TypeAlias = Callable[[Any], "tuple[Any, Any] | None"]


class BuiltinMethodResolver:
    """Looks up a method that is written in C."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __call__(self, referent: Any) -> tuple[Any, Any] | None:
        method = getattr(referent, self.name)
        return method, method


class ModeResolver:
    """Resolves a receiver with a delivery mode.

    Args:
        inner: The resolver of the receiver without the mode.
        target: The callable that runs instead of the receiver.
        takes: The argument that ``target`` gets before the sender. ``None`` means no argument.
            ``"receiver"`` is the receiver, if ``target`` is the function of its bound method.
            ``"instance"`` is the object of a receiver that is a bound method.
    """

    __slots__ = ("inner", "takes", "target")

    def __init__(
        self, inner: Resolver | None, target: Callable[..., Any], takes: str | None
    ) -> None:
        self.inner: Resolver | None = inner
        self.target: Callable[..., Any] = target
        self.takes: str | None = takes

    def __call__(self, referent: Any) -> tuple[Any, Any] | None:
        receiver = referent
        if self.inner is not None:
            pair = self.inner(referent)
            if pair is None:
                return None
            receiver = pair[0]
        if self.takes is None:
            return receiver, self.target
        first = receiver if self.takes == "receiver" else receiver.__self__
        return receiver, MethodType(self.target, first)


class ReceiverInfo(NamedTuple):
    """The facts about a receiver that one signal needs. They are found when it is connected."""

    function_ref: ref[Any] | None = None
    """The weak reference to the function of a bound method."""
    resolver: Resolver | None = None
    """Turns the referent into the receiver and its callable; ``None`` if they are one object."""
    is_async: bool = False
    """Whether the callable must be awaited."""
    relays: bool = False
    """Whether the receiver is the ``send`` of another signal."""
    strong: bool = False
    """Whether the delivery mode needs a strong reference, whatever ``connect`` was told."""
    needs_send_id: bool = False
    """Whether the callable reads :func:`aldis.core.observers.current_send_id`."""
    needs_signal: bool = False
    """Whether the receiver calls :func:`aldis.core.current.current_signal`."""


#: The facts about nearly every receiver, before :func:`complete_info`: it is a sync function.
PLAIN: Final = ReceiverInfo()
_PLAIN_ASYNC: Final = ReceiverInfo(is_async=True)

#: The complete facts about functions.
_SYNC: Final = ReceiverInfo()
_ASYNC: Final = ReceiverInfo(is_async=True)
_ASKING: Final = ReceiverInfo(needs_signal=True)
_ASYNC_ASKING: Final = ReceiverInfo(is_async=True, needs_signal=True)


def function_info(function: FunctionType) -> ReceiverInfo:
    """Return the facts about a receiver that is a plain function; see :func:`complete_info`."""
    if function.__code__.co_flags & CO_COROUTINE or is_marked_async(function):
        return _PLAIN_ASYNC
    return PLAIN


def complete_info(info: ReceiverInfo, receiver: Any) -> ReceiverInfo:
    """Return ``info`` with all facts. ``function_info`` leaves out the slow one.

    Most functions are connected, disconnected and never sent to, in tests for example.
    """
    if info is not PLAIN and info is not _PLAIN_ASYNC:
        return info
    asks = receiver is not None and asks_signal(receiver)
    return (_ASYNC_ASKING if asks else _ASYNC) if info.is_async else (_ASKING if asks else _SYNC)


def analyze(receiver: Any, signal: Any, make_ref: Callable[[Any], ref[Any] | None]) -> ReceiverInfo:
    """Find the facts about ``receiver`` that ``signal`` needs.

    Args:
        receiver: A callable that passed :func:`check_receiver`.
        signal: The signal that the receiver is connected to.
        make_ref: Returns a weak reference, or ``None`` if the object allows none.

    Raises:
        ReceiverError: ``__bind_signal__`` did not return a callable.
    """
    if type(receiver) is FunctionType:
        return function_info(receiver)
    function_ref: ref[Any] | None = None
    resolver: Resolver | None = None
    if type(receiver) is MethodType:
        function = receiver.__func__
        function_ref = make_ref(function)
        resolver = MethodResolver(function_ref or (lambda: function))
    elif _method_owner(receiver) is not None:
        resolver = BuiltinMethodResolver(receiver.__name__)
    binder = binder_of(receiver)
    if binder is None:
        return ReceiverInfo(
            function_ref,
            resolver,
            is_async(receiver),
            _relays(receiver),
            needs_signal=asks_signal(receiver),
        )
    target = bind_signal(binder, signal)
    own_method = type(target) is MethodType and target.__self__ is binder
    if type(receiver) is MethodType:
        resolver = ModeResolver(resolver, target, "instance")
    elif own_method:
        resolver = ModeResolver(resolver, target.__func__, "receiver")
    else:
        resolver = ModeResolver(resolver, target, None)
    return ReceiverInfo(
        function_ref,
        resolver,
        is_async(target),
        strong=not own_method,
        needs_send_id=needs_send_id(target),
        needs_signal=asks_signal(receiver),
    )


def _relays(receiver: Any) -> bool:
    return issubclass(type(_attribute(receiver, "__self__")), Emitter) and (
        _attribute(receiver, "__name__") == "send"
    )
