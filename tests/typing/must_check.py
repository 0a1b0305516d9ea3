# pyright: strict
"""What users write and a type checker has to accept; read by mypy and pyright, never run."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, assert_type

from aldis import ANY, NamedSignal, Namespace, Outcome, Signal, Subscription, signal
from aldis.receivers import after_commit, once, robust
from tests.typing.lamps import Branch, order_paid, page_shown, price_asked, untyped

branch = Branch()
two = Decimal(2)

# -- sending by contract ---------------------------------------------------------------------------

order_paid.send(branch, order_id=7, total=two)
order_paid.send(branch, order_id=7, total=two, note="a gift")
page_shown.send("anything", path="/", user="john", seconds=3)

for _receiver, nothing in order_paid.send(branch, order_id=7, total=two):
    assert_type(nothing, None)
assert_type(price_asked.send(branch, order_id=7), list[tuple[Callable[..., Any], Decimal]])
assert_type(price_asked.send_robust(branch, order_id=7), list[Outcome[Decimal]])
assert_type(price_asked.send_robust(branch, order_id=7)[0].value, Decimal | None)
assert_type(price_asked.send_robust(branch, order_id=7)[0].unwrap(), Decimal)


async def sends_async() -> None:
    """The async ways to send give what the sync ones do."""
    assert_type(
        await price_asked.send_async(branch, order_id=7),
        list[tuple[Callable[..., Any], Decimal]],
    )
    assert_type(
        await price_asked.asend(branch, order_id=7), list[tuple[Callable[..., Any], Decimal]]
    )
    assert_type(await price_asked.asend_robust(branch, order_id=7), list[Outcome[Decimal]])


# -- receivers that fit ----------------------------------------------------------------------------


@order_paid.connect
def exact(sender: Branch, /, *, order_id: int, total: Decimal, note: str = "") -> None:
    """Take exactly what is sent."""


@order_paid.connect
def with_extra(sender: Branch, order_id: int, **extra: object) -> None:
    """Take a part of it, and the rest as it comes."""


@order_paid.connect
def with_any_extra(sender: object, **extra: Any) -> None:
    """Take no part of it by name, from whatever sender."""


@order_paid.connect
def with_defaults(
    sender: Branch, *, order_id: int, total: Decimal, note: str = "none", more: int = 0
) -> None:
    """Take more than is sent, by default."""


@page_shown.connect
def open_ended(sender: object, /, *, path: str, **extra: object) -> None:
    """Fit a contract that lets a send carry more, were it something called ``sender``."""


@price_asked.connect
def price(sender: Branch, *, order_id: int) -> Decimal:
    """Return what the contract asks for."""
    return Decimal(order_id)


@price_asked.connect
async def price_later(sender: Branch, *, order_id: int) -> Decimal:
    """Return the same from a coroutine."""
    return Decimal(order_id)


class Register:
    """Has methods that receive."""

    def paid(self, sender: Branch, **extra: object) -> None:
        """Receive as a method."""

    @robust
    def counted(self, sender: Branch, **extra: object) -> None:
        """Receive as a method with a delivery."""


order_paid.connect(Register().paid)
order_paid.connect(Register().counted)
order_paid.connect(partial(with_extra, note="given"))
order_paid.connect(exact, branch)
order_paid.connect(exact, sender=branch, weak=False)
order_paid.connect(exact, ANY)

# A receiver stays what it is, and can be called as what the contract says.
assert_type(exact(branch, order_id=7, total=two), None)
assert_type(price(branch, order_id=7), Decimal)
asyncio.run(price_later(branch, order_id=7))

# -- decorators for a sender -----------------------------------------------------------------------


@price_asked.connect(sender=branch)
def price_here(sender: Branch, *, order_id: int) -> Decimal:
    """Listen to one sender."""
    return two


@price_asked.connect(sender=branch, weak=False)
async def price_here_later(sender: Branch, *, order_id: int) -> Decimal:
    """Listen to one sender, asynchronously."""
    return two


@price_asked.connect_via(branch)
def price_via(sender: Branch, **extra: object) -> Decimal:
    """Listen to one sender, by blinker's decorator."""
    return two


assert_type(price_here(branch, order_id=7), Decimal)
assert_type(price_via(branch, order_id=7), Decimal)

# -- subscriptions ---------------------------------------------------------------------------------

subscription = order_paid.subscribe(exact, branch)
assert_type(subscription, Subscription)
assert_type(subscription.active, bool)
subscription.cancel()
with price_asked.subscribe(price_later) as entered:
    assert_type(entered, Subscription)
with order_paid.connected_to(with_extra, branch) as nothing_given:
    assert_type(nothing_given, None)
with order_paid.muted(), order_paid.muted(everywhere=False):
    order_paid.disconnect(exact)

# -- deliveries keep the signature of what they decorate -------------------------------------------


@robust
def steady(sender: Branch, *, order_id: int) -> Decimal:
    """Be logged instead of raising."""
    return two


@once
async def first(sender: Branch, *, order_id: int) -> Decimal:
    """Be called once."""
    return two


@order_paid.connect
@once
def welcome(sender: Branch, *, order_id: int, **extra: object) -> None:
    """Be decorated twice."""


@after_commit
def settled(sender: Branch, *, order_id: int) -> Decimal:
    """Be called after the caller's commit."""
    return two


@after_commit(session=lambda: "a session")
async def settled_there(sender: Branch, *, order_id: int) -> Decimal:
    """Be called after the commit of a session that is given."""
    return two


@order_paid.connect
@after_commit(session="a session")
def announce(sender: Branch, *, order_id: int, **extra: object) -> None:
    """Be decorated twice."""


assert_type(steady(branch, order_id=7), Decimal)
assert_type(settled(branch, order_id=7), Decimal)
price_asked.connect(steady)
price_asked.connect(first)
price_asked.connect(settled)
price_asked.connect(settled_there)


async def awaits_receivers() -> None:
    """An async receiver stays one, and is awaited by whoever calls it directly."""
    assert_type(await price_later(branch, order_id=7), Decimal)
    assert_type(await price_here_later(branch, order_id=7), Decimal)
    assert_type(await first(branch, order_id=7), Decimal)


# -- signals without a contract need no annotation, and let everything pass ------------------------

anonymous = Signal()
assert_type(anonymous, Signal[..., Any])
assert_type(Signal(doc="Sent now and then."), Signal[..., Any])
assert_type(NamedSignal("alone"), NamedSignal[..., Any])
assert_type(untyped, NamedSignal[..., Any])
assert_type(signal("default"), NamedSignal[..., Any])
assert_type(Namespace()["some"], NamedSignal[..., Any])


@untyped.connect
def free(sender: str, number: int, *more: str, **rest: bytes) -> list[int]:
    """Receive whatever somebody sends."""
    return [number]


@untyped.connect_via("anybody")
async def free_later(sender: object) -> int:
    """Receive it asynchronously."""
    return 1


untyped.send()
untyped.send("me", number=7, anything=b"goes")
untyped.send("me", _async_wrapper=asyncio.run)
untyped.send_robust("me", number=7)
anonymous.connect(free, sender=7)
anonymous.connect(free_later)
for receiver, answer in anonymous.send("me"):
    assert_type(receiver, Callable[..., Any])
    assert_type(answer, Any)


def takes_any_signal(each: Signal) -> str | None:
    """Take signals with a contract and without."""
    return each.__doc__


takes_any_signal(order_paid)
takes_any_signal(untyped)
