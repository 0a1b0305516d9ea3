"""Mocks, patches and introspection work on aldis's signals as on blinker's."""

import doctest
import functools
import inspect
import pickle
import sys
import typing
from abc import ABC, abstractmethod
from unittest.mock import DEFAULT, MagicMock, Mock, create_autospec, patch, sentinel

import pytest

import aldis
from aldis import NamedSignal, Signal
from aldis.core import COMPILED
from tests.core.support import Sender, load_blinker

in_c_only = pytest.mark.skipif(not COMPILED, reason="the Python engine has no method in C")


def receive(sender, **extra):
    """Receive anything."""
    return "received"


def values(results):
    """Return what the receivers returned."""
    return [value for _, value in results]


@pytest.fixture(params=["aldis", "blinker"])
def lib(request):
    """Give aldis and blinker. Both must behave alike."""
    return aldis if request.param == "aldis" else load_blinker()


@pytest.fixture
def signals(lib):
    """Give signals of each kind. Each has a receiver and has been sent."""

    class Sub(lib.Signal):
        """A subclass."""

    made = [lib.Signal(), lib.Namespace().signal("paid"), Sub()]
    for each in made:
        each.connect(receive)
        each.connect(receive, "north")
        assert ["received"] == values(each.send("north"))
        assert ["received"] == values(each.send("north"))
    return made


class TestPatchingTheClass:
    """A patch of the class applies to existing and new signals, and ends with its block."""

    def _after(self, lib, signals):
        for each in [*signals, lib.Signal(), lib.Namespace().signal("later")]:
            each.connect(receive)
            assert ["received"] == values(each.send("north"))
            assert ["received"] == values(each.send("north"))

    def test_send_with_autospec(self, lib, signals):
        """``autospec=True`` gets the signal as the first argument, and checks the arguments."""
        with patch.object(lib.Signal, "send", autospec=True, return_value=[]) as send:
            for each in [*signals, lib.Signal()]:
                assert [] == each.send("north", number=7)
                send.assert_called_with(each, "north", number=7)
                with pytest.raises(TypeError):
                    each.send("north", "south")
        self._after(lib, signals)

    def test_send_with_the_original(self, lib, signals):
        """The original function can be called with the signal as its first argument."""
        original = lib.Signal.send
        with patch.object(lib.Signal, "send", autospec=True, side_effect=original) as send:
            for each in signals:
                assert ["received"] == values(each.send("north", number=7))
            assert len(signals) == send.call_count
        assert original is lib.Signal.send
        self._after(lib, signals)

    @pytest.mark.parametrize("name", ["send", "connect", "disconnect", "receivers_for"])
    def test_any_method_with_a_mock(self, lib, signals, name):
        """A mock without a spec can replace a method."""
        with patch.object(lib.Signal, name, return_value=[]) as method:
            for each in signals:
                assert [] == getattr(each, name)("north")
                method.assert_called_with("north")
        self._after(lib, signals)

    @pytest.mark.parametrize("how", ["autospec", "mock", "function"])
    def test_receivers_for(self, lib, signals, how):
        """A send calls the receivers that a patched ``receivers_for`` returns."""

        def other(sender, **extra):
            return "other"

        replacement = {
            "autospec": {"autospec": True, "return_value": [other]},
            "mock": {"return_value": [other]},
            "function": {"new": lambda self, sender: [other]},
        }[how]
        with patch.object(lib.Signal, "receivers_for", **replacement):
            for each in [*signals, lib.Signal()]:
                assert ["other"] == values(each.send("north"))
                assert ["other"] == values(each.send("north"))
        self._after(lib, signals)

    def test_receivers_for_of_a_subclass(self, lib, signals):
        """A patch of a subclass applies to its signals only."""
        paid = signals[1]
        with patch.object(lib.NamedSignal, "receivers_for", return_value=[]):
            assert [] == paid.send("north")
            assert ["received"] == values(signals[0].send("north"))
            with patch.object(lib.Signal, "receivers_for", return_value=[]):
                assert [] == signals[0].send("north")
            assert [] == paid.send("north")
            assert ["received"] == values(signals[0].send("north"))
        self._after(lib, signals)

    def test_setting_and_restoring_by_hand(self, lib, signals):
        """A tool saves ``Signal.send``, sets its own function, and sets the saved one again."""
        saved, seen = lib.Signal.send, []

        def send(self, *args, **kwargs):
            seen.append(self)
            return saved(self, *args, **kwargs)

        lib.Signal.send = send
        try:
            for each in signals:
                assert ["received"] == values(each.send("north"))
        finally:
            lib.Signal.send = saved
        assert signals == seen
        self._after(lib, signals)
        assert signals == seen

    def test_nested_patches(self, lib, signals):
        """The end of an inner patch leaves the outer one in place."""
        with patch.object(lib.Signal, "send", return_value=1):
            with patch.object(lib.Signal, "send", return_value=2):
                assert 2 == signals[0].send()
            assert 1 == signals[0].send()
        self._after(lib, signals)

    def test_several_at_once(self, lib, signals):
        """``patch.multiple`` replaces several methods."""
        with patch.multiple(lib.Signal, send=DEFAULT, connect=DEFAULT) as mocks:
            signals[0].send("north")
            signals[0].connect(receive)
        mocks["send"].assert_called_once_with("north")
        mocks["connect"].assert_called_once_with(receive)
        self._after(lib, signals)

    def test_connect_sees_every_connection(self, lib, signals):
        """``connect_via`` and ``connected_to`` call a patched ``connect``."""
        original, seen = lib.Signal.connect, []

        def connect(self, receiver, *args, **kwargs):
            seen.append(receiver)
            return original(self, receiver, *args, **kwargs)

        with patch.object(lib.Signal, "connect", connect):
            signals[0].connect(receive)
            signals[0].connect_via("south")(receive)
            with signals[0].connected_to(receive, "east"):
                pass
        assert [receive] * 3 == seen

    def test_wrapt(self, lib, signals):
        """A wrapper with ``__get__``, like wrapt's, wraps the method of the class."""

        class FunctionWrapper:
            def __init__(self, wrapped, wrapper):
                self.__wrapped__ = wrapped
                self._wrapper = wrapper

            def __get__(self, instance, owner):
                wrapped = self.__wrapped__.__get__(instance, owner)
                return functools.partial(self._wrapper, wrapped, instance)

        def wrapper(wrapped, instance, *args, **kwargs):
            seen.append(instance)
            return wrapped(*args, **kwargs)

        seen = []
        # wrapt looks for the attribute in the dicts of the classes.
        [owner] = [each for each in lib.Signal.__mro__ if "send" in vars(each)][:1]
        original = vars(owner)["send"]
        lib.Signal.send = FunctionWrapper(original, wrapper)
        try:
            for each in signals:
                assert ["received"] == values(each.send("north", number=7))
        finally:
            lib.Signal.send = original
        assert signals == seen
        self._after(lib, signals)


class TestPatchingASignal:
    @pytest.mark.parametrize("name", ["send", "connect", "receivers_for", "has_receivers_for"])
    @pytest.mark.parametrize("autospec", [True, None])
    def test_a_method(self, lib, signals, name, autospec):
        """A patch of one signal applies to this signal only, and ends with its block."""
        one, other, _ = signals
        with patch.object(one, name, autospec=autospec, return_value=[]) as method:
            assert [] == getattr(one, name)("north")
            method.assert_called_once_with("north")
            assert ["received"] == values(other.send("north"))
        assert name not in vars(one)
        assert ["received"] == values(one.send("north"))
        assert ["received"] == values(one.send("north"))

    @pytest.mark.parametrize(("name", "value"), [("is_muted", True), ("receivers", {})])
    def test_an_attribute(self, lib, signals, name, value):
        """A patch of ``is_muted`` or ``receivers`` is undone."""
        for each in signals:
            with patch.object(each, name, value):
                assert [] == each.send("north")
            assert ["received"] == values(each.send("north"))

    def test_the_doc(self, lib, signals):
        """A patch of ``__doc__`` is undone."""
        with patch.object(signals[0], "__doc__", "another"):
            assert "another" == signals[0].__doc__
        assert "another" != signals[0].__doc__


class TestMocks:
    def test_create_autospec_of_the_class(self, lib):
        """An autospec of the class makes signals whose methods check their arguments."""
        mock = create_autospec(lib.Signal)
        signal = mock("A doc.")
        signal.send.return_value = []
        assert [] == signal.send()
        assert [] == signal.send("north", number=7)
        signal.send.assert_called_with("north", number=7)
        signal.connect(receive, sender="north")
        with pytest.raises(TypeError):
            signal.connect(1, 2, 3, 4)
        with pytest.raises(TypeError):
            signal.send("north", "south")
        with pytest.raises(AttributeError):
            signal.sned("north")
        assert isinstance(signal, lib.Signal)

    def test_create_autospec_of_a_signal(self, lib):
        """An autospec of a signal has its methods and its name."""
        mock = create_autospec(lib.Namespace().signal("paid"))
        mock.send.return_value = []
        assert [] == mock.send("north", number=7)
        mock.send.assert_called_once_with("north", number=7)
        assert isinstance(mock, lib.NamedSignal)
        with pytest.raises(AttributeError):
            mock.sned("north")

    @pytest.mark.parametrize("kind", [Mock, MagicMock])
    def test_wraps(self, lib, kind):
        """A mock that wraps a signal passes calls on to it."""
        signal = lib.Signal()
        mock = kind(wraps=signal)
        mock.connect(receive)
        assert ["received"] == values(mock.send("north"))
        mock.send.assert_called_once_with("north")

    @pytest.mark.parametrize("kind", [Mock, MagicMock])
    def test_spec(self, lib, kind):
        """A mock with a signal as its spec is a signal to ``isinstance``."""
        mock = kind(spec=lib.Signal())
        assert isinstance(mock, lib.Signal)
        mock.send("north")
        with pytest.raises(AttributeError):
            mock.sned("north")

    def test_a_mock_as_receiver(self, lib):
        """Mocks are receivers, strong and weak ones."""
        signal, mock = lib.Signal(), Mock(return_value=sentinel.value)
        signal.connect(mock)
        assert [(mock, sentinel.value)] == signal.send("north", number=7)
        mock.assert_called_once_with("north", number=7)

    @in_c_only
    def test_an_autospec_cannot_check_the_bound_send_of_the_c_engine(self):
        """An autospec of a *signal* cannot check the arguments of ``send`` in the C engine.

        mock checks whether the attribute is a function or method of Python. In the C engine, it
        is a method of C, because that is the fastest call. Use an autospec of the class.
        """
        mock = create_autospec(Signal())
        mock.send("north", "south")
        assert "builtin_function_or_method" == type(Signal().send).__name__


METHODS = [
    "asend",
    "connect",
    "connect_via",
    "connected_to",
    "disconnect",
    "explain",
    "has_receivers_for",
    "muted",
    "receivers_for",
    "send",
    "send_async",
    "send_robust",
    "subscribe",
]


class TestIntrospection:
    @pytest.mark.parametrize("name", METHODS)
    @pytest.mark.parametrize("owner", [Signal, NamedSignal])
    def test_a_method_of_the_class(self, owner, name):
        """Each method has a signature, a source, a file, types and a doc, and can be pickled."""
        method = getattr(owner, name)
        assert "self" == next(iter(inspect.signature(method).parameters))
        assert f"def {name}(" in inspect.getsource(method)
        assert inspect.getfile(method).endswith(".py")
        assert inspect.isfunction(method)
        assert isinstance(typing.get_type_hints(method), dict)
        assert inspect.getdoc(method)
        assert name == method.__name__
        assert method is pickle.loads(pickle.dumps(method))  # noqa: S301 - the test pickles the method itself
        assert method is functools.wraps(method)(lambda: None).__wrapped__

    @pytest.mark.parametrize("name", METHODS)
    def test_a_method_of_a_signal(self, name):
        """A bound method has a signature, a doc and a name."""
        method = getattr(Signal(), name)
        assert "self" not in inspect.signature(method).parameters
        assert inspect.getdoc(method)
        assert name == method.__name__
        assert callable(functools.wraps(method)(lambda: None))

    def test_the_signature_of_send(self, lib):
        """``send`` has the parameters of blinker's ``send``."""
        for send in (lib.Signal.send, lib.Signal().send):
            parameters = list(inspect.signature(send).parameters.values())
            kinds = [(each.name, each.kind.name, each.default) for each in parameters]
            assert [
                ("sender", "POSITIONAL_ONLY", None),
                ("_async_wrapper", "KEYWORD_ONLY", None),
                ("kwargs", "VAR_KEYWORD", inspect.Parameter.empty),
            ] == [each for each in kinds if each[0] != "self"]

    def test_the_class(self):
        """The class has a source, a file, a module and the usual attributes."""
        assert inspect.getsource(Signal).startswith("class Signal(")
        assert inspect.getfile(Signal).endswith("signal.py")
        assert inspect.getmodule(Signal) is sys.modules["aldis.core.signal"]
        assert inspect.isclass(Signal)
        assert {"connect", "disconnect", "receivers_for", "send"} <= set(vars(Signal))
        assert {name for name, _ in inspect.getmembers(Signal)} >= set(METHODS)
        assert {name for name, _ in inspect.getmembers(Signal())} >= set(METHODS)
        assert doctest.DocTestFinder().find(Signal, "Signal", sys.modules["aldis.core.signal"])
        assert "send" in {each.name for each in inspect.classify_class_attrs(Signal)}

    @in_c_only
    def test_the_source_of_a_bound_send_of_the_c_engine(self):
        """A bound ``send`` has no source file: it is a method of C. The class shows a function."""
        with pytest.raises(TypeError):
            inspect.getfile(Signal().send)
        assert inspect.getfile(Signal.send).endswith("signal_type.py")
        assert {} == typing.get_type_hints(Signal().send)


class TestSubclasses:
    def test_an_abstract_class(self, lib):
        """A subclass may be an ABC."""

        class Base(lib.Signal, ABC):
            @abstractmethod
            def purpose(self):
                """Return the purpose."""

        class Full(Base):
            def purpose(self):
                """Return the purpose."""

        with pytest.raises(TypeError):
            Base()
        assert isinstance(Full(), lib.Signal)

    def test_a_protocol(self):
        """A subclass may implement a protocol."""

        class Named(typing.Protocol):
            name: str

        class Full(Signal, Named):
            name = "full"

        full = Full()
        full.connect(receive)
        assert ["received"] == values(full.send())
        assert isinstance(full, Signal)
        assert not isinstance(Sender(), Signal)
        assert issubclass(Full, Signal)

    def test_a_subclass_may_use_send_of_signal(self):
        """A class body and an assignment may use ``Signal.send``."""

        class Silent(Signal):
            def send(self, *args, **kwargs):
                return []

        class Loud(Silent):
            send = Signal.send

        loud, silent = Loud(), Silent()
        for each in (loud, silent):
            each.connect(receive)
        assert ["received"] == values(loud.send("north"))
        assert [] == silent.send("north")
        Silent.send = Signal.send
        assert ["received"] == values(silent.send("north"))

    def test_super(self):
        """``super().send`` and ``Signal.send(self)`` reach the engine."""

        class Twice(Signal):
            def send(self, sender=None, /, **kwargs):
                return [*super().send(sender, **kwargs), *Signal.send(self, sender, **kwargs)]

        twice = Twice()
        twice.connect(receive)
        assert ["received"] * 2 == values(twice.send("north", number=7))
