"""Contracts. A function declares one, and ``connect`` checks receivers against it."""

import functools
import warnings
from decimal import Decimal

import pytest

import aldis
from aldis.core.contract import EXAMPLE
from aldis.errors import ContractError, ContractWarning
from tests.core.support import Recorder, exactly, line_of

DECLARED = "order_paid(sender, /, *, order_id: int, total: decimal.Decimal, note: str = '') -> None"


@pytest.fixture
def order_paid(shop):
    """Give a signal with a contract: two required arguments, one optional."""

    @shop.define
    def order_paid(sender, /, *, order_id: int, total: Decimal, note: str = "") -> None:
        """Sent once an order is paid."""

    return order_paid


class TestDefine:
    def test_the_function_is_the_contract(self, shop, order_paid):
        """The signal gets the function's name, docstring and arguments."""
        assert shop["order_paid"] is order_paid
        assert isinstance(order_paid, aldis.NamedSignal)
        assert "Sent once an order is paid." == order_paid.__doc__
        assert ["order_id", "total", "note"] == list(order_paid.contract.payload)
        assert {"order_id", "total"} == order_paid.contract.required
        assert {"order_id": int, "total": Decimal, "note": str} == order_paid.contract.types
        assert DECLARED == str(order_paid.contract)

    def test_define_takes_another_name(self, shop):
        """``define(name=...)`` gives the signal another name than the function's."""

        @shop.define(name="order-paid")
        def order_paid(sender, /) -> None: ...

        assert ["order-paid"] == list(shop)
        assert "order-paid" == order_paid.name

    def test_the_slash_may_be_missing(self, shop):
        """A contract without the slash after the sender is the contract with it."""

        @shop.define
        def order_paid(sender: str, *, order_id: int, **extra) -> None: ...

        assert "order_paid(sender: str, /, *, order_id: int, **extra) -> None" == str(
            order_paid.contract
        )
        assert ["order_id"] == list(order_paid.contract.payload)
        with pytest.raises(ContractError, match=r"does not take 'order_id'; add \*\*extra"):
            order_paid.connect(lambda sender: None)
        received = []
        order_paid.connect(lambda till, **payload: received.append((till, payload)), weak=False)
        order_paid.send("till", order_id=7)
        assert [("till", {"order_id": 7})] == received

    def test_contracts_with_and_without_the_slash_are_equal(self, shop):
        """A module that is loaded again with the slash declares the same contract."""
        shop.define(_function("def f(sender, *, a): ..."))
        shop.define(_function("def f(sender, /, *, a): ..."))

    def test_define_with_empty_parentheses(self, shop):
        """``@shop.define()`` is ``@shop.define``."""

        @shop.define()
        def order_paid(sender, /) -> None: ...

        assert shop["order_paid"] is order_paid

    def test_a_contract_without_a_docstring(self, shop):
        """A signal whose contract has no docstring has no documentation."""

        @shop.define
        def order_paid(sender, /) -> None: ...

        assert not order_paid.documented

    def test_an_existing_signal_gets_the_contract(self, shop):
        """``define`` returns the signal that ``signal`` returned before."""
        early = shop.signal("order_paid", "Early.")

        @shop.define
        def order_paid(sender, /) -> None: ...

        assert early is order_paid
        assert "Early." == order_paid.__doc__

    def test_the_function_is_never_called(self, shop):
        """The body of the contract's function does not run, even when the signal is sent."""

        @shop.define
        def order_paid(sender, /) -> None:
            raise AssertionError

        order_paid.connect(lambda sender: 7, weak=False)
        assert [7] == [value for _, value in order_paid.send()]

    def test_a_contract_can_be_declared_twice(self, shop):
        """A module that is loaded twice declares its signals twice without an error."""

        def declare():
            @shop.define
            def order_paid(sender, /, *, order_id: int) -> None: ...

            return order_paid

        assert declare() is declare()

    def test_a_different_contract_is_refused(self, shop, order_paid):
        """The message shows both contracts and their locations."""

        def other(sender, /, *, order_id: str) -> None: ...

        text = (
            f"order_paid is declared as {DECLARED} ({line_of(order_paid.contract.function)}) "
            f"already; other(sender, /, *, order_id: str) -> None ({line_of(other)}) must take "
            "another name"
        )
        with pytest.raises(ContractError, match=exactly(text)) as raised:
            shop.define(name="order_paid")(other)
        assert isinstance(raised.value, TypeError)
        assert DECLARED == str(order_paid.contract)

    def test_an_unknown_type_in_an_annotation_is_ignored(self, shop):
        """An annotation that cannot be resolved is not an error."""

        @shop.define
        def order_paid(sender, /, *, order_id: "Unknown") -> None: ...  # noqa: F821

        assert {} == order_paid.contract.types

    def test_an_annotation_in_plain_text_is_ignored(self, shop):
        """An annotation that is plain text is left out of the types."""

        @shop.define
        def order_paid(sender, /, *, total: "in whole cents", rate: "1/0") -> None: ...  # noqa: F722

        assert {} == order_paid.contract.types


def _function(source):
    scope = {}
    exec(source, scope)  # noqa: S102 - the test's parameters are source code
    return scope["f"]


class TestRefusedContracts:
    @pytest.mark.parametrize(
        ("source", "problem"),
        [
            ("def f(): ...", f"its first parameter must be the sender: {EXAMPLE}"),
            ("def f(*, a): ...", f"its first parameter must be the sender: {EXAMPLE}"),
            ("def f(*args, a): ...", f"its first parameter must be the sender: {EXAMPLE}"),
            ("def f(**extra): ...", f"its first parameter must be the sender: {EXAMPLE}"),
            ("def f(sender, a): ...", "'a' must be keyword-only: put it after a *"),
            ("def f(sender, /, a): ...", "'a' must be keyword-only: put it after a *"),
            ("def f(sender, a, /): ...", "'a' must be keyword-only: put it after a *"),
            ("def f(sender, /, *a): ...", "*a cannot be sent by name: replace it with a plain *"),
            ("def f(sender, *a, b): ...", "*a cannot be sent by name: replace it with a plain *"),
            (
                "def f(sender, /, *, _async_wrapper): ...",
                "'_async_wrapper' is an argument of send itself",
            ),
            (
                "def f(sender, /, *, _sync_wrapper=None): ...",
                "'_sync_wrapper' is an argument of send itself",
            ),
            (
                "async def f(sender, /): ...",
                "it is async; each receiver decides whether it is async",
            ),
        ],
    )
    def test_a_function_with_unsuitable_parameters_is_refused(self, shop, source, problem):
        """The message names the function, its location and the remedy. No signal is made."""
        function = _function(source)
        text = f"f ({line_of(function)}) cannot be a signal's contract: {problem}"
        with pytest.raises(ContractError, match=exactly(text)):
            shop.define(function)
        assert {} == shop

    @pytest.mark.parametrize(
        ("thing", "what"),
        [
            (7, "an object of type int"),
            (Recorder, "the class Recorder"),
            (Recorder(), "an object of type Recorder"),
            (functools.partial(line_of), "an object of type partial"),
            (Recorder().__call__, "an object of type method"),
            (print, "an object of type builtin_function_or_method"),
        ],
    )
    def test_an_object_that_is_not_a_function_is_refused(self, shop, thing, what):
        """Only a function declared with ``def`` has the needed name and parameters."""
        text = f"a contract is declared by a function, def {EXAMPLE}, not by {what}"
        with pytest.raises(ContractError, match=exactly(text)):
            shop.define(thing)


FITTING = [
    "def f(sender, *, order_id, total, note=''): ...",
    "def f(sender, order_id, total, note=''): ...",
    "def f(sender, total, **extra): ...",
    "def f(sender, **extra): ...",
    "def f(*args, **kwargs): ...",
    "def f(sender, /, **sent): ...",
    "def f(shop=None, *, order_id=1, total=2, note=3, more=4): ...",
    "def f(sender, *more, order_id, **extra): ...",
    "def f(sender, unsent=1, /, *, order_id, total, note=''): ...",
    "async def f(sender, **extra): ...",
]

MISFITTING = {
    "def f(): ...": "it takes no sender; make its first parameter the sender",
    "def f(*, order_id, **extra): ...": "it takes no sender; make its first parameter the sender",
    "def f(**extra): ...": "it takes no sender; make its first parameter the sender",
    "def f(order_id, **extra): ...": (
        "its first parameter gets the sender, but is called 'order_id' like an argument; put a "
        "parameter for the sender before it"
    ),
    "def f(sender, order_id, /, **extra): ...": (
        "it requires 'order_id' by position, but gets only the sender so; remove the /"
    ),
    "def f(sender, *, colour, **extra): ...": (
        "it requires 'colour', which this signal does not carry; give it a default"
    ),
    "def f(sender, note, **extra): ...": (
        "it requires 'note', which a send may leave out; give it a default"
    ),
    "def f(sender, order_id, total): ...": "it does not take 'note'; add **extra",
    "def f(sender): ...": "it does not take 'order_id', 'total', 'note'; add **extra",
    "def f(sender, order_id, /): ...": (
        "it requires 'order_id' by position, but gets only the sender so; remove the /"
    ),
}


class TestReceivers:
    @pytest.mark.parametrize("source", FITTING)
    def test_a_receiver_that_fits_is_connected_and_called(self, order_paid, source):
        """A receiver fits if it takes the payload with and without the optional argument."""
        receiver = _function(source)
        order_paid.connect(receiver)
        if not source.startswith("async"):
            order_paid.send("shop", order_id=7, total=Decimal(3))
            order_paid.send("shop", order_id=7, total=Decimal(3), note="thanks")

    @pytest.mark.parametrize(("source", "problem"), MISFITTING.items())
    def test_a_receiver_that_does_not_fit_is_refused(self, order_paid, source, problem):
        """The message names the receiver with its line, the contract, the argument, the remedy."""
        receiver = _function(source)
        text = f"receiver f ({line_of(receiver)}) does not fit {DECLARED}: {problem}"
        for connect in (
            order_paid.connect,
            order_paid.subscribe,
            order_paid.connect_via("shop"),
            order_paid.connect(sender="shop"),
            lambda receiver: order_paid.connected_to(receiver).__enter__(),
        ):
            with pytest.raises(ContractError, match=exactly(text)):
                connect(receiver)
        assert not order_paid.receivers

    @pytest.mark.parametrize("source", MISFITTING)
    def test_a_send_could_not_call_a_refused_receiver(self, source):
        """Each refused receiver raises TypeError at a send that the contract allows."""
        receiver = _function(source)
        sends = [{"order_id": 7, "total": 3}, {"order_id": 7, "total": 3, "note": ""}]
        with pytest.raises(TypeError):
            [receiver("shop", **payload) for payload in sends]

    def test_bound_arguments_of_methods_and_partials_are_known(self, order_paid):
        """Bound arguments do not count as missing. An object has the parameters of ``__call__``."""

        class Accounts:
            def method(self, sender, order_id, **extra):
                """Receive."""

            def __call__(self, sender):
                """Receive the sender only."""

        def colourful(colour, sender, **extra):
            """Receive."""

        books = Accounts()
        order_paid.connect(books.method)
        order_paid.connect(functools.partial(colourful, "red"), weak=False)
        place = line_of(Accounts.__call__)
        with pytest.raises(
            ContractError, match=starts_exactly(f"{Accounts.__qualname__} object ({place})")
        ):
            order_paid.connect(books)

    def test_a_receiver_with_a_delivery_mode_is_checked_by_its_function(self, order_paid):
        """A decorated receiver must fit the contract like a plain receiver."""
        from aldis.receivers import robust

        @robust
        def receiver(sender, order_id): ...

        with pytest.raises(ContractError, match="it does not take 'total', 'note'"):
            order_paid.connect(receiver)

    def test_a_receiver_without_a_signature_is_accepted(self, order_paid):
        """A receiver without a readable signature is accepted."""
        order_paid.connect(dict)
        assert [dict] == list(order_paid.receivers_for("shop"))

    def test_the_send_of_another_signal_fits(self, order_paid, shop):
        """A signal's ``send`` takes every payload."""
        order_paid.connect(shop.signal("other").send)
        assert 1 == len(order_paid.receivers)

    def test_an_open_contract_needs_receivers_with_extra(self, shop):
        """If the contract has ``**extra``, a receiver must have ``**extra`` too."""

        @shop.define
        def order_paid(sender, /, *, order_id: int, **extra: object) -> None: ...

        order_paid.connect(lambda sender, order_id, **more: None, weak=False)
        with pytest.raises(
            ContractError,
            match=r": a send may carry more arguments than are declared; add \*\*extra$",
        ):
            order_paid.connect(lambda sender, order_id: None)


def starts_exactly(text):
    """Return a pattern for the beginning of a message about a receiver."""
    return exactly(f"receiver {text} does not fit {DECLARED}: ")[:-1]


def _misfit(sender):
    """Take the sender only."""


def _entered(manager):
    manager.__enter__()
    return manager


class TestAdvisory:
    @pytest.mark.parametrize(
        "connect",
        [
            lambda signal: signal.connect(_misfit),
            lambda signal: signal.connect(sender="shop")(_misfit),
            lambda signal: signal.connect_via("shop")(_misfit),
            lambda signal: signal.subscribe(_misfit),
            lambda signal: _entered(signal.connected_to(_misfit)),
        ],
        ids=["connect", "connect(sender=)", "connect_via", "subscribe", "connected_to"],
    )
    def test_a_receiver_that_does_not_fit_is_connected_with_a_warning(self, shop, connect):
        """The warning has the text of the error and the line that connects."""

        @shop.define(advisory=True)
        def order_paid(sender, /, *, order_id: int) -> None: ...

        text = (
            f"receiver _misfit ({line_of(_misfit)}) does not fit order_paid(sender, /, *, "
            "order_id: int) -> None: it does not take 'order_id'; add **extra"
        )
        with pytest.warns(ContractWarning, match=exactly(text)) as caught:
            kept = connect(order_paid)
        assert kept
        assert (1, __file__) == (len(caught), caught[0].filename)
        assert 1 == len(order_paid.receivers)


class TestLateDefinition:
    def test_a_late_definition_warns_about_receivers_that_do_not_fit(self, shop):
        """A definition after its receivers warns at its own line and works."""
        early = shop.signal("order_paid")
        early.connect(_misfit)
        with pytest.warns(ContractWarning) as caught:

            @shop.define
            def order_paid(sender, /, *, order_id: int) -> None: ...

        text = (
            f"receiver _misfit ({line_of(_misfit)}) does not fit {order_paid.contract}: it does "
            "not take 'order_id'; add **extra; it had connected before"
        )
        assert [text] == [str(each.message) for each in caught]
        assert __file__ == caught[0].filename
        assert [_misfit] == list(order_paid.receivers_for("shop"))

    def test_a_late_definition_that_all_receivers_fit_causes_no_warning(self, shop):
        """A late definition causes no warning if every receiver fits."""
        shop.signal("order_paid").connect(Recorder(), weak=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")

            @shop.define
            def order_paid(sender, /, *, order_id: int) -> None: ...

        assert [] == shop.check()


class TestTheSender:
    @pytest.mark.parametrize(
        ("declared", "sender", "fits"),
        [
            (str, "harbour", True),
            (str, 7, False),
            (int, True, True),
            (Decimal, Decimal(1), True),
            (Decimal, Decimal, False),
            (type[Decimal], Decimal, True),
            (type[Decimal], int, False),
            (Decimal | str, 7, False),
            (Decimal | None, None, True),
            (Decimal, None, False),
            (object, None, True),
            ("Unknown", 7, True),
        ],
    )
    def test_connect_refuses_a_sender_of_another_type(self, shop, declared, sender, fits):
        """``connect`` raises ContractError, or warns if the contract is advisory."""

        def paid(sender, /): ...

        paid.__annotations__ = {"sender": declared}
        refused = shop.define(paid)
        advised = shop.define(name="advised", advisory=True)(paid)
        if fits:
            refused.connect(Recorder(), sender, weak=False)
            advised.connect(Recorder(), sender, weak=False)
            return
        connects = (
            lambda: refused.connect(Recorder(), sender, weak=False),
            lambda: refused.connect_via(sender)(Recorder()),
            lambda: refused.subscribe(Recorder(), sender, weak=False),
            lambda: refused.connected_to(Recorder(), sender).__enter__(),
        )
        for connect in connects:
            with pytest.raises(ContractError, match="would never be called for the sender"):
                connect()
        assert not refused.receivers
        with pytest.warns(ContractWarning, match="would never be called for the sender"):
            advised.connect(Recorder(), sender, weak=False)
        assert advised.receivers
        (finding,) = shop.check()
        assert "would never be called for the sender" in finding.problem

    def test_an_unresolvable_annotation_does_not_disable_the_check_of_the_sender(self, shop):
        """A type that only type checkers import does not switch off the check of the sender."""

        def paid(sender, /, *, order): ...

        paid.__annotations__ = {"sender": "Decimal", "order": "Unknown"}
        signal = shop.define(paid)
        with pytest.raises(ContractError, match="connect it for a sender of type Decimal"):
            signal.connect(lambda sender, order: None, "harbour")

    def test_a_class_as_the_sender_gets_a_message_of_its_own(self, shop):
        """The message explains a frequent mistake: the class is given instead of an instance."""

        def paid(sender: Decimal, /): ...

        with pytest.raises(ContractError, match="an instance, and a class is not one"):
            shop.define(paid).connect(Recorder(), Decimal)
