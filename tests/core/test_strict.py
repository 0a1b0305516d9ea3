"""Strict mode has three warnings. Each has a category and the line of the caller."""

import asyncio
import sys
import warnings
from decimal import Decimal
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest

import aldis
from aldis.errors import AldisWarning, StrictWarning
from aldis.receivers import robust
from tests.core.support import Recorder, line_of, run_python


def receive(sender, **extra):
    """Receive anything."""


@pytest.fixture
def order_paid(shop):
    """Give a signal with a contract."""

    @shop.define
    def order_paid(sender, /, *, order_id: int, lines: list, note: str = "") -> None: ...

    return order_paid


def here():
    """Return the line that calls."""
    return sys._getframe(1).f_lineno


def caught(work):
    """Call ``work`` and return the texts and locations of its strict warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        work()
    assert {StrictWarning} >= {each.category for each in seen}
    return [(str(each.message), each.filename, each.lineno) for each in seen]


class TestSwitch:
    def test_set_strict_returns_the_previous_setting(self):
        """``set_strict`` returns whether it was on before."""
        assert not aldis.set_strict()
        assert aldis.core.is_strict()
        assert aldis.set_strict(False)
        assert not aldis.core.is_strict()

    @pytest.mark.parametrize(("value", "strict"), [("1", True), ("0", False), ("", False)])
    def test_the_environment_turns_it_on(self, value, strict):
        """``ALDIS_STRICT=1`` turns strict mode on at import."""
        printed = run_python("import aldis.core; print(aldis.core.is_strict())", ALDIS_STRICT=value)
        assert str(strict) == printed

    def test_its_warnings_have_a_separate_category(self):
        """A filter can select the warnings of strict mode."""
        assert issubclass(StrictWarning, AldisWarning)
        assert issubclass(AldisWarning, UserWarning)

    def test_without_strict_mode_no_warning_is_given(self, order_paid):
        """Without strict mode, none of the three mistakes causes a warning."""

        def work():
            order_paid.connect(lambda sender, **extra: None)
            order_paid.connect(lambda sender, lines, **extra: lines.append(1), weak=False)
            order_paid.send("shop", lines=[], wrong="argument")

        assert [] == caught(work)


OBITUARY = (
    "an unnamed signal: {who}, {kind}, was connected weakly and died before it was ever "
    "called; keep a reference to it or connect it with weak=False"
)


def describe(receiver):
    """Return the name and the location of a receiver."""
    if isinstance(receiver, partial):
        return f"partial(receive) ({line_of(receive)})"
    if isinstance(receiver, Recorder):
        return f"Recorder object ({line_of(Recorder.__call__)})"
    function = getattr(receiver, "__func__", getattr(receiver, "__wrapped__", receiver))
    return f"{function.__qualname__} ({line_of(function)})"


def _local():
    def receiver(sender):
        """Receive."""

    return receiver


@pytest.mark.usefixtures("strict")
class TestReceiversThatDieBeforeTheirFirstCall:
    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (lambda: lambda sender: None, "a lambda"),
            (lambda: partial(receive), "a partial"),
            (lambda: Recorder().__call__, "a method of a temporary object"),
            (_local, "a local function"),
            (Recorder, "a temporary object"),
            (lambda: robust(receive), "a temporary object"),
        ],
        ids=["lambda", "partial", "method", "local", "object", "delivery"],
    )
    def test_each_kind_is_reported_with_its_location(self, signal, make, kind):
        """At the send's line, the warning names the receiver, its location and the remedy."""
        receiver = make()
        facts = {"signal": signal, "who": describe(receiver), "kind": kind}
        signal.connect(receiver)
        del receiver
        lines = []

        def work():
            lines.append(here() + 1)
            signal.send()

        seen = caught(work)
        assert [(OBITUARY.format(**facts), __file__, lines[0])] == seen
        assert [] == caught(work)

    def test_a_receiver_that_was_called_may_die(self, signal):
        """The death of a receiver that was called causes no warning."""

        def work():
            receiver = _local()
            signal.connect(receiver)
            signal.send()
            del receiver
            signal.send()

        assert [] == caught(work)

    def test_strong_and_global_receivers_cause_no_warning(self, signal):
        """Strong receivers, functions of modules and disconnected receivers cause no warning."""

        def work():
            receiver = _local()
            signal.connect(receiver)
            signal.connect(lambda sender: None, weak=False)
            signal.connect(receive)
            signal.disconnect(receiver)
            del receiver
            signal.send()

        assert [] == caught(work)

    def test_warnings_are_in_the_order_of_the_deaths(self, signal):
        """Several deaths are reported in the order in which they happened."""

        def work():
            signal.connect(partial(receive))
            signal.connect(lambda sender: None)
            signal.send()

        assert ["a partial", "a lambda"] == [
            kind
            for text, _, _ in caught(work)
            for kind in ("a partial", "a lambda")
            if kind in text
        ]

    def test_a_death_is_not_reported_after_strict_mode_is_turned_off(self, signal):
        """A send reports a death only while strict mode is on."""
        signal.connect(lambda sender: None)
        assert not signal.receivers
        aldis.set_strict(False)
        assert [] == caught(signal.send)


@pytest.mark.usefixtures("strict")
class TestPayloadsThatBreakTheContract:
    @pytest.mark.parametrize(
        ("payload", "problems"),
        [
            ({"order_id": 7, "lines": []}, []),
            ({"order_id": True, "lines": [], "note": "x"}, []),
            ({"lines": []}, ["without 'order_id'"]),
            ({}, ["without 'lines'", "without 'order_id'"]),
            ({"order_id": 7, "lines": [], "colour": 1}, ["with an undeclared 'colour'"]),
            (
                {"order_id": "7", "lines": ()},
                [
                    "with 'order_id' of type str instead of int",
                    "with 'lines' of type tuple instead of list",
                ],
            ),
        ],
    )
    def test_each_problem_causes_a_warning_at_the_send(self, order_paid, payload, problems):
        """A missing, undeclared or wrongly typed argument only causes a warning."""
        heard, lines = Recorder(), []
        order_paid.connect(heard)

        def work():
            lines.append(here() + 1)
            order_paid.send("shop", **payload)

        contract = order_paid.contract
        texts = [f"order_paid was sent {each}; its contract is {contract}" for each in problems]
        seen = caught(work)
        assert [(text, __file__, lines[0]) for text in texts] == seen
        assert [payload] == heard.payloads

    @pytest.mark.parametrize("how", ["send", "send_robust", "asend", "asend_robust", "send_async"])
    @pytest.mark.parametrize(
        ("sender", "problem"),
        [
            ((), "without a sender"),
            ((None,), "without a sender"),
            ((7,), "by the sender 7, which is not of type Decimal"),
            ((Decimal(1),), None),
        ],
    )
    def test_a_wrong_sender_causes_a_warning(self, shop, how, sender, problem):
        """Each method that sends checks the sender against the contract."""

        @shop.define
        def weighed(sender: Decimal, /): ...

        def work():
            sent = getattr(weighed, how)(*sender)
            if how not in ("send", "send_robust"):
                asyncio.run(sent)

        texts = [text for text, *_ in caught(work)]
        assert [] == texts if problem is None else (len(texts) == 1 and problem in texts[0])

    def test_a_default_makes_the_sender_optional(self, shop):
        """A contract with a default for the sender allows a send without it."""

        @shop.define
        def weighed(sender: Decimal = None, /): ...  # noqa: RUF013 - without `| None`

        assert [] == caught(weighed.send)

    def test_an_open_contract_allows_more(self, shop):
        """If the contract has ``**extra``, no argument counts as undeclared."""

        @shop.define
        def order_paid(sender, /, **extra: Any) -> None: ...

        assert [] == caught(lambda: order_paid.send("shop", colour="red"))

    @pytest.mark.parametrize(
        ("annotation", "value", "fits"),
        [
            (float, 1, True),
            (float, "1", False),
            (list[int], "no list", False),
            (list[int], ["no number"], True),
            (int | None, "neither", False),
            (int | None, None, True),
            (Literal["deep", "flat"], "round", False),
            (type[Exception], ValueError, True),
            (type[Exception], ValueError(), False),
            (NewType("Depth", int), "1", False),
            (TypeVar("T", bound=int), "1", False),
            ("Unknown", 7, True),
            (Any, object(), True),
            (type("Speaks", (Protocol,), {}), object(), True),
            (TypedDict("Lamp", {"depth": int}), 7, True),
            (bytes, bytearray(), False),
        ],
    )
    def test_a_type_is_checked_as_far_as_isinstance_can(self, shop, annotation, value, fits):
        """Strict mode does not check protocols, unknown types and the items of containers."""

        def lit(sender, /, *, depth): ...

        lit.__annotations__ = {"depth": annotation}
        signal = shop.define(lit)
        assert fits is not bool(caught(lambda: signal.send("shop", depth=value)))

    async def test_async_sends_are_checked(self, order_paid):
        """``asend`` warns at the line that sends."""
        with warnings.catch_warnings(record=True, action="always") as seen:
            line = here() + 1
            await order_paid.asend("shop", lines=[])
        [warning] = seen
        assert "was sent without 'order_id'" in str(warning.message)
        assert (__file__, line) == (warning.filename, warning.lineno)

    def test_a_signal_without_a_contract_is_not_checked(self, signal):
        """A signal without a contract accepts every payload."""
        assert [] == caught(lambda: signal.send("shop", anything=1))


CHANGES = {
    "list": ([1], lambda value: value.append(2)),
    "dict": ({1: 2}, lambda value: value.update({3: 4})),
    "set": ({1}, lambda value: value.add(2)),
    "bytearray": (bytearray(b"a"), lambda value: value.extend(b"b")),
    "dict's list": ({1: [2]}, lambda value: value[1].append(3)),
    "list's set": ([{1}], lambda value: value[0].clear()),
}


@pytest.mark.usefixtures("strict")
class TestReceiversThatChangeTheirArguments:
    @pytest.fixture
    def lit(self, shop):
        """Give a signal with one argument of any type."""

        @shop.define
        def lit(sender, /, *, value: Any) -> None: ...

        return lit

    @pytest.mark.parametrize("name", CHANGES)
    def test_a_changed_container_is_reported(self, lit, name):
        """The warning names the receiver with its line, the argument, and both remedies."""
        value, change = CHANGES[name]
        kind = type(value).__name__

        def modify(sender, value):
            change(value)

        bystander = Recorder()
        lit.connect(bystander)
        lit.connect(modify)
        lit.connect(bystander.__call__)
        lines = []

        def work():
            lines.append(here() + 1)
            lit.send("shop", value=value)

        text = (
            f"lit: receiver {modify.__qualname__} ({line_of(modify)}) changed the {kind} "
            "'value' that it was handed; work on a copy, or declare the signal with "
            "define(mutable=True)"
        )
        seen = caught(work)
        assert [(text, __file__, lines[0])] == seen

    @pytest.mark.parametrize(
        "value",
        [1, "text", [1, [2]], {1: {2: 3}}, {1, "a"}, float("nan"), [float("nan")], object(), None],
    )
    def test_an_unchanged_argument_is_not_reported(self, lit, value):
        """A receiver that only reads its argument causes no warning."""
        lit.connect(Recorder(), weak=False)
        assert [] == caught(lambda: lit.send("shop", value=value))

    def test_objects_of_other_types_may_be_changed(self, lit):
        """A change of an object that is not a built-in container causes no warning."""

        class Basket(list):
            pass

        lit.connect(lambda sender, value: value.append(1), weak=False)
        assert [] == caught(lambda: lit.send("shop", value=Basket()))

    def test_a_container_that_holds_itself(self, lit):
        """Strict mode can compare a container that contains itself."""
        value = []
        value.append(value)
        assert [] == caught(lambda: lit.send("shop", value=value))

    def test_a_mutable_signal_may_be_changed(self, shop):
        """``define(mutable=True)`` turns this check off. The contract is still checked."""

        @shop.define(mutable=True)
        def collect(sender, /, *, lines: list) -> None: ...

        collect.connect(
            lambda sender, **sent: [each.append(1) for each in sent.values()], weak=False
        )
        assert [] == caught(lambda: collect.send("shop", lines=[]))
        assert 1 == len(caught(lambda: collect.send("shop")))

    async def test_async_sends_are_checked(self, lit):
        """A change by an async receiver is reported."""

        @lit.connect
        async def modify(sender, value):
            value.append(1)

        with pytest.warns(StrictWarning, match="changed the list 'value'"):
            await lit.asend("shop", value=[])

    def test_a_change_before_an_error_is_reported(self, lit):
        """In a robust send, a receiver that changes and then raises is reported."""

        def modify(sender, value):
            value.append(1)
            raise ValueError("lamp out")

        lit.connect(modify)
        assert 1 == len(caught(lambda: lit.send_robust("shop", value=[])))


class TestLocations:
    def test_a_package_whose_name_begins_with_aldis_is_not_aldis(self, tmp_path):
        """The warning has the line of the user's package, although its path begins like aldis's."""
        copytree(Path(aldis.__file__).parent, tmp_path / "aldis")
        user = tmp_path / "aldis_lamps.py"
        user.write_text("def light(signal):\n    signal.send(wrong=1)\n", encoding="utf-8")
        printed = run_python(
            f"""
            import sys, warnings
            sys.path.insert(0, {str(tmp_path)!r})
            import aldis, aldis_lamps

            aldis.set_strict()
            signal = aldis.Namespace().define(lambda sender, /: None)
            with warnings.catch_warnings(record=True) as seen:
                aldis_lamps.light(signal)
            print(seen[0].filename, seen[0].lineno)
            """
        )
        assert f"{user} 2" == printed


class TestAFunctionAsTheSender:
    def test_connect_via_without_parentheses(self, strict, signal):
        """``@signal.connect_via`` connects nothing, so strict mode names the two right forms."""
        with pytest.warns(StrictWarning) as caught:

            @signal.connect_via
            def receive(sender): ...

        assert "write @signal.connect, or @signal.connect_via(sender)" in str(caught[0].message)
        assert __file__ == caught[0].filename


class TestSpeedOfSends:
    """Strict mode slows down only the signals that it can check."""

    def runs_in_the_call_loop(self, signal):
        """Return whether the last send ran in the call loop, without the slow path."""
        signal.send("north")
        signal.send("north")
        return signal._routes.everyone is not None

    def test_a_signal_without_anything_to_check_is_as_fast_as_before(self, strict, signal):
        """The signal has no contract and no receiver that can die by accident."""
        signal.connect(repr, weak=False)
        assert self.runs_in_the_call_loop(signal)

    def test_a_contract_is_checked_only_while_strict_mode_is_on(self, order_paid):
        """Sends of a signal with a contract are slow only while strict mode is on."""
        assert self.runs_in_the_call_loop(order_paid)
        before = aldis.set_strict()
        try:
            with pytest.warns(StrictWarning):
                assert not self.runs_in_the_call_loop(order_paid)
        finally:
            aldis.set_strict(before)
        assert self.runs_in_the_call_loop(order_paid)

    def test_the_check_of_a_receiver_ends_with_its_first_call(self, strict, signal):
        """A receiver that was called may die, so later sends need no check."""
        signal.send("north")
        receiver = lambda sender: None
        signal.connect(receiver)
        assert signal._routes.everyone is None
        assert self.runs_in_the_call_loop(signal)
