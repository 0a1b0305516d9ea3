# pyright: strict
"""Code that type checkers must accept. mypy and pyright read it; it never runs."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, assert_type

from flask import Flask, Response

from aldis import (
    ANY,
    NamedSignal,
    Namespace,
    Outcome,
    Signal,
    Subscription,
    current_signal,
    declare,
    signal,
)
from aldis.core import Explanation
from aldis.flask import request_finished as flask_finished
from aldis.flask_login import user_logged_in
from aldis.oauth import OAuthBlueprint, providers
from aldis.quart import websocket_received
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
    """The async sends return the same as the sync sends."""
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
    """Take exactly the arguments."""


@order_paid.connect
def with_extra(sender: Branch, order_id: int, **extra: object) -> None:
    """Take some arguments by name, and the others in ``**extra``."""


@order_paid.connect
def with_any_extra(sender: object, **extra: Any) -> None:
    """Take no argument by name, from any sender."""


@order_paid.connect
def with_defaults(
    sender: Branch, *, order_id: int, total: Decimal, note: str = "none", more: int = 0
) -> None:
    """Take more arguments, with defaults."""


@page_shown.connect
def open_ended(sender: object, /, *, path: str, **extra: object) -> None:
    """Fit a contract that allows more arguments, even one named ``sender``."""


@price_asked.connect
def price(sender: Branch, *, order_id: int) -> Decimal:
    """Return the type in the contract."""
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
        """Receive as a method with a delivery mode."""


order_paid.connect(Register().paid)
order_paid.connect(Register().counted)
order_paid.connect(partial(with_extra, note="given"))
order_paid.connect(exact, branch)
order_paid.connect(exact, sender=branch, weak=False)
order_paid.connect(exact, ANY)

# A receiver keeps its type, and can be called as the contract declares.
assert_type(exact(branch, order_id=7, total=two), None)
assert_type(price(branch, order_id=7), Decimal)
asyncio.run(price_later(branch, order_id=7))

# -- decorators for a sender -----------------------------------------------------------------------


@price_asked.connect(sender=branch)
def price_here(sender: Branch, *, order_id: int) -> Decimal:
    """Receive from one sender."""
    return two


@price_asked.connect(sender=branch, weak=False)
async def price_here_later(sender: Branch, *, order_id: int) -> Decimal:
    """Receive from one sender as a coroutine."""
    return two


@price_asked.connect_via(branch)
def price_via(sender: Branch, **extra: object) -> Decimal:
    """Receive from one sender, with blinker's decorator."""
    return two


assert_type(price_here(branch, order_id=7), Decimal)
assert_type(price_via(branch, order_id=7), Decimal)

# -- the options of a connection -------------------------------------------------------------------


@price_asked.connect(senders=[branch, Branch()], dispatch_uid="prices", weak=False)
def price_there(sender: Branch, *, order_id: int) -> Decimal:
    """Receive from two senders."""
    return two


@price_asked.connect_via(Branch, subclasses=True, dispatch_uid="prices")
def price_of_class(sender: Branch, *, order_id: int) -> Decimal:
    """Receive from a class and its subclasses."""
    return two


assert_type(price_there(branch, order_id=7), Decimal)
assert_type(price_asked.connect(price, dispatch_uid="x")(branch, order_id=7), Decimal)
order_paid.connect(exact, senders=(branch,), subclasses=False)
order_paid.subscribe(exact, branch, dispatch_uid="x").cancel()
with order_paid.connected_to(exact, senders={branch}):
    order_paid.disconnect(exact, senders=[branch])
order_paid.disconnect(dispatch_uid="x")
assert_type(current_signal(), Signal[..., Any])

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

# -- delivery modes keep the signature of the receiver ---------------------------------------------


@robust
def steady(sender: Branch, *, order_id: int) -> Decimal:
    """Errors are logged."""
    return two


@once
async def first(sender: Branch, *, order_id: int) -> Decimal:
    """At most one call."""
    return two


@robust()
def steady_with_parentheses(sender: Branch, *, order_id: int) -> Decimal:
    """``robust()`` is the decorator ``robust``."""
    return two


assert_type(steady_with_parentheses(branch, order_id=7), Decimal)


@order_paid.connect
@once()
def welcome_with_parentheses(sender: Branch, *, order_id: int, **extra: object) -> None:
    """``once()`` is the decorator ``once``."""


@order_paid.connect
@once
def welcome(sender: Branch, *, order_id: int, **extra: object) -> None:
    """Two delivery modes."""


@after_commit
def settled(sender: Branch, *, order_id: int) -> Decimal:
    """Called after the caller's commit."""
    return two


@after_commit(session=lambda: "a session")
async def settled_there(sender: Branch, *, order_id: int) -> Decimal:
    """Called after the commit of the given session."""
    return two


@order_paid.connect
@after_commit(session="a session")
def announce(sender: Branch, *, order_id: int, **extra: object) -> None:
    """Two delivery modes."""


assert_type(steady(branch, order_id=7), Decimal)
assert_type(settled(branch, order_id=7), Decimal)
price_asked.connect(steady)
price_asked.connect(first)
price_asked.connect(settled)
price_asked.connect(settled_there)


async def awaits_receivers() -> None:
    """A direct call of an async receiver returns a coroutine."""
    assert_type(await price_later(branch, order_id=7), Decimal)
    assert_type(await price_here_later(branch, order_id=7), Decimal)
    assert_type(await first(branch, order_id=7), Decimal)


# -- signals without a contract need no annotation, and accept everything --------------------------

anonymous = Signal()
assert_type(anonymous, Signal[..., Any])
assert_type(Signal(doc="Sent now and then."), Signal[..., Any])
assert_type(NamedSignal("alone"), NamedSignal[..., Any])
assert_type(untyped, NamedSignal[..., Any])
assert_type(signal("default"), NamedSignal[..., Any])
assert_type(Namespace()["some"], NamedSignal[..., Any])


@untyped.connect
def free(sender: str, number: int, *more: str, **rest: bytes) -> list[int]:
    """Receive any arguments."""
    return [number]


@untyped.connect_via("anybody")
async def free_later(sender: object) -> int:
    """Receive any arguments as a coroutine."""
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


# -- the signals of libraries ----------------------------------------------------------------------


@flask_finished.connect
def finished(sender: Flask, response: Response, **extra: Any) -> None:
    """Take the response."""


@websocket_received.connect_via("hello")
async def received(sender: str | bytes) -> None:
    """Take a message."""


@user_logged_in.connect
def logged_in(sender: object, *, user: Any) -> int:
    """Return anything."""
    return 1


@declare(signal("models-committed"))
def models_committed(sender: Flask, /, *, changes: list[str]) -> None:
    """Give a signal a contract."""


def sends_of_libraries(app: Flask, response: Response) -> None:
    """Use the methods that blinker does not have."""
    assert_type(flask_finished.explain(app), Explanation)
    assert_type(flask_finished.send_robust(app, response=response), list[Outcome[Any]])
    models_committed.send(app, changes=[""])


# -- logins ----------------------------------------------------------------------------------------


class StaffBlueprint(OAuthBlueprint):
    """A subclass."""


def presets() -> None:
    """Create blueprints from presets, by name and by object."""
    github = OAuthBlueprint.from_preset("github", scope="user:email", offline=True)
    assert_type(github, OAuthBlueprint)
    okta = StaffBlueprint.from_preset(providers.OKTA, "staff", domain="dev-123456.okta.com")
    assert_type(okta, StaffBlueprint)
    assert_type(providers.find_preset("github"), providers.Preset)
    assert_type(github.session.userinfo(), dict[str, Any])
    for name, preset in providers.PRESETS.items():
        assert_type(name, str)
        assert_type(preset.documentation, str)
