# pyright: strict
"""Code that type checkers must refuse: mypy and pyright, in each line marked E and in no other.

The code never runs.
"""

from decimal import Decimal
from typing import assert_type

from flask import Flask, Response

from aldis import current_signal
from aldis.flask import request_finished as flask_finished
from aldis.flask_login import user_logged_in
from aldis.receivers import after_commit, once, robust
from tests.typing.lamps import Branch, Elsewhere, order_paid, page_shown, price_asked

branch = Branch()
two = Decimal(2)

# -- sending ---------------------------------------------------------------------------------------

order_paid.send(branch, order_id="7", total=two)  # E: a wrong type
order_paid.send(branch, order_id=7)  # E: a missing argument
order_paid.send(branch, order_id=7, totl=two)  # E: a misspelt argument
order_paid.send(branch, order_id=7, total=two, gift=True)  # E: an argument that is not declared
order_paid.send(branch, 7, total=two)  # E: an argument by position
order_paid.send(Elsewhere(), order_id=7, total=two)  # E: a wrong sender
order_paid.send(order_id=7, total=two)  # E: no sender
order_paid.send(sender=branch, order_id=7, total=two)  # E: the sender by name
order_paid.send_robust(branch, order_id="7", total=two)  # E: a wrong type
order_paid.send_robust(branch, order_id=7)  # E: a missing argument
order_paid.send_robust(branch, order_id=7, totl=two)  # E: a misspelt argument
order_paid.send_robust(Elsewhere(), order_id=7, total=two)  # E: a wrong sender
page_shown.send("anything", user="john")  # E: a missing argument, where more may be sent


async def sends_async() -> None:
    """Send with mistakes, with the async methods."""
    await order_paid.asend(branch, order_id="7", total=two)  # E: a wrong type
    await order_paid.asend(branch, order_id=7)  # E: a missing argument
    await order_paid.asend_robust(branch, order_id=7, totl=two)  # E: a misspelt argument
    await order_paid.send_async(Elsewhere(), order_id=7, total=two)  # E: a wrong sender


# -- what is returned ------------------------------------------------------------------------------

number: int = price_asked.send(branch, order_id=7)[0][1]  # E: a Decimal is not an int
price: Decimal = price_asked.send_robust(branch, order_id=7)[0].value  # E: it may have raised
assert_type(price_asked.send_robust(branch, order_id=7)[0].unwrap(), str)  # E: it is a Decimal

# -- receivers -------------------------------------------------------------------------------------


def takes_nothing() -> None:
    """Take no sender."""


def takes_the_sender(sender: Branch) -> None:
    """Take the sender alone."""


def takes_another_sender(sender: Elsewhere, **extra: object) -> None:
    """Take a sender of another type."""


def takes_a_part(sender: Branch, *, order_id: int, total: Decimal) -> None:
    """Leave out an argument."""


def takes_another_type(sender: Branch, *, order_id: str, **extra: object) -> None:
    """Take an argument of another type."""


def takes_more(sender: Branch, *, unsent: int, **extra: object) -> None:
    """Ask for an argument that is never sent."""


def needs_the_optional(sender: Branch, *, note: str, **extra: object) -> None:
    """Need an argument that may be left out."""


def returns_something(sender: Branch, **extra: object) -> int:
    """Return something where nothing may be."""
    return 7


async def returns_something_later(sender: Branch, **extra: object) -> int:
    """Return a value from a coroutine."""
    return 7


order_paid.connect(takes_nothing)  # E
order_paid.connect(takes_the_sender)  # E
order_paid.connect(takes_another_sender)  # E
order_paid.connect(takes_a_part)  # E
order_paid.connect(takes_another_type)  # E
order_paid.connect(takes_more)  # E
order_paid.connect(needs_the_optional)  # E
order_paid.connect(returns_something)  # E
order_paid.connect(returns_something_later)  # E
order_paid.connect("no function")  # E
order_paid.connect(print)  # E: it takes anything, but not by these names
order_paid.connect(takes_the_sender, sender=branch, weak=False)  # E
order_paid.connect(sender=branch)(takes_another_type)  # E
order_paid.connect_via(branch)(takes_another_sender)  # E
order_paid.subscribe(takes_a_part)  # E
order_paid.connected_to(takes_more)  # E


@order_paid.connect  # E: the decorator, a missing ``**extra``
def decorated(sender: Branch, *, order_id: int) -> None:
    """Take some of the arguments."""


@order_paid.connect(sender=branch)  # E: the decorator for a sender, a missing ``**extra``
def decorated_for_a_sender(sender: Branch, *, order_id: int) -> None:
    """Take some of the arguments."""


@order_paid.connect_via(branch)  # E: blinker's decorator, a wrong type
async def decorated_via(sender: Branch, *, order_id: str, **extra: object) -> None:
    """Take another type."""


# -- delivery modes --------------------------------------------------------------------------------


@robust
def steady(sender: Branch, *, order_id: str, **extra: object) -> None:
    """Take another type, robustly."""


@once
def first(sender: Branch, *, order_id: int) -> None:
    """Take some of the arguments, once."""


@once()
def first_with_parentheses(sender: Branch, *, order_id: int) -> None:
    """Take some of the arguments, once."""


@after_commit
def settled(sender: Branch, *, order_id: str, **extra: object) -> None:
    """Take another type, after the commit."""


@after_commit(session="a session")
def settled_there(sender: Branch, *, order_id: int) -> None:
    """Take some of the arguments, after the commit of a session."""


settled(branch, order_id=7)  # E
settled_there(branch)  # E
order_paid.connect(settled)  # E
order_paid.connect(settled_there)  # E
after_commit(7)  # E: not a function
after_commit(session="a session")(7)  # E: not a function
steady(branch, order_id=7)  # E: a delivery mode keeps the signature of its receiver
first(branch)  # E
order_paid.connect(steady)  # E: and the contract checks this signature
order_paid.connect(first_with_parentheses)  # E: no order_total
order_paid.connect(first)  # E
robust(7)  # E: not a function


# -- the options of a connection -------------------------------------------------------------------


@order_paid.connect(senders=7)  # E: not a list
def from_a_number(sender: Branch, **extra: object) -> None:
    """Take any arguments."""


order_paid.connect(from_a_number, dispatch_uid=7)  # E: not a text
order_paid.connect(from_a_number, branch, True, ["x"])  # E: by keyword only
order_paid.subscribe(from_a_number, senders=[branch])  # E: a handle has one sender
order_paid.disconnect(dispatch_uid=7)  # E
current_signal(order_paid)  # E: it takes no argument


# -- the signals of libraries ----------------------------------------------------------------------


@flask_finished.connect  # E: Flask sends a response
def finished(sender: Flask, resp: Response) -> None:
    """Take another argument."""


flask_finished.send(7)  # E: not an app
user_logged_in.connect_via(7)(finished)  # E: a receiver of another signal
flask_finished.explain("app").wrong()  # E: an explanation does not have this method
