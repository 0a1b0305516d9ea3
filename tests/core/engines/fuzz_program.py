"""Random programs in which foreign code interferes with a signal. A seed makes a program.

``run(seed)`` runs a program and returns its visible results. Receivers, senders, metaclasses,
finalizers, weakref callbacks and keyword names are the foreign code. Each acts when aldis calls
it. It connects, disconnects, sends, mutes, initializes the signal again, runs the garbage collector
or raises.

A seed gives the same program in every process. Each piece of foreign code has a separate random
generator for its actions, and the garbage collector runs only at the actions that collect.
In a *tame* program only receivers act, so both engines must give equal results. In a *wild* program
everything acts, and the engines may call a metaclass a different number of times.

As a script, this module reads seeds from standard input and writes a JSON document for each.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import warnings
import weakref
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from random import Random
from typing import Any, Final

import aldis
from aldis.core import Observer, attach, detach, set_strict
from aldis.receivers import once, robust

MOST_ACTIONS: Final = 150
DEEPEST: Final = 5

RECEIVERS: Final = 8
SENDERS: Final = 12
NAMES: Final = ("a", "b", "sender_", "_async_wrapper", "x1", "x2", "x3", "x4", "x5", "x6", "x7")


class Failure(Exception):  # noqa: N818 - an intended error
    """A receiver raises this."""


class World:
    """Signals, receivers and senders, and the actions on them.

    Args:
        seed: The number of the program.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wild = bool(seed % 2)
        self.actions = 0
        self.depth = 0
        self.calls: dict[str, int] = {}
        self.log: list[Any] = []
        self.refs: list[Any] = []
        self.observer = Observer()
        self.signals = [aldis.Signal(), aldis.Signal()]
        self.things: dict[str, Any] = {}
        self.open = ExitStack()
        for number in range(RECEIVERS):
            self.renew("receiver", number)
        for number in range(SENDERS):
            self.renew("sender", number)

    # -- foreign code --------------------------------------------------------------------------

    def act(self, who: str, *, often: bool = False) -> None:
        """Run a random action, or none, for a piece of foreign code."""
        if self.actions >= MOST_ACTIONS or self.depth >= DEEPEST:
            return
        count = self.calls[who] = self.calls.get(who, 0) + 1
        random = Random(f"{self.seed} {who} {count}")
        if not often and random.random() < 0.6:
            return
        self.depth += 1
        try:
            for _ in range(random.randint(1, 2)):
                self.step(random)
        finally:
            self.depth -= 1

    def act_if_wild(self, who: str) -> None:
        """Run a random action if this program is wild."""
        if self.wild:
            self.act(who)

    def step(self, random: Random) -> Any:
        """Run one random action."""
        self.actions += 1
        actions = TAME + WILD + SCENES if self.wild else TAME
        return random.choice(actions)(self, random)

    def signal(self, random: Random) -> Any:
        """Choose a signal."""
        return self.signals[random.random() < 0.2]

    def receiver(self, random: Random) -> Any:
        """Choose a receiver. It may be dead."""
        return self.things.get(f"receiver {random.randrange(RECEIVERS)}", _substitute)

    def sender(self, random: Random) -> Any:
        """Choose a sender. It may be dead."""
        return self.things.get(f"sender {random.randrange(SENDERS)}")

    def renew(self, kind: str, number: int) -> None:
        """Replace a receiver or a sender with a new one, and let the old one die."""
        makers = MAKE_RECEIVER if kind == "receiver" else MAKE_SENDER
        who = f"{kind} {number}"
        made = makers[number % len(makers)](self, who)
        if self.wild:
            with suppress(TypeError):
                self.refs.append(weakref.ref(made, lambda _: self.act(f"callback of {who}")))
        self.things[who] = made

    def received(self, who: str, payload: dict[str, Any]) -> str:
        """Act in a receiver."""
        self.log.append((who, len(payload)))
        self.act(who)
        count = self.calls.get(who, 0)
        if Random(f"{self.seed} {who} raises {count}").random() < 0.15:
            raise (Failure(who) if count % 7 else KeyboardInterrupt(who))
        return who

    def name(self, value: Any) -> Any:
        """Return a text for a result that is equal in every process."""
        if isinstance(value, (list, tuple)):
            return [self.name(each) for each in value]
        if isinstance(value, aldis.Outcome):
            return [self.name((value.receiver, value.value)), type(value.error).__name__]
        if value is None or type(value) in (str, int, bool):
            return value
        return next((who for who, each in self.things.items() if each == value), "something")

    def end(self) -> None:
        """Release all signals, receivers and senders."""
        self.open.close()
        detach(self.observer)
        set_strict(False)
        self.things.clear()
        self.signals.clear()
        gc.collect()
        gc.collect()
        self.actions = MOST_ACTIONS


# -- receivers -----------------------------------------------------------------------------------


def _substitute(sender: Any = None, **payload: Any) -> None:
    """Receive instead of a receiver that is dead."""


def _function(world: World, who: str) -> Any:
    return lambda sender=None, **payload: world.received(who, payload)


class Actor:
    """Acts when it is called, and in a wild program when it dies."""

    def __init__(self, world: World, who: str) -> None:
        self.world = world
        self.who = who

    def __call__(self, sender: Any = None, **payload: Any) -> str:
        """Receive."""
        return self.world.received(self.who, payload)

    def method(self, sender: Any = None, **payload: Any) -> str:
        """Receive by a method."""
        return self.world.received(self.who, payload)

    def __del__(self) -> None:
        if self.world.wild:
            self.world.refs.append(weakref.ref(self.world.signals[0]) if self.world.signals else 0)
            self.world.act(f"finalizer of {self.who}")


class WithDeliveryMode(Actor):
    """A receiver with a delivery mode that acts when it is connected."""

    def __bind_signal__(self, signal: Any) -> Any:
        self.world.act_if_wild(f"binding of {self.who}")
        return self.method


def _method(world: World, who: str) -> Any:
    actor = Actor(world, who)
    world.things[f"object of {who}"] = actor
    return actor.method


def _cycle(world: World, who: str) -> Any:
    actor: Any = Actor(world, who)
    actor.itself = [actor, world.signals[0]]
    return actor


async def _coroutine(sender: Any = None, **payload: Any) -> str:
    return "awaited"


MAKE_RECEIVER: Final[list[Callable[[World, str], Any]]] = [
    _function,
    _method,
    _cycle,
    WithDeliveryMode,
    lambda world, who: partial(Actor(world, who)),
    lambda world, who: robust(Actor(world, who)),
    lambda world, who: once(Actor(world, who)),
    lambda world, who: world.signals[1].send if world.seed % 3 else partial(_coroutine),
]


# -- senders -------------------------------------------------------------------------------------


def _acting_class(world: World, who: str) -> Any:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            world.act_if_wild(f"attribute of {who}")
            return super().__getattribute__(name)

        def __getattr__(cls, name: str) -> Any:
            world.act_if_wild(f"missing attribute of {who}")
            raise AttributeError(name)

        def __instancecheck__(cls, instance: Any) -> bool:
            world.act_if_wild(f"instance check of {who}")
            return super().__instancecheck__(instance)

        def __hash__(cls) -> int:
            world.act_if_wild(f"hash of {who}")
            return 1

        def __eq__(cls, other: object) -> bool:
            world.act_if_wild(f"equality of {who}")
            return cls is other

    class Sender(Actor, metaclass=Meta):
        def __hash__(self) -> int:
            world.act_if_wild(f"hash of {who}")
            return 1

        def __eq__(self, other: object) -> bool:
            world.act_if_wild(f"equality of {who}")
            return self is other

    return Sender


def _of_acting_class(world: World, who: str) -> Any:
    return _acting_class(world, who)(world, who)


def _text(world: World, who: str) -> Any:
    class Text(str):
        __slots__ = ()

        def __hash__(self) -> int:
            world.act_if_wild(f"hash of {who}")
            return str.__hash__(self)

        def __eq__(self, other: object) -> bool:
            world.act_if_wild(f"equality of {who}")
            return str.__eq__(self, other) is True

        def __del__(self) -> None:
            world.act_if_wild(f"finalizer of {who}")

    return Text("text")


class Proxy:
    """A proxy of another sender."""

    def __init__(self, world: World, who: str) -> None:
        self.world = world
        self.who = who

    def _get_current_object(self) -> Any:
        self.world.act_if_wild(f"proxy {self.who}")
        if self.world.seed % 5 == 0:
            raise RuntimeError(self.who)
        return self.world.things.get("sender 0")


class Slotted:
    """A sender without weak references."""

    __slots__ = ()


MAKE_SENDER: Final[list[Callable[[World, str], Any]]] = [
    Actor,
    _of_acting_class,
    _text,
    _acting_class,
    Proxy,
    lambda world, who: Slotted(),
    lambda world, who: "text",
    lambda world, who: 1,
    lambda world, who: True,
    lambda world, who: None,
    lambda world, who: [who],
    lambda world, who: aldis.ANY,
]


# -- actions -------------------------------------------------------------------------------------


class Name(str):
    """The name of a keyword argument. It acts when it dies."""

    __slots__ = ()
    world: World

    def __hash__(self) -> int:
        self.world.act("hash of a name")
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __del__(self) -> None:
        self.world.act("finalizer of a name")


def _payload(world: World, random: Random) -> dict[str, Any]:
    names: list[str] = random.sample(NAMES, random.choice([0, 0, 1, 2, 3, 9]))
    payload: dict[str, Any] = {name: random.randrange(3) for name in names}
    if "_async_wrapper" in payload:
        payload["_async_wrapper"] = random.choice([None, _drive])
    if world.wild and random.random() < 0.3:
        acting = type("ActingName", (Name,), {"world": world, "__slots__": ()})
        payload = {acting(name): value for name, value in payload.items()}
        payload["actor"] = Actor(world, "value")
    return payload


def _drive(receiver: Any) -> Any:
    return lambda *args, **kwargs: _await(receiver(*args, **kwargs))


def _await(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError


def _send(world: World, random: Random) -> Any:
    return world.signal(random).send(world.sender(random), **_payload(world, random))


def _send_robust(world: World, random: Random) -> Any:
    return world.signal(random).send_robust(world.sender(random), **_payload(world, random))


def _asend(world: World, random: Random) -> Any:
    payload = _payload(world, random)
    payload.pop("_async_wrapper", None)
    method = random.choice(["asend", "asend_robust"])
    return _await(getattr(world.signal(random), method)(world.sender(random), **payload))


def _send_warm(world: World, random: Random) -> Any:
    signal, sender = world.signal(random), world.sender(random)
    signal.has_receivers_for(sender)  # the next send runs in the call loop
    return signal.send(sender, a=1)


def _send_in_generator(world: World, random: Random) -> Any:
    def generate() -> Any:
        try:
            yield _send(world, random)
        except Failure as failure:
            yield str(failure)

    return list(generate())


def _connect(world: World, random: Random) -> Any:
    weak = random.random() < 0.7
    world.signal(random).connect(world.receiver(random), world.sender(random), weak=weak)


def _connect_any(world: World, random: Random) -> Any:
    world.signal(random).connect(world.receiver(random), weak=random.random() < 0.7)


def _disconnect(world: World, random: Random) -> Any:
    sender = random.choice([aldis.ANY, world.sender(random)])
    world.signal(random).disconnect(world.receiver(random), sender)


def _subscribe(world: World, random: Random) -> Any:
    subscription = world.signal(random).subscribe(
        world.receiver(random), world.sender(random), weak=random.random() < 0.5
    )
    world.open.callback(subscription.cancel)


def _connected_to(world: World, random: Random) -> Any:
    signal = world.signal(random)
    with signal.connected_to(world.receiver(random), world.sender(random)):
        return world.step(random)


def _mute(world: World, random: Random) -> Any:
    with world.signal(random).muted(everywhere=random.random() < 0.5):
        return world.step(random)


def _cancel_all(world: World, random: Random) -> Any:
    world.open.close()


def _drop(world: World, random: Random) -> Any:
    world.things.pop(f"receiver {random.randrange(RECEIVERS)}", None)
    world.things.pop(f"sender {random.randrange(SENDERS)}", None)


def _renew(world: World, random: Random) -> Any:
    world.renew("receiver", random.randrange(RECEIVERS))
    world.renew("sender", random.randrange(SENDERS))


def _collect(world: World, random: Random) -> Any:
    gc.collect()


def _clear(world: World, random: Random) -> Any:
    world.signal(random).receivers.clear()


def _continue(world: World, random: Random) -> Any:
    world.signal(random).continue_on_error = random.random() < 0.5


def _observe(world: World, random: Random) -> Any:
    random.choice([attach, detach])(world.observer)


def _strict(world: World, random: Random) -> Any:
    set_strict(random.random() < 0.5)


def _look(world: World, random: Random) -> Any:
    signal, sender = world.signal(random), world.sender(random)
    return [len(signal.receivers), signal.has_receivers_for(sender), signal.is_muted]


def _initialize_again(world: World, random: Random) -> Any:
    world.signal(random).__init__()


def _new_signal(world: World, random: Random) -> Any:
    world.signals[0] = aldis.Signal()


def _share_routes(world: World, random: Random) -> Any:
    world.signals[0]._routes = world.signals[1]._routes


def _change_class(world: World, random: Random) -> Any:
    sender = world.sender(random)
    if isinstance(sender, Actor):
        sender.__class__ = random.choice([Actor, WithDeliveryMode, type(sender)])


def _interrupt(world: World, random: Random) -> Any:
    raise KeyboardInterrupt


def _connect_while_receiving(world: World, random: Random) -> Any:
    signal = world.signals[0]

    def late(sender: Any = None, **payload: Any) -> str:
        signal.disconnect(late)
        return _send(world, random) and "late"

    signal.connect(late, weak=False)


_SENDS: Final = [_send, _send_warm, _send_robust, _asend, _send_in_generator]
_CONNECTS: Final = [_connect, _connect_any, _subscribe, _connect_while_receiving]
_CHANGES: Final = [
    _disconnect, _connected_to, _mute, _cancel_all, _drop, _renew, _collect, _clear, _continue,
    _observe, _look,
]  # fmt: skip
#: The actions of every program.
TAME: Final[list[Callable[[World, Random], Any]]] = _SENDS * 4 + _CONNECTS * 3 + _CHANGES
#: The additional actions of a wild program.
WILD: Final[list[Callable[[World, Random], Any]]] = [
    _initialize_again, _new_signal, _share_routes, _change_class, _interrupt, _strict, _collect,
]  # fmt: skip


# Rare situations with random details.


def _send_from_changing_class(world: World, random: Random) -> Any:
    """Send from an object whose class dies while aldis looks at it."""
    signal, sender = world.signal(random), world.sender(random)

    class Late:
        def __del__(self) -> None:
            gc.collect()
            world.act("finalizer of a late object")

    class Meta(type):
        def __getattr__(cls, name: str) -> Any:
            thing.__class__ = Actor
            late = Late()  # noqa: F841 - it dies with this frame
            world.act(f"missing attribute of {cls.__name__}")
            raise AttributeError(name)

    signal.connect(world.receiver(random), random.choice([aldis.ANY, sender]))
    signal.has_receivers_for(sender)
    thing = Meta("First", (), {})()
    thing.world, thing.who = world, "changing sender"
    return signal.send(thing)


def _send_with_names(world: World, random: Random) -> Any:
    """Send with names that send when they die, because the names of the next send replace them."""
    signal = world.signal(random)
    signal.connect(world.receiver(random), weak=False)
    signal.has_receivers_for(1)

    class Sending(Name):
        __slots__ = ()

        def __del__(self) -> None:
            if world.actions < MOST_ACTIONS:
                world.actions += 1
                signal.send(1, _async_wrapper=None, only=1)

    Sending.world = world
    for count in (random.randrange(1, 10), random.randrange(1, 10)):
        names = {f"name{number}": number for number in range(count)}
        signal.send(1, **{Sending("_async_wrapper"): None, **names})
    return signal.send(1, _async_wrapper=None, only=1)


def _send_while_clearing(world: World, random: Random) -> Any:
    """Let a finalizer send through a signal that the collector is clearing."""
    refs: list[Any] = []

    class Late:
        def __del__(self) -> None:
            for each in refs:
                if (signal := each()) is not None:
                    with suppress(Exception):
                        signal.send(random.choice(["north", 0.5, None]), a=1)
                    world.act("finalizer of a late object")

    class Maker:
        def __init__(self, target: Any) -> None:
            self.target = target

        def __del__(self) -> None:
            refs.append(weakref.ref(self.target))  # too late for the collector to clear it

    late = [Late(), Late(), Late()]
    gc.freeze()  # the collector must clear their holders before it finalizes them
    signal: Any = aldis.Signal()
    signal.maker = Maker(signal)
    signal.connect(world.receiver(random), random.choice([aldis.ANY, "north"]), weak=False)
    signal.send()
    signal.has_receivers_for(random.choice([0.5, "north"]))
    # The collector clears objects in the order in which it last visited them.
    root = [signal, signal._routes]
    while late:
        between: list[Any] = [late.pop()]
        between.append(between)
        root.append(between)
    random.shuffle(root)
    del signal, between
    gc.collect()
    root.clear()
    gc.collect()


SCENES: Final[list[Callable[[World, Random], Any]]] = [
    _send_from_changing_class, _send_with_names, _send_while_clearing,
]  # fmt: skip


# -- running -------------------------------------------------------------------------------------


def run(seed: int) -> list[Any]:
    """Run the program ``seed``. Return its visible results, or an empty list if it is wild."""
    world = World(seed)
    results = []
    random = Random(seed)
    for _ in range(random.randint(5, 30)):
        world.actions = 0
        try:
            results.append(world.name(world.step(random)))
        except BaseException as error:  # noqa: BLE001 - foreign code raises any exception
            results.append(type(error).__name__)
        with suppress(BaseException):
            results.append([len(signal.receivers) for signal in world.signals])
    try:
        world.end()
    except BaseException as error:  # noqa: BLE001 - foreign code raises any exception
        results.append(type(error).__name__)
    world.actions = MOST_ACTIONS
    gc.collect()
    return [] if world.wild else [results, world.log]


def main() -> None:
    """Run a program for each line of standard input."""
    logging.disable()
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    gc.disable()
    say = partial(print, flush=True)
    say(json.dumps(aldis.COMPILED))
    for number, line in enumerate(sys.stdin):
        if number % 100 == 0:
            gc.unfreeze()  # a program may have frozen its garbage
            gc.collect()
            gc.freeze()  # a collection then visits the objects of the program only
        say(json.dumps(run(int(line)), default=str))


if __name__ == "__main__":
    main()
