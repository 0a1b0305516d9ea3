"""aldis takes blinker's place after blinker was imported: blinker's objects work on aldis."""

import textwrap

import pytest

from tests.core.support import run_python


@pytest.fixture(params=["C engine", "Python engine"])
def engine(request):
    """Give the environment that selects each engine."""
    return {} if request.param == "C engine" else {"ALDIS_NO_EXTENSIONS": "1"}


def run(program, **environment):
    """Run a program whose checks are assertions."""
    assert "" == run_python(textwrap.dedent(program), **environment)


class TestReferences:
    def test_every_way_to_hold_a_signal_reaches_aldis(self, engine):
        """A global, a closure, a default, a tuple, a key, a local variable: each stays valid."""
        run(
            """
            from functools import partial
            import blinker
            from blinker import Namespace, signal

            lit = Namespace().signal("lit")
            connect, send = lit.connect, partial(lit.send, "lamp")
            pair, table = (lit,), {lit: "lit"}

            class Lamp:
                signal = lit

            def closure():
                return inner()

            def make():
                held = lit
                return lambda: held

            inner = make()

            def default(each=lit):
                return each

            def main():
                local = lit
                import aldis.as_blinker
                from aldis import Signal
                from aldis.receivers import robust

                heard = []

                @connect
                @robust
                def receiver(sender, **extra):
                    heard.append(sender)
                    raise ValueError

                key = next(iter(table))
                for each in (lit, Lamp.signal, closure(), default(), pair[0], key, local):
                    assert isinstance(each, Signal) and isinstance(each, blinker.Signal), each
                    assert each is lit
                    assert table[each] == "lit"
                    assert [row.delivery for row in each.explain().rows] == ["robust"]
                    each.send("market")
                send()
                assert heard == ["market"] * 7 + ["lamp"]

            import logging
            logging.disable()
            main()
            """,
            **engine,
        )

    def test_every_method_that_a_program_holds_reaches_aldis(self, engine):
        """A bound method from before the move does what the method of the aldis signal does."""
        run(
            """
            import asyncio, inspect
            from blinker import ANY, Signal

            lit = Signal()
            names = ["connect", "connect_via", "connected_to", "muted", "send", "send_async",
                     "has_receivers_for", "receivers_for", "disconnect"]
            held = {name: getattr(lit, name) for name in names}
            signatures = {name: inspect.signature(each) for name, each in held.items()}

            import aldis.as_blinker

            for name, before in signatures.items():  # aldis has more options
                now = inspect.signature(held[name]).parameters
                assert list(before.parameters) == list(now)[:len(before.parameters)]
                for each in before.parameters.values():
                    assert each.kind is now[each.name].kind
                    assert each.default in (each.empty, now[each.name].default)
            def receiver(sender, **extra): return 7
            assert held["connect"](receiver) is receiver
            assert held["send"]("lamp", a=1) == [(receiver, 7)]
            assert held["has_receivers_for"](ANY)
            assert list(held["receivers_for"]("lamp")) == [receiver]
            with held["muted"]():
                assert lit.is_muted and held["send"]() == []
            held["disconnect"](receiver, ANY)
            assert not lit.receivers
            with held["connected_to"](receiver, sender="lamp"):
                assert held["send"]("lamp") == [(receiver, 7)] and held["send"]("other") == []
            assert not lit.receivers

            @held["connect_via"]("lamp")
            async def later(sender, **extra): return 8
            assert asyncio.run(held["send_async"]("lamp")) == [(later, 8)]
            """,
            **engine,
        )

    def test_blinkers_any_means_any(self):
        """A module that imported ``ANY`` early can connect with it to old and new signals."""
        run(
            """
            from blinker import ANY, Signal
            old = Signal()
            import aldis.as_blinker
            for lit in (old, aldis.Signal()):
                lit.connect(print, sender=ANY)
                assert [row.sender for row in lit.explain("lamp").rows] == ["any sender"]
                lit.disconnect(print, ANY)
                assert not lit.receivers
            """
        )

    def test_a_signal_can_be_the_sender(self):
        """A receiver of ``receiver_connected`` can ask for one signal, by any of its objects."""
        run(
            """
            from blinker import Signal
            lit, heard = Signal(), []
            import aldis.as_blinker
            @lit.receiver_connected.connect_via(lit)
            def told(signal, receiver, **extra): heard.append(receiver)
            lit.connect(print)
            assert heard == [print]
            """
        )

    def test_a_blinker_that_was_removed_comes_back_as_aldis(self):
        """A program that deletes ``blinker`` from ``sys.modules`` gets aldis again."""
        run(
            """
            import sys, aldis.as_blinker
            import blinker.base
            for name in [each for each in sys.modules if each.partition(".")[0] == "blinker"]:
                del sys.modules[name]
            import blinker.base, blinker._utilities
            assert blinker.Signal is aldis.Signal is blinker.base.Signal
            """
        )


#: Removes a package from ``sys.modules``.
FORGET = """
def forget(package):
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        del sys.modules[name]
"""


class TestReloads:
    """A program removes modules from ``sys.modules`` or reloads them. ``blinker`` stays aldis."""

    def run(self, program):
        """Run a program that can forget packages."""
        run("import importlib, sys" + FORGET + textwrap.dedent(program))

    def test_blinker_is_removed_before(self):
        """Flask's signals belong to a blinker that ``sys.modules`` no longer has."""
        self.run(
            """
            from flask import request_started
            forget("blinker")
            import aldis.as_blinker, blinker
            assert blinker.Signal is aldis.Signal and isinstance(request_started, aldis.Signal)
            """
        )

    def test_blinker_is_there_twice(self):
        """The signals of both copies work on aldis, and their default namespaces are one."""
        self.run(
            """
            from blinker import Signal, signal
            def receiver(sender): return 7
            first, own = signal("lit"), Signal()
            first.connect(receiver)
            forget("blinker")
            import blinker
            def other(sender): return 8
            second = blinker.signal("lit")
            second.connect(other)
            import aldis.as_blinker
            for each in (first, second, aldis.signal("lit")):
                assert each.send() == [(receiver, 7), (other, 8)]
            assert isinstance(own, aldis.Signal)
            """
        )

    def test_blinker_is_reloaded_before(self):
        """The signals from before the reload and those after it work on aldis."""
        self.run(
            """
            import blinker.base
            from flask import request_started
            old = blinker.Signal()
            importlib.reload(blinker.base)
            importlib.reload(blinker)
            new = blinker.Signal()
            import aldis.as_blinker
            for each in (request_started, old, new):
                def receiver(sender): return 7
                each.connect(receiver)
                assert isinstance(each, aldis.Signal) and each.send() == [(receiver, 7)]
            """
        )

    @pytest.mark.parametrize("first", ["aldis.as_blinker", "flask"])
    @pytest.mark.parametrize(
        "change",
        [
            "importlib.reload(sys.modules['blinker']); importlib.reload(aldis.blinker)",
            "forget('blinker'); importlib.reload(aldis.as_blinker)",
            "forget('aldis')",
            "forget('aldis'); forget('blinker')",
            "sys.meta_path.pop(0); forget('blinker'); del sys.modules['aldis.as_blinker']",
        ],
    )
    def test_modules_change_after(self, first, change):
        """``import aldis.as_blinker`` gives aldis again, and Flask runs robust receivers."""
        self.run(
            f"""
            import {first}
            import aldis.as_blinker
            import flask, blinker
            {change}
            import aldis.as_blinker
            import blinker, flask, logging
            from aldis.receivers import robust
            assert blinker.Signal is aldis.Signal
            logging.disable()
            @flask.request_started.connect
            @robust
            def fails(sender): raise ValueError
            assert flask.request_started.send() == [(fails, None)]
            """
        )

    @pytest.mark.parametrize("value", ["None", "types.ModuleType('blinker')"])
    def test_something_else_has_its_name(self, value):
        """An import that a program blocks, and a module without a file, give way to aldis."""
        self.run(
            f"""
            import types
            sys.modules["blinker"] = {value}
            import aldis.as_blinker, blinker
            assert blinker.Signal is aldis.Signal
            """
        )


class TestReceivers:
    def test_they_are_taken_over_in_order_with_sender_and_strength(self, engine):
        """Each subscription keeps its place, its sender, and whether it is weak."""
        run(
            """
            import gc
            from blinker import Signal

            class Lamp:
                def lit(self, sender, **extra): return "method"

            def function(sender, **extra): return "function"
            lamp, other, lit = Lamp(), Lamp(), Signal()
            lit.connect(lamp.lit, sender=other)
            lit.connect(function)
            lit.connect(lambda sender, **extra: "lambda", "harbour", weak=False)
            lit.connect(function, 7)
            lit.connect(lambda sender, **extra: "dead")

            import aldis.as_blinker

            def answers(sender): return [value for _, value in lit.send(sender)]
            assert answers(other) == ["method", "function"]
            assert answers("harbour") == ["function", "lambda"]
            assert answers(7) == answers(None) == ["function"]
            del lamp
            gc.collect()
            assert answers(other) == ["function"]
            del function
            assert answers(other) == [] and answers("harbour") == ["lambda"]
            """,
            **engine,
        )

    def test_a_sender_without_weak_references_is_known_if_that_is_exact(self):
        """A constant has one address, and an odd number is no address: it is an int."""
        run(
            """
            from blinker import Signal
            lit, heard = Signal(), []
            def receiver(sender): heard.append(sender)
            senders = [None, ..., NotImplemented, (), True, "lamp", 7, 5003, -8, -5000]
            for each in senders:
                lit.connect(receiver, each)
            import aldis.as_blinker
            for each in senders:
                lit.send(each)
            lit.send(5004)
            assert heard == senders
            """
        )

    def test_a_receiver_keeps_the_promise_of_its_delivery_mode(self):
        """A robust receiver that connected to blinker is robust after the move."""
        run(
            """
            import logging
            from blinker import Signal
            from aldis.receivers import robust
            lit = Signal()
            @lit.connect
            @robust
            def fails(sender, **extra): raise ValueError
            import aldis.as_blinker
            logging.disable()
            assert lit.send() == [(fails, None)]
            """
        )

    def test_a_relay_stays_a_relay(self):
        """``send`` of one signal, as a receiver of another, runs and can be disconnected."""
        run(
            """
            from blinker import Signal
            source, target, heard = Signal(), Signal(), []
            source.connect(target.send)
            import aldis.as_blinker
            target.connect(lambda sender, **extra: heard.append(sender), weak=False)
            source.send("lamp")
            assert heard == ["lamp"]
            source.disconnect(target.send)
            assert not source.receivers
            """
        )

    def test_meta_signals_keep_their_receivers(self):
        """Who was told of connections before the move is told of them afterwards."""
        run(
            """
            from blinker import Signal
            lit, heard = Signal(), []
            @lit.receiver_connected.connect
            def told(signal, receiver, **extra): heard.append(receiver)
            import aldis.as_blinker
            lit.connect(print)
            assert heard == [print]
            """
        )

    def test_strict_flags_are_those_of_aldis(self):
        """An attribute that the engine reads reaches the aldis signal."""
        run(
            """
            import logging
            from blinker import Signal
            lit, heard = Signal(), []
            import aldis.as_blinker
            logging.disable()
            lit.continue_on_error = True
            @lit.connect
            def fails(sender): raise ValueError
            @lit.connect
            def runs(sender): heard.append(sender)
            try:
                lit.send("lamp")
            except ValueError:
                assert heard == ["lamp"]
            """
        )


class TestRefusals:
    def refused(self, program):
        """Run a program up to its refusal, and return the message."""
        return run_python(
            textwrap.dedent(program)
            + textwrap.dedent(
                """
                import aldis
                try:
                    aldis.install_as_blinker()
                except aldis.errors.StandInError as error:
                    print(error)
                import blinker
                assert blinker.Signal is not aldis.Signal
                assert type(lit).__module__ == "blinker.base"
                lit.is_muted = False
                assert lit.send(sender) == [(receiver, 7)]
                """
            )
        ).splitlines()

    def test_a_sender_that_blinker_does_not_know_any_more(self):
        """The first line names the receiver with its file and line, and the remedy."""
        first, reason = self.refused(
            """
            from blinker import signal
            sender, lit = [], signal("lit")
            def receiver(sender): return 7
            lit.connect(receiver, sender)
            """
        )
        assert first.startswith("<string>:4: receiver (<string>:4) is connected to 'lit'")
        assert "import aldis.as_blinker" in first
        assert "aldis run -- COMMAND" in first
        assert "Reason: blinker no longer knows its sender" in reason

    def test_a_receiver_without_a_file(self):
        """A receiver of C code has no place in a file. The message begins with its name."""
        first, _ = self.refused(
            """
            from blinker import signal
            sender, lit, receiver = [], signal("lit"), print
            lit.connect(print, sender, weak=False)
            lit.send = lambda sender: [(receiver, 7)]
            """
        )
        assert first.startswith("print is connected to 'lit'")

    def test_a_receiver_that_aldis_would_reject(self):
        """What aldis says about the receiver is the reason."""
        _, reason = self.refused(
            """
            from functools import partial, wraps
            from blinker import Signal
            from aldis.receivers import robust
            sender, lit = None, Signal()
            @robust
            def inner(sender): return 7
            @wraps(inner)
            def receiver(sender): return 7
            lit.connect(receiver)
            """
        )
        assert "robust" in reason

    def test_a_signal_that_is_muted(self):
        """A block that mutes a blinker signal must end before the move."""
        (line,) = self.refused(
            """
            from blinker import signal
            sender, lit = None, signal("lit")
            def receiver(sender): return 7
            lit.connect(receiver)
            lit.is_muted = True
            """
        )
        assert line.startswith("'lit' is muted at this moment.")

    def test_another_release_of_blinker(self):
        """A blinker with other classes is not touched."""
        printed = run_python(
            """
            import blinker, aldis
            blinker.__version__ = "2.0"
            del blinker.base.Signal.muted
            try:
                aldis.install_as_blinker()
            except aldis.errors.StandInError as error:
                print(error)
            """
        )
        assert printed.startswith("aldis cannot take over blinker 2.0, which is already imported")


class TestFrozenObjects:
    """``gc.freeze()`` hides objects from ``gc.get_objects()``. Servers call it before they fork."""

    def test_signals_and_namespaces_are_taken_over(self, engine):
        """A frozen signal and a frozen namespace pass for those of aldis before their first use."""
        run(
            """
            import gc
            from blinker import Namespace, Signal, default_namespace, signal
            class Own(Namespace): ...
            lit, space, own, called = Signal(), Namespace(), Own(), signal("called")
            within = space.signal("within")
            def receiver(sender): return 7
            lit.connect(receiver)
            gc.freeze()
            import aldis.as_blinker
            assert isinstance(lit, aldis.Signal) and isinstance(within, aldis.NamedSignal)
            assert isinstance(space, aldis.Namespace)
            assert {id(space), id(own)} <= {id(each) for each in aldis.namespaces()}
            assert within.namespace is space
            assert aldis.signal("called") is called
            assert lit.send() == [(receiver, 7)]
            """,
            **engine,
        )

    def test_a_receiver_that_cannot_be_taken_over_is_refused(self):
        """A frozen signal is checked before anything changes."""
        run(
            """
            import gc
            from blinker import Signal
            lit, sender = Signal(), []
            def receiver(sender): return 7
            lit.connect(receiver, sender)
            gc.freeze()
            import aldis
            try:
                aldis.install_as_blinker()
            except aldis.errors.StandInError as error:
                assert str(error).startswith("<string>:5: receiver")
            else:
                raise AssertionError
            assert type(lit).__module__ == "blinker.base"
            assert lit.send(sender) == [(receiver, 7)]
            """
        )

    def test_they_stay_frozen(self):
        """The move freezes the objects again, and leaves no garbage among them."""
        run(
            """
            import gc, weakref
            from blinker import Signal
            class Cycle:
                def __init__(self): self.me = self
            gc.disable()
            gc.freeze()
            before = gc.get_freeze_count()
            garbage = weakref.ref(Cycle())
            import aldis.as_blinker
            assert gc.get_freeze_count() >= before and not gc.isenabled()
            assert garbage() is None
            """
        )

    def test_a_program_that_does_not_freeze_is_not_frozen(self):
        """Nothing is frozen by the move alone, and automatic collection stays on."""
        run(
            """
            import gc, blinker
            gc.collect()  # since 3.12, it puts aside the immortal objects
            before = gc.get_freeze_count()
            import aldis.as_blinker
            assert gc.get_freeze_count() <= before and gc.isenabled()
            """
        )


class TestClasses:
    def test_a_subclass_of_blinkers_signal_keeps_its_own_methods(self, engine):
        """What a subclass overrides runs, and what it calls of blinker's class reaches aldis."""
        run(
            """
            from blinker import NamedSignal
            class Counted(NamedSignal):
                count = 0
                def send(self, *args, **kwargs):
                    self.count += 1
                    return super().send(*args, **kwargs)
                def receivers_for(self, sender):
                    return reversed(list(super().receivers_for(sender)))
            old = Counted("old")
            import aldis.as_blinker
            def first(sender): return 1
            def second(sender): return 2
            for lit in (old, Counted("new")):
                lit.connect(first)
                lit.connect(second)
                assert lit.send() == [(second, 2), (first, 1)]
                assert (lit.count, lit.name) == (1, lit.name)
                assert isinstance(lit, aldis.NamedSignal)
            """,
            **engine,
        )

    def test_classes_that_were_imported_early_make_signals_of_aldis(self):
        """New signals and namespaces of a module that imported blinker early work on aldis."""
        run(
            """
            from blinker import NamedSignal, Namespace, Signal
            import aldis.as_blinker
            from aldis.receivers import once
            for lit in (Signal("doc"), NamedSignal("lit"), Namespace().signal("lit")):
                assert isinstance(lit, aldis.Signal)
                heard = []
                lit.connect(once(lambda sender: heard.append(sender)), weak=False)
                lit.send("lamp")
                lit.send("lamp")
                assert heard == ["lamp"]
            """
        )

    def test_a_patched_method_is_the_one_that_runs(self):
        """Mocks can replace ``send`` and ``receivers_for`` on an object, and put them back."""
        run(
            """
            from unittest import mock
            from blinker import Signal
            lit = Signal()
            import aldis.as_blinker
            def receiver(sender): return 7
            lit.connect(receiver)
            with mock.patch.object(lit, "send") as send:
                lit.send("lamp")
            send.assert_called_once_with("lamp")
            assert lit.send() == [(receiver, 7)]
            with mock.patch.object(lit, "receivers_for", return_value=[]):
                assert lit.send() == []
            assert lit.send() == [(receiver, 7)]
            original = lit.receivers_for
            lit.receivers_for = lambda sender: list(original(sender)) * 2
            assert len(lit.send()) == 2
            """
        )

    @pytest.mark.parametrize(
        "body",
        [
            "def __init_subclass__(cls, *, topic): ...",
            "def __init_subclass__(cls): made.append(cls)",
            "__slots__ = ('topic',)",
            "def __init__(self): self.topic = 'no call of super().__init__()'",
        ],
    )
    def test_a_subclass_may_have_anything_in_its_body(self, body):
        """The subclass learns of no class that aldis makes, and its signals work on aldis."""
        run(
            f"""
            from blinker import Signal
            made = []
            class Own(Signal):
                {body}
            old = Own()
            import aldis.as_blinker
            for lit in (old, Own()):
                lit.topic = "lamps"
                def receiver(sender): return 7
                lit.connect(receiver)
                assert lit.send() == [(receiver, 7)]
                assert isinstance(lit, aldis.Signal) and type(lit).__mro__.count(Own) == 1
            assert not made
            """
        )

    def test_a_metaclass_does_not_learn_of_the_move(self):
        """A metaclass may count or refuse its classes."""
        run(
            """
            from blinker import Signal
            made = []
            class Meta(type):
                def __new__(meta, name, bases, body):
                    made.append(name)
                    return super().__new__(meta, name, bases, body)
            class Own(Signal, metaclass=Meta): ...
            lit = Own()
            import aldis.as_blinker
            assert isinstance(lit, aldis.Signal) and made == ["Own"]
            """
        )

    @pytest.mark.parametrize("wraps", ["", "@functools.wraps(original)"])
    @pytest.mark.parametrize("name", ["send", "connect"])
    def test_a_method_that_was_replaced_before_is_called(self, name, wraps):
        """A tool that observes a method of the class observes it after the move, and may stop."""
        run(
            f"""
            import functools
            from blinker import Signal
            calls, original = [], Signal.{name}
            {wraps}
            def observed(self, *args, **kwargs):
                calls.append(args)
                return original(self, *args, **kwargs)
            Signal.{name} = observed
            lit = Signal()
            import aldis.as_blinker
            def receiver(sender): return 7
            lit.connect(receiver)
            assert lit.send("lamp") == [(receiver, 7)]
            assert calls == [("lamp",)] if "{name}" == "send" else calls == [(receiver,)]
            Signal.{name} = original
            lit.disconnect(receiver)
            lit.connect(receiver)
            assert lit.send("lamp") == [(receiver, 7)] and len(calls) == 1
            """
        )

    def test_a_mock_is_in_place_during_the_move(self):
        """The methods work after the mock has gone."""
        run(
            """
            from unittest import mock
            from blinker import Signal
            lit, other = Signal(), Signal()
            with mock.patch.object(Signal, "connect"), mock.patch.object(other, "send") as sent:
                import aldis.as_blinker
                other.send("lamp")
                sent.assert_called_once_with("lamp")
            def receiver(sender): return 7
            for each in (lit, other):
                each.connect(receiver)
                assert each.send() == [(receiver, 7)]
            """
        )

    def test_a_mock_of_aldiss_class_reaches_the_early_signals(self):
        """``mock.patch("blinker.Signal.send")`` counts for signals from before the move."""
        run(
            """
            from unittest import mock
            from flask import request_started
            import aldis.as_blinker
            with mock.patch("blinker.Signal.send", return_value="mock") as send:
                assert request_started.send() == "mock"
            assert request_started.send() == []
            """
        )

    def test_a_module_that_imported_a_class_early_tells_what_is_a_signal(self):
        """``isinstance`` with the early name is true for early and late signals."""
        run(
            """
            import blinker as early
            from blinker import ANY, NamedSignal, Namespace, Signal, default_namespace, signal
            class Own(Namespace): ...
            old = signal("old")
            import aldis.as_blinker
            import blinker
            for each in (old, blinker.signal("new"), aldis.Namespace().signal("new")):
                assert isinstance(each, NamedSignal) and isinstance(each, Signal)
                assert isinstance(each, early.NamedSignal) and isinstance(each, blinker.Signal)
            for each in (Own(), aldis.Namespace(), Namespace()):
                assert isinstance(each, Namespace) and each in aldis.namespaces()
            assert ANY is aldis.ANY and default_namespace is aldis.default_namespace
            """
        )

    def test_a_lazy_module_stays_unloaded(self):
        """The move does not look into a module that loads itself when it is used."""
        run(
            """
            import importlib.util, sys
            import blinker
            spec = importlib.util.find_spec("colorsys")
            spec.loader = importlib.util.LazyLoader(spec.loader)
            lazy = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(lazy)
            sys.modules["colorsys"] = lazy
            import aldis.as_blinker
            assert type(lazy).__name__ == "_LazyModule"
            """
        )


class TestNamespaces:
    def test_they_become_namespaces_of_aldis(self):
        """A namespace keeps its identity, is listed with its module, and takes contracts."""
        run(
            """
            import flask.signals
            from flask import request_started
            import aldis.as_blinker
            space = flask.signals._signals
            assert isinstance(space, aldis.Namespace) and space in aldis.namespaces()
            assert (space.__module__, space.home) == ("flask.signals", "_signals")
            assert space["request-started"] is request_started is space.signal("request-started")
            assert request_started.namespace is space
            @space.define
            def lit(sender: object, /, *, lamp: int) -> None: ...
            assert space["lit"] is lit and lit.contract is not None
            """
        )

    def test_the_default_namespaces_are_one(self):
        """``blinker.signal`` and ``aldis.signal`` give one signal for a name, in each direction."""
        run(
            """
            from blinker import default_namespace, signal
            old, both = signal("old"), signal("both")
            @both.connect
            def receiver(sender): return 7
            import aldis
            ours = aldis.signal("both")
            import aldis.as_blinker, blinker
            assert aldis.signal("old") is old is signal("old") is blinker.signal("old")
            assert signal("new") is aldis.signal("new")
            assert set(default_namespace) == set(aldis.default_namespace) == {"old", "both", "new"}
            assert default_namespace["new"] is aldis.signal("new")
            assert ours.send() == [(receiver, 7)] == both.send()
            """
        )


class TestFlask:
    def test_receivers_of_flask_run_on_aldis(self, engine):
        """One import after Flask is enough for delivery modes and ``record``."""
        run(
            """
            import logging
            from flask import Flask, appcontext_tearing_down, request_finished, request_started
            import aldis.flask
            from aldis.receivers import robust
            from aldis.testing import record
            assert aldis.flask.request_finished is request_finished
            assert appcontext_tearing_down.continue_on_error
            app = Flask("shop")
            logging.disable()

            @request_started.connect_via(app)
            @robust
            def fails(sender, **extra): raise ValueError

            with record(request_finished) as sent:
                assert app.test_client().get("/").status_code == 404
            assert sent.once().sender is app
            """,
            **engine,
        )

    def test_quart_after_its_import(self):
        """Quart's signals work on aldis after a late import."""
        pytest.importorskip("quart")
        run(
            """
            import quart
            import aldis.quart
            assert isinstance(quart.signals.request_started, aldis.Signal)
            """
        )


@pytest.mark.slow
def test_a_send_during_the_move_is_complete():
    """Threads that send and connect while aldis takes blinker's place see each receiver once."""
    run(
        """
        import sys, threading
        from blinker import Signal
        sys.setswitchinterval(1e-6)
        signals = [Signal() for _ in range(300)]
        def receiver(sender, **extra): return 7
        for lit in signals:
            lit.connect(receiver)
        stop, wrong = threading.Event(), []
        def work():
            while not stop.is_set():
                for lit in signals:
                    if lit.send("lamp") != [(receiver, 7)]:
                        wrong.append(lit)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for each in threads: each.start()
        import aldis.as_blinker
        stop.set()
        for each in threads: each.join()
        assert not wrong, len(wrong)
        """
    )


class TestPatches:
    def test_the_table_of_receivers(self, engine):
        """Fixtures empty, save, restore and replace ``receivers`` of a signal of blinker."""
        run(
            """
            from unittest.mock import patch
            import blinker

            lit = blinker.Namespace().signal("lit")
            import aldis.as_blinker

            def receiver(sender):
                return "received"

            def values(sender):
                return [value for _, value in lit.send(sender)]

            lit.connect(receiver, "lamp")
            table = lit.receivers
            saved = table.copy()
            table.clear()
            assert values("lamp") == []
            table.update(saved)
            assert values("lamp") == ["received"]
            assert values("flag") == []
            with patch.object(lit, "receivers", {}):
                assert values("lamp") == []
            with patch.object(lit, "is_muted", True):
                assert values("lamp") == []
            with patch.dict(lit.receivers, clear=True):
                assert values("lamp") == []
            assert values("lamp") == ["received"]
            assert lit.receivers is table
            for key in lit.receivers:
                lit.disconnect(key)
            assert values("lamp") == []
            """,
            **engine,
        )


def test_the_options_of_aldis_work_on_a_signal_of_blinker(engine):
    """``dispatch_uid``, ``senders``, ``subclasses`` and ``current_signal`` work after the move."""
    run(
        """
        from blinker import Signal

        lit, out = Signal(), []

        import aldis.as_blinker
        from aldis import current_signal

        for number in (1, 2):
            @lit.connect(sender="lamp", weak=False, dispatch_uid="x")
            def receive(sender, **extra):
                out.append((number, current_signal() == lit))
        lit.send("lamp")
        assert out == [(2, True)], out
        lit.disconnect(dispatch_uid="x")
        assert not lit.receivers
        lit.connect(receive, senders=["a", "b"])
        with lit.connected_to(receive, senders=["c"]):
            assert [len(lit.send(each)) for each in "abcd"] == [1, 1, 1, 0]
        lit.disconnect(receive, senders=["a"])
        assert [len(lit.send(each)) for each in "abcd"] == [0, 1, 0, 0]
        lit.connect_via(int, subclasses=True)(receive)
        assert len(lit.send(bool)) == 1
        """,
        **engine,
    )
