"""Move a blinker that is already imported onto aldis.

Flask imports blinker before the application runs, so ``import aldis.as_blinker`` often comes late.
The objects of blinker then exist, and modules, closures and local variables hold them. aldis keeps
these objects. Behind each blinker signal it puts an aldis signal, and the methods of blinker's
classes call that signal. Every reference stays valid, and every object keeps its identity.

A *blinker signal* in this module is an instance of blinker's own class. Its *aldis signal* is the
signal behind it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final
from weakref import ref

from aldis.core import namespace
from aldis.core.namespace import NamedSignal, Namespace, default_namespace
from aldis.core.process import ForkSafeLock
from aldis.core.receiver import describe, location
from aldis.core.sender import ANY, PROXY_ATTRIBUTE, Symbol
from aldis.core.signal import Signal
from aldis.errors import AldisError, StandInError

__all__ = ["move"]

#: The key in a blinker signal's ``__dict__`` under which its aldis signal stands.
_KEY: Final = "_aldis_signal"

#: The tables of a blinker signal. The aldis signal replaces them.
_TABLES: Final = ("receivers", "is_muted", "_by_receiver", "_by_sender", "_weak_senders")

#: The attributes that the aldis signal must know of. All others stay on the blinker signal.
_SETTINGS: Final = (
    "contract",
    "continue_on_error",
    "every_receiver_runs",
    "is_muted",
    "receivers_for",
    "sent",
)

_META: Final = ("receiver_connected", "receiver_disconnected")

#: The key of an int sender is its value. The key of most other senders is their address. CPython
#: never places an object below this address, so a smaller key is the value of an int.
_LOWEST_ADDRESS: Final = 4096

#: Several threads may be the first to use a blinker signal. A ``__del__`` may be the first, too.
_creating = ForkSafeLock()

_FIRST_IMPORT: Final = (
    "Put `import aldis.as_blinker` above every other import of your program, or start it with "
    "`aldis run -- COMMAND`."
)


def move(modules: dict[str, ModuleType]) -> None:
    """Let the signals and namespaces of a loaded blinker work on aldis.

    Args:
        modules: The loaded modules of blinker by name.

    Raises:
        StandInError: A receiver cannot be taken over exactly, or this release of blinker has other
            classes. Nothing has changed then.
    """
    base = modules.get("blinker.base")
    if base is None or not _is_known(base):
        version = getattr(modules.get("blinker"), "__version__", "an unknown version")
        message = (
            f"aldis cannot take over blinker {version}, which is already imported: it knows the "
            f"classes of blinker 1.8 and 1.9. {_FIRST_IMPORT}"
        )
        raise StandInError(message)
    signals = [each for each in gc.get_objects() if issubclass(type(each), base.Signal)]
    spaces = [each for each in gc.get_objects() if issubclass(type(each), base.Namespace)]
    for each in signals:
        _rehearse(each)
    _let_symbols_mean_ours(base)
    _let_signals_call_ours(base)
    _let_namespaces_be_ours(base, spaces)
    for each in signals:
        _aldis_signal(each)


def _is_known(base: ModuleType) -> bool:
    """Tell whether this release of blinker has the classes and functions that are replaced."""
    try:
        signal, named, space = base.Signal, base.NamedSignal, base.Namespace
        known = all(isinstance(_function(signal, name), FunctionType) for name in _BODIES)
        symbols = isinstance(base.ANY, base.Symbol) and base.ANY_ID == 0
        fresh = set(vars(signal())) >= set(_TABLES)
    except (AttributeError, KeyError, TypeError):
        return False
    return known and symbols and fresh and issubclass(named, signal) and issubclass(space, dict)


# -- receivers -----------------------------------------------------------------------------------


def _rehearse(blinker_signal: Any) -> None:
    """Connect the receivers of a blinker signal to an aldis signal that is thrown away.

    Raises:
        StandInError: It cannot be done exactly.
    """
    tables = vars(blinker_signal)
    if tables.get("is_muted"):
        raise StandInError(f"{_name(blinker_signal)} is muted at this moment. {_FIRST_IMPORT}")
    rehearsal = Signal()
    for receiver, sender, weak in _connections(blinker_signal):
        try:
            rehearsal.connect(receiver, sender, weak)
        except (AldisError, TypeError) as error:
            raise StandInError(_refusal(blinker_signal, receiver, str(error))) from error


def _connections(blinker_signal: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Yield each living connection in connection order: receiver, sender, and whether it is weak.

    Raises:
        StandInError: blinker no longer knows the sender of a connection.
    """
    tables = vars(blinker_signal)
    for receiver_key, held in list(tables.get("receivers", {}).items()):
        weak = isinstance(held, ref)
        receiver = held() if weak else held
        if receiver is None:
            continue
        for sender_key in list(tables["_by_receiver"].get(receiver_key, ())):
            sender = _sender(blinker_signal, receiver, sender_key)
            if sender is not None:
                yield _target(receiver), sender, weak


def _sender(blinker_signal: Any, receiver: Any, key: Any) -> Any:
    """Return the sender that blinker lists under ``key``, or ``None`` if it has died."""
    known = vars(blinker_signal)["_weak_senders"].get(key)
    if known is not None:
        return known()
    if isinstance(key, str | bool):
        return key
    if key == 0:
        return ANY
    if isinstance(key, int) and abs(key) < _LOWEST_ADDRESS:
        return key
    reason = "blinker no longer knows its sender, which allows no weak reference"
    raise StandInError(_refusal(blinker_signal, receiver, reason))


def _target(receiver: Any) -> Any:
    """Return the aldis form of a receiver that is itself the ``send`` of a blinker signal."""
    if isinstance(receiver, MethodType) and hasattr(type(receiver.__self__), _KEY):
        return getattr(_aldis_signal(receiver.__self__), receiver.__name__)
    return receiver


def _refusal(blinker_signal: Any, receiver: Any, reason: str) -> str:
    return (
        f"{location(receiver)}: {describe(receiver)} is connected to {_name(blinker_signal)} of "
        f"blinker, and aldis cannot take it over. {_FIRST_IMPORT}\nReason: {reason}."
    )


def _name(blinker_signal: Any) -> str:
    name = vars(blinker_signal).get("name")
    return "an anonymous signal" if name is None else repr(name)


# -- signals -------------------------------------------------------------------------------------


def _aldis_signal(blinker_signal: Any) -> Signal[..., Any]:
    """Return the aldis signal behind a blinker signal; create it at the first use."""
    state = vars(blinker_signal)
    found: Signal[..., Any] | None = state.get(_KEY)
    if found is not None:
        return found
    with _creating.lock:
        found = state.get(_KEY)
        if found is None:
            found = _create(blinker_signal)
    return found


def _create(blinker_signal: Any, made: Signal[..., Any] | None = None) -> Signal[..., Any]:
    """Put ``made``, or a new signal, behind a blinker signal, and hand it the receivers."""
    state = vars(blinker_signal)
    if made is None:
        name, doc = state.get("name"), state.get("__doc__")
        made = Signal(doc) if name is None else NamedSignal(name, doc)
    for receiver, sender, weak in _connections(blinker_signal):
        made.connect(receiver, sender, weak)
    for meta in _META:
        if meta in state:
            vars(made)[meta] = _aldis_signal(state[meta])
    for table in _TABLES:
        state.pop(table, None)
    kind: Any = type(blinker_signal)
    own = next(each for each in kind.__mro__ if _KEY in vars(each))  # blinker's class ``Signal``
    if kind.receivers_for is not own.receivers_for:
        made.receivers_for = blinker_signal.receivers_for  # type: ignore[method-assign]
    if kind.send is own.send:
        state["send"] = made.send  # so that a send costs no call of a Python function more
    state[_KEY] = made
    if not isinstance(vars(kind).get("__class__"), property):
        object.__setattr__(blinker_signal, "__class__", _moved(kind))
    return made


@cache
def _moved(kind: Any) -> type[Any]:
    """Return a subclass whose objects pass for aldis signals: ``isinstance(signal, aldis.Signal)``.

    Only a class statement can give a class the property ``__class__``.
    """
    names = {"__class__": property(_class), "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**names, "__qualname__": kind.__qualname__})


def _let_signals_call_ours(base: ModuleType) -> None:
    """Replace what the methods of blinker's class ``Signal`` do.

    The functions stay, so every bound method that a program holds reaches aldis, too. Only their
    code is replaced. The new code finds ``_aldis_signal`` among the globals of blinker's module.
    """
    vars(base)[_KEY] = _aldis_signal
    setattr(base.Signal, _KEY, None)
    for method in (_init, _getattr, _setattr, _delattr, _eq, _repr, _reduce):
        setattr(base.Signal, f"__{method.__name__.strip('_')}__", method)
    base.Signal.__hash__ = object.__hash__
    setattr(base.Signal, PROXY_ATTRIBUTE, _aldis_signal)
    del base.NamedSignal.__repr__
    # Last, since other threads may send at this moment.
    for name, body in _BODIES.items():
        _function(base.Signal, name).__code__ = body.__code__


def _function(signal_class: Any, name: str) -> Any:
    """Return the function behind a method, a context manager or a cached property of the class."""
    found = vars(signal_class)[name]
    return getattr(found, "func", None) or getattr(found, "__wrapped__", found)


def _init(self: Any, doc: str | None = None) -> None:
    if doc:
        self.__doc__ = doc
    kind: Any = type(self)
    object.__setattr__(self, "__class__", _moved(kind))


def _getattr(self: Any, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_aldis_signal(self), name)


def _setattr(self: Any, name: str, value: Any) -> None:
    if name in _SETTINGS:
        setattr(_aldis_signal(self), name, value)
    if name not in _SETTINGS or name == "receivers_for":
        object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:
    if name in _SETTINGS:
        delattr(_aldis_signal(self), name)
    if name not in _SETTINGS or name == "receivers_for":
        object.__delattr__(self, name)


def _eq(self: Any, other: object) -> bool:
    return self is other or _aldis_signal(self) is other


def _repr(self: Any) -> str:
    return repr(_aldis_signal(self))


def _reduce(self: Any) -> Any:
    return _aldis_signal(self).__reduce__()


def _class(self: Any) -> type[Any]:
    return type(_aldis_signal(self))


# The bodies of blinker's methods. The parameters have blinker's names. The defaults stay blinker's.


def _connect(self: Any, receiver: Any, sender: Any, weak: Any) -> Any:
    return _aldis_signal(self).connect(receiver, sender, weak)


def _connect_via(self: Any, sender: Any, weak: Any) -> Any:
    return _aldis_signal(self).connect_via(sender, weak)


def _connected_to(self: Any, receiver: Any, sender: Any) -> Iterator[None]:
    with _aldis_signal(self).connected_to(receiver, sender):
        yield None


def _muted(self: Any) -> Iterator[None]:
    with _aldis_signal(self).muted():
        yield None


def _send(self: Any, sender: Any, /, *, _async_wrapper: Any, **kwargs: Any) -> Any:
    return _aldis_signal(self).send(sender, _async_wrapper=_async_wrapper, **kwargs)


async def _send_async(self: Any, sender: Any, /, *, _sync_wrapper: Any, **kwargs: Any) -> Any:
    return await _aldis_signal(self).send_async(sender, _sync_wrapper=_sync_wrapper, **kwargs)


def _has_receivers_for(self: Any, sender: Any) -> bool:
    return _aldis_signal(self).has_receivers_for(sender)


def _receivers_for(self: Any, sender: Any) -> Iterator[Any]:
    signal = _aldis_signal(self)
    yield from type(signal).receivers_for(
        signal, sender
    )  # not an override, which may have called this


def _disconnect(self: Any, receiver: Any, sender: Any) -> None:
    _aldis_signal(self).disconnect(receiver, sender)


def _forget(self: Any, receiver_id: Any, sender_id: Any) -> None:
    """Do nothing: a weak reference of blinker's old tables has died late."""


def _cleanup_bookkeeping(self: Any) -> None:
    _aldis_signal(self)._cleanup_bookkeeping()  # noqa: SLF001 - blinker's name for it


def _clear_state(self: Any) -> None:
    _aldis_signal(self)._clear_state()  # noqa: SLF001 - blinker's name for it


def _receiver_connected(self: Any) -> Any:
    return _aldis_signal(self).receiver_connected


def _receiver_disconnected(self: Any) -> Any:
    return _aldis_signal(self).receiver_disconnected


_BODIES: Final[dict[str, Callable[..., Any]]] = {
    "connect": _connect,
    "connect_via": _connect_via,
    "connected_to": _connected_to,
    "muted": _muted,
    "send": _send,
    "send_async": _send_async,
    "has_receivers_for": _has_receivers_for,
    "receivers_for": _receivers_for,
    "disconnect": _disconnect,
    "_disconnect": _forget,
    "_cleanup_bookkeeping": _cleanup_bookkeeping,
    "_clear_state": _clear_state,
    "receiver_connected": _receiver_connected,
    "receiver_disconnected": _receiver_disconnected,
}


# -- namespaces and symbols ----------------------------------------------------------------------


class _DefaultNamespace(Namespace):
    """The class of blinker's default namespace: it shows aldis's default namespace."""

    def __getattribute__(self, name: str) -> Any:
        return getattr(default_namespace, name)

    def __getitem__(self, name: str) -> Any:
        return default_namespace[name]

    def __setitem__(self, name: str, value: Any) -> None:
        default_namespace[name] = value

    def __delitem__(self, name: str) -> None:
        del default_namespace[name]

    def __contains__(self, name: object) -> bool:
        return name in default_namespace

    def __iter__(self) -> Iterator[str]:
        return iter(default_namespace)

    def __len__(self) -> int:
        return len(default_namespace)


def _let_namespaces_be_ours(base: ModuleType, spaces: list[Any]) -> None:
    """Give blinker's namespaces an aldis class, and the class ``Namespace`` its methods."""
    blinkers = base.Namespace
    vars(base)["_signal_of"] = _signal_of
    blinkers.signal.__code__ = _signal.__code__
    for name, value in vars(Namespace).items():  # for subclasses of blinker's class
        if isinstance(value, FunctionType | property) and name not in ("__init__", "signal"):
            setattr(blinkers, name, value)

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        dict.__init__(self, *args, **kwargs)
        if type(self) is blinkers:
            self.__class__ = Namespace
        namespace.register(self, sys._getframe(1).f_globals.get("__name__", "__main__"))

    blinkers.__init__ = init
    for each in spaces:
        if each is base.default_namespace:
            _join_default_namespaces(each)
            continue
        if type(each) is blinkers:
            each.__class__ = Namespace
        namespace.register(each, _home(each))
        for signal in list(each.values()):
            behind: Any = _aldis_signal(signal)
            behind._namespace = ref(each)  # noqa: SLF001 - part of the same engine


def _join_default_namespaces(space: Any) -> None:
    """Let blinker's and aldis's default namespaces have the same signals."""
    for name, signal in list(space.items()):
        ours: Any = default_namespace.get(name)
        if ours is None:
            default_namespace[name] = signal
            ours = _aldis_signal(signal)
        else:
            _create(signal, ours)
        ours._namespace = ref(default_namespace)  # noqa: SLF001 - part of the same engine
    space.clear()
    space.__class__ = _DefaultNamespace


def _signal(self: Any, name: str, doc: str | None) -> Any:
    return _signal_of(self, name, doc)


def _signal_of(space: Any, name: str, doc: str | None) -> Any:
    if type(space) is _DefaultNamespace:
        space = default_namespace
    return Namespace.signal(space, name, doc)


def _home(space: Any) -> str:
    """Return the name of the module that has the namespace as a global."""
    modules: list[tuple[str, Any]] = list(sys.modules.items())  # a program may put anything there
    for name, module in modules:
        if isinstance(module, ModuleType) and any(each is space for each in vars(module).values()):
            return name
    return "blinker.base"


def _let_symbols_mean_ours(base: ModuleType) -> None:
    """Let ``ANY``, where a program holds blinker's own, mean aldis's: as a proxy does."""
    setattr(base.Symbol, PROXY_ATTRIBUTE, lambda symbol: Symbol(symbol.name))
