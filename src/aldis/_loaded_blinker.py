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
from contextlib import suppress
from functools import cache
from operator import attrgetter
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final
from weakref import ref

from aldis.core import namespace
from aldis.core.namespace import NamedSignal, Namespace, default_namespace
from aldis.core.process import ForkSafeLock
from aldis.core.receiver import describe, location
from aldis.core.sender import ANY, PROXY_ATTRIBUTE, Symbol, real_sender
from aldis.core.signal import LATER, Signal
from aldis.errors import AldisError, StandInError

__all__ = ["move", "unknown_release"]

#: The module of blinker's classes.
_MODULE: Final = "blinker.base"

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
    "receivers",
    "receivers_for",
    "sent",
)

_META: Final = ("receiver_connected", "receiver_disconnected")

#: The methods that programs replace on blinker's class to observe signals.
_PATCHED: Final = ("connect", "disconnect", "receivers_for", "send", "send_async")

#: The key of an int sender is its value. The key of most other senders is their address. CPython
#: places an object neither below this address nor at one that is not a multiple of the alignment.
_LOWEST_ADDRESS: Final = 4096
_ALIGNMENT: Final = 8

#: Senders that allow no weak reference and never die, by their address.
_CONSTANTS: Final = {id(each): each for each in (None, ..., NotImplemented, ())}

#: Stands for a sender that has died.
_DEAD: Final = object()

#: Only an immortal object has a higher count of references.
_IMMORTAL: Final = 1 << 30

#: Several threads may be the first to use a blinker signal. A ``__del__`` may be the first, too.
_creating = ForkSafeLock()

_FIRST_IMPORT: Final = (
    "Put `import aldis.as_blinker` above every other import of your program, or start it with "
    "`aldis run -- COMMAND`."
)


def move() -> None:
    """Let the signals and namespaces of each loaded blinker work on aldis.

    Raises:
        StandInError: A receiver cannot be taken over exactly, or this release of blinker has other
            classes. Nothing has changed then.
    """
    # There are several classes of a name if a program has reloaded blinker, or removed it from
    # `sys.modules` and imported it again.
    classes, spaces = _classes(object, "Signal"), _classes(dict, "Namespace")
    # A program may have wrapped or replaced a method, so the classes do not lead to all of them.
    found, signals = _instances(FunctionType, tuple(classes))
    functions = [each for each in found if _is_method(each)]
    copies = list({id(each.__globals__): each.__globals__ for each in functions}.values())
    if not copies or not all(_is_known(names, functions) for names in copies):
        raise StandInError(unknown_release())
    for signal in signals:
        _rehearse(signal)
    defaults: list[Any] = [names["default_namespace"] for names in copies]
    defaults.sort(key=lambda space: spaces.index(type(space)))  # the oldest first
    for names in copies:
        names.update(_aldis_signal=_aldis_signal, _aldis_init=_prepare, _aldis_named=_named)
        setattr(type(names["ANY"]), PROXY_ATTRIBUTE, lambda symbol: Symbol(symbol.name))
    _change_classes(classes, spaces, functions)
    # Again, because another thread may have made some before their classes changed.
    modules, signals, owned = _instances(ModuleType, tuple(classes), tuple(spaces))
    for space_class in spaces:
        _rebase_namespace_classes(space_class)
    for space in defaults:
        _join_default_namespaces(space)
    for space in owned:
        if not any(space is each for each in defaults):
            _move_namespace(space)
    for signal in signals:
        _aldis_signal(signal)
    _replace_names(modules, classes, spaces, copies)


def _change_classes(
    classes: list[type[Any]], spaces: list[type[Any]], functions: list[Any]
) -> None:
    """Let blinker's classes, and the methods that programs hold, call aldis."""
    for signal_class in classes:
        _extend_signal_class(signal_class)
    for space_class in spaces:
        _extend_namespace_class(space_class)
    # Last, since other threads may send at this moment.
    for function in functions:
        name = function.__code__.co_qualname
        if name in _WITHOUT_RECEIVER:
            function.__defaults__ = (LATER, *function.__defaults__)
        function.__code__ = _BODIES[name].__code__


def unknown_release() -> str:
    """Return the message about a blinker with other classes."""
    version = getattr(sys.modules.get("blinker"), "__version__", "of an unknown version")
    return (
        f"aldis cannot take over blinker {version}, which is already imported: it knows the "
        f"classes of blinker 1.8 and 1.9. {_FIRST_IMPORT}"
    )


def _classes(base: type[Any], name: str) -> list[type[Any]]:
    """Return the subclasses of ``base`` that are blinker's own and do not work on aldis yet."""
    found = [each for each in type.__subclasses__(base) if _KEY not in vars(each)]
    return [each for each in found if (each.__module__, each.__name__) == (_MODULE, name)]


def _instances(*classes: type[Any] | tuple[type[Any], ...]) -> tuple[list[Any], ...]:
    """Return the living objects of each class and of its subclasses.

    ``gc.get_objects()`` leaves out the objects that ``gc.freeze()`` has put aside, as servers do
    before they fork. Python cannot list these objects alone. So all objects become visible, and all
    are frozen again. This freezes the newer ones, too. They are modules and functions for the most
    part, because a program freezes when its imports are done.
    """
    frozen, collecting = gc.get_freeze_count(), gc.isenabled()
    gc.disable()
    try:
        gc.unfreeze()
        objects = gc.get_objects()
        found = tuple([o for o in objects if issubclass(type(o), each)] for each in classes)
        # Since 3.12, Python puts immortal objects aside, and does so again at the next collection.
        if frozen > sum(sys.getrefcount(each) > _IMMORTAL for each in objects):
            del objects
            gc.collect()  # garbage that is frozen would never be freed
            gc.freeze()
    finally:
        if collecting:
            gc.enable()
    return found


def _is_method(function: Any) -> bool:
    """Tell whether this is a function of blinker's that aldis replaces."""
    is_blinkers = function.__globals__.get("__name__") == _MODULE
    return is_blinkers and function.__code__.co_qualname in _BODIES


def _is_known(names: dict[str, Any], functions: list[Any]) -> bool:
    """Tell whether a copy of the module ``blinker.base`` has all that is replaced."""
    own = {each.__code__.co_qualname for each in functions if each.__globals__ is names}
    try:
        signal, named, space = names["Signal"], names["NamedSignal"], names["Namespace"]
        symbols = isinstance(names["ANY"], names["Symbol"]) and names["ANY_ID"] == 0
        fresh = set(vars(signal())) >= set(_TABLES) and "default_namespace" in names
    except (KeyError, TypeError):
        return False
    return (
        own == set(_BODIES)
        and symbols
        and fresh
        and issubclass(named, signal)
        and issubclass(space, dict)
    )


def _replace_names(
    modules: list[ModuleType],
    classes: list[type[Any]],
    spaces: list[type[Any]],
    copies: list[dict[str, Any]],
) -> None:
    """Let the modules that imported blinker's classes and constants early hold aldis's.

    An aldis signal is not an instance of blinker's class. So ``isinstance(each, Signal)`` must mean
    aldis's class. A module that makes a subclass keeps blinker's, because it may call
    ``Signal.send(self)``. So does every module if a program has replaced a method of the class,
    because the program may put back the method later.
    """
    classes = [kind for kind in classes if all(_is_unchanged(kind, name) for name in _PATCHED)]
    named = [each for kind in classes for each in _classes(kind, "NamedSignal")]
    ours: dict[int, Any] = dict.fromkeys(map(id, spaces), Namespace)
    for names in copies:
        ours |= {id(names["ANY"]): ANY, id(names["default_namespace"]): default_namespace}
    signals = dict.fromkeys(map(id, classes), Signal) | dict.fromkeys(map(id, named), NamedSignal)
    for module in modules:
        held = _globals_of(module)
        values = list(held.values())
        # `type(each)`, because a lazy module or a proxy that is asked for its class loads itself.
        subclasses = [
            each for each in values if issubclass(type(each), type) and id(each) not in signals
        ]
        keeps = any(kind in each.__mro__ for each in subclasses for kind in classes)
        replaced = ours if keeps else ours | signals
        for name, value in list(held.items()):
            if id(value) in replaced:
                held[name] = replaced[id(value)]


def _globals_of(module: ModuleType) -> dict[str, Any]:
    """Return the globals of a module. A lazy module would load itself for ``vars(module)``."""
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found


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
            if sender is not _DEAD:
                yield _target(receiver), sender, weak


def _sender(blinker_signal: Any, receiver: Any, key: Any) -> Any:
    """Return the sender that blinker lists under ``key``, or ``_DEAD`` if it has died."""
    known = vars(blinker_signal)["_weak_senders"].get(key)
    if known is not None:
        sender = known()
        return _DEAD if sender is None else sender
    if isinstance(key, str | bool):
        return key
    if key == 0:
        return ANY
    if isinstance(key, int) and (key < _LOWEST_ADDRESS or key % _ALIGNMENT):
        return key
    if key in _CONSTANTS:
        return _CONSTANTS[key]
    reason = (
        f"blinker no longer knows its sender: {key} is an int, or the address of an object that "
        "allows no weak reference"
    )
    raise StandInError(_refusal(blinker_signal, receiver, reason))


def _target(receiver: Any) -> Any:
    """Return the aldis form of a receiver that is itself the ``send`` of a blinker signal."""
    if isinstance(receiver, MethodType) and hasattr(type(receiver.__self__), _KEY):
        return getattr(_aldis_signal(receiver.__self__), receiver.__name__)
    return receiver


def _refusal(blinker_signal: Any, receiver: Any, reason: str) -> str:
    place = f"{location(receiver)}: " if location(receiver) else ""
    return (
        f"{place}{describe(receiver)} is connected to {_name(blinker_signal)} of "
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
    if "receivers_for" in state or not _is_unchanged(kind, "receivers_for"):
        made.receivers_for = blinker_signal.receivers_for  # type: ignore[method-assign]
    if "send" in state:  # a mock
        made.send = state.pop("send")  # type: ignore[method-assign]
    state[_KEY] = made
    if not _is_moved(kind):
        object.__setattr__(blinker_signal, "__class__", _moved(kind))
    return made


def _is_unchanged(kind: Any, name: str) -> bool:
    """Tell whether a method is blinker's: neither overridden by a subclass nor wrapped."""
    function: Any = getattr(kind, name)
    return getattr(function, "__code__", None) is _BODIES[f"Signal.{name}"].__code__


class _Plain:
    """A class with the layout of blinker's class ``Signal``."""


@cache
def _moved(kind: Any) -> type[Any]:
    """Return a subclass whose objects pass for aldis signals: ``isinstance(signal, aldis.Signal)``.

    Only the body of a class can set ``__class__``. Neither the metaclass of ``kind`` nor its
    ``__init_subclass__`` learns of the subclass, because they may register or reject classes.
    """
    names = {"__class__": property(_class), "__module__": kind.__module__, "__doc__": kind.__doc__}
    if _is_unchanged(kind, "send"):  # the property costs no call of a Python function
        names["send"] = property(attrgetter(f"{_KEY}.send"), _set_send, _delete_send)
    names["__qualname__"] = kind.__qualname__
    made: type[Any] = type.__new__(type(kind), kind.__name__, (_Plain,), names)
    try:
        made.__bases__ = (kind,)
    except TypeError:  # `kind` has another layout, because of its `__slots__`
        with suppress(Exception):
            made = type.__new__(type(kind), kind.__name__, (kind,), names)
    return made if issubclass(made, kind) else kind


def _is_moved(kind: Any) -> bool:
    return isinstance(vars(kind).get("__class__"), property)


def _class(self: Any) -> type[Any]:
    return type(_aldis_signal(self))


def _set_send(blinker_signal: Any, value: Any) -> None:
    _aldis_signal(blinker_signal).send = value  # type: ignore[method-assign]


def _delete_send(blinker_signal: Any) -> None:
    del _aldis_signal(blinker_signal).send


def _extend_signal_class(signal_class: Any) -> None:
    """Give blinker's class ``Signal`` the special methods of an object that an aldis signal backs.

    The functions of its other methods stay, so every bound method that a program holds reaches
    aldis, too. Only their code is replaced. The new code finds ``_aldis_signal`` among the globals
    of blinker's module.
    """
    setattr(signal_class, _KEY, None)
    for method in (_getattr, _setattr, _delattr, _eq, _repr, _str, _reduce):
        setattr(signal_class, f"__{method.__name__.strip('_')}__", method)
    signal_class.__hash__ = object.__hash__
    setattr(signal_class, PROXY_ATTRIBUTE, _aldis_signal)
    for named in _classes(signal_class, "NamedSignal"):
        if "__repr__" in vars(named):
            del named.__repr__


def _prepare(self: Any, doc: str | None) -> None:
    if doc:
        self.__doc__ = doc
    kind: Any = type(self)
    if not _is_moved(kind):
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


def _str(self: Any) -> str:
    return str(_aldis_signal(self))


def _reduce(self: Any) -> Any:
    return _aldis_signal(self).__reduce__()


# The bodies of blinker's methods. The parameters have blinker's names. The defaults stay blinker's.


def _init(self: Any, doc: str | None) -> None:
    _aldis_init(self, doc)  # type: ignore[name-defined]  # noqa: F821 - among blinker's globals


def _connect(self: Any, receiver: Any, sender: Any, weak: Any, **options: Any) -> Any:
    return _aldis_signal(self).connect(receiver, sender, weak, **options)


def _connect_via(self: Any, sender: Any, weak: Any, **options: Any) -> Any:
    return _aldis_signal(self).connect_via(sender, weak, **options)


def _connected_to(self: Any, receiver: Any, sender: Any, **options: Any) -> Iterator[None]:
    with _aldis_signal(self).connected_to(receiver, sender, **options):
        yield None


def _muted(self: Any) -> Iterator[None]:
    with _aldis_signal(self).muted():
        yield None


def _send(self: Any, sender: Any, /, *, _async_wrapper: Any, **kwargs: Any) -> Any:
    signal = _aldis_signal(self)  # not an override of one object, which may have called this
    return type(signal).send(signal, sender, _async_wrapper=_async_wrapper, **kwargs)


async def _send_async(self: Any, sender: Any, /, *, _sync_wrapper: Any, **kwargs: Any) -> Any:
    return await _aldis_signal(self).send_async(sender, _sync_wrapper=_sync_wrapper, **kwargs)


def _has_receivers_for(self: Any, sender: Any) -> bool:
    return _aldis_signal(self).has_receivers_for(sender)


def _receivers_for(self: Any, sender: Any) -> Iterator[Any]:
    signal = _aldis_signal(self)  # not an override, which may have called this
    yield from type(signal).receivers_for(signal, sender)


def _disconnect(self: Any, receiver: Any, sender: Any, **options: Any) -> None:
    _aldis_signal(self).disconnect(receiver, sender, **options)


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


def _extend_namespace_class(blinkers: Any) -> None:
    """Let new namespaces of blinker's class be aldis's."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        dict.__init__(self, *args, **kwargs)
        if type(self) is blinkers:
            self.__class__ = Namespace
        namespace.register(self, sys._getframe(1).f_globals.get("__name__", "__main__"))

    blinkers.__init__ = init
    setattr(blinkers, _KEY, None)


def _rebase_namespace_classes(blinkers: Any) -> None:
    """Let the subclasses of blinker's class inherit from aldis's instead."""
    for each in type.__subclasses__(blinkers):
        each.__bases__ = tuple(Namespace if base is blinkers else base for base in each.__bases__)


def _move_namespace(space: Any) -> None:
    """Give a namespace of blinker an aldis class, and list it with the others."""
    if not isinstance(space, Namespace):
        space.__class__ = Namespace
    if "__module__" not in vars(space):  # another thread may have made it a moment ago
        namespace.register(space, _home(space))
    for signal in list(space.values()):
        behind: Any = _aldis_signal(signal)
        behind._namespace = ref(space)  # noqa: SLF001 - part of the same engine


def _join_default_namespaces(space: Any) -> None:
    """Let blinker's and aldis's default namespaces have the same signals."""
    for name, signal in list(space.items()):
        ours: Any = real_sender(default_namespace.get(name))
        if ours is None:
            default_namespace[name] = signal
            ours = _aldis_signal(signal)
        else:
            _create(signal, ours)
        ours._namespace = ref(default_namespace)  # noqa: SLF001 - part of the same engine
    space.clear()
    space.__class__ = _DefaultNamespace


def _signal(self: Any, name: str, doc: str | None) -> Any:
    return _aldis_named(self, name, doc)  # type: ignore[name-defined]  # noqa: F821 - among blinker's globals


def _named(space: Any, name: str, doc: str | None) -> Any:
    if type(space) is _DefaultNamespace:
        space = default_namespace
    return Namespace.signal(space, name, doc)


def _home(space: Any) -> str:
    """Return the name of the module that has the namespace as a global."""
    modules: list[tuple[str, Any]] = list(sys.modules.items())  # a program may put anything there
    for name, module in modules:
        held = _globals_of(module) if issubclass(type(module), ModuleType) else {}
        if any(each is space for each in held.values()):
            return name
    return "blinker.base"


#: The methods of blinker in which aldis lets callers leave out the receiver.
_WITHOUT_RECEIVER: Final = ("Signal.connect", "Signal.disconnect")

#: The functions of blinker whose code aldis replaces, by qualified name.
_BODIES: Final[dict[str, Callable[..., Any]]] = {
    "Namespace.signal": _signal,
    "Signal.__init__": _init,
    "Signal.connect": _connect,
    "Signal.connect_via": _connect_via,
    "Signal.connected_to": _connected_to,
    "Signal.muted": _muted,
    "Signal.send": _send,
    "Signal.send_async": _send_async,
    "Signal.has_receivers_for": _has_receivers_for,
    "Signal.receivers_for": _receivers_for,
    "Signal.disconnect": _disconnect,
    "Signal._disconnect": _forget,
    "Signal._cleanup_bookkeeping": _cleanup_bookkeeping,
    "Signal._clear_state": _clear_state,
    "Signal.receiver_connected": _receiver_connected,
    "Signal.receiver_disconnected": _receiver_disconnected,
}
