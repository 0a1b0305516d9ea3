"""The contracts of the signals of Flask, Flask-Login, Quart, and of any library (declare)."""

import warnings

import flask
import pytest

import aldis
import aldis.flask
import aldis.flask_login
import aldis.quart
from aldis.errors import ContractError, ContractWarning, StandInError
from tests.fresh import run


def signals_of(module):
    """Return the signals that a module offers."""
    offered = (getattr(module, name) for name in module.__all__)
    return [each for each in offered if isinstance(each, aldis.NamedSignal)]


def connected(signal, receiver, sender=aldis.ANY):
    """Connect and disconnect a receiver, and return the warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        signal.connect(receiver, sender)
    signal.disconnect(receiver)
    assert all(issubclass(each.category, ContractWarning) for each in seen)
    return [str(each.message) for each in seen]


SIGNALS = [
    signal
    for module in (aldis.flask, aldis.flask_login, aldis.quart)
    for signal in signals_of(module)
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
class TestEachSignal:
    def test_warns_about_a_receiver_that_every_send_would_break(self, signal):
        """A receiver with an argument of another name is reported at ``connect``."""

        def bad(sender, resp): ...

        (text,) = connected(signal, bad)
        assert "it requires 'resp', which this signal does not carry" in text

    def test_accepts_the_receivers_that_work(self, signal):
        """``**extra`` and the exact arguments cause no warning."""
        arguments = "".join(f", {name}" for name in signal.contract.payload)
        exact = eval(f"lambda sender{arguments}: None")  # noqa: S307 - a lambda from a list of names
        assert [] == connected(signal, exact)
        assert [] == connected(signal, lambda sender, **extra: None)

    def test_warns_about_a_sender_that_never_sends_it(self, signal):
        """An object that is not of the sender's type is reported at ``connect``."""
        (text,) = connected(signal, lambda sender, **extra: None, sender=7.5)
        assert "would never be called for the sender" in text

    def test_is_the_librarys_own_object_and_documented(self, signal):
        """The contract belongs to the signal that the library sends."""
        assert signal.contract.advisory
        assert signal.documented


@pytest.mark.parametrize("debug", [False, True])
def test_a_request_of_a_correct_app_causes_no_warning(debug, lenient):
    """In strict mode, Flask's own sends fit the contracts."""
    app = flask.Flask("shop")
    app.debug = debug
    app.secret_key = "x"  # noqa: S105 - of a test
    aldis.flask.Aldis(app, strict=True)

    @app.route("/")
    def index():
        flask.flash("hello")
        return flask.render_template_string("{{ 1 }}")

    @aldis.flask.before_render_template.connect
    def add(sender, template, context):
        context["more"] = 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 200 == app.test_client().get("/").status_code
    aldis.flask.before_render_template.disconnect(add)


class TestDeclare:
    def test_gives_an_existing_signal_a_contract(self):
        """The result is the signal itself, with its own doc."""
        library = aldis.Namespace()
        theirs = library.signal("models-committed", "Their doc.")

        @aldis.declare(theirs)
        def models_committed(sender: flask.Flask, /, *, changes: list) -> None:
            """Our doc."""

        assert models_committed is theirs
        assert "Their doc." == theirs.__doc__
        with pytest.warns(ContractWarning, match="it does not take 'changes'"):
            theirs.connect(lambda sender: None, weak=False)

    def test_reports_the_receivers_that_had_connected_before(self):
        """A receiver that is older than the contract is checked, too, with its sender."""
        theirs = aldis.Namespace().signal("saved")
        theirs.connect(lambda sender: None, "a text", weak=False)
        with pytest.warns(ContractWarning, match="for the sender 'a text'.*had connected before"):

            @aldis.declare(theirs)
            def saved(sender: flask.Flask, /) -> None: ...

    def test_can_refuse_instead(self):
        """With ``advisory=False``, a receiver that does not fit is an error."""
        theirs = aldis.Namespace().signal("saved")

        @aldis.declare(theirs, advisory=False)
        def saved(sender: object, /) -> None: ...

        with pytest.raises(ContractError):
            saved.connect(lambda sender, user: None)

    def test_refuses_another_contract(self):
        """A signal has one contract."""
        theirs = aldis.Namespace().signal("saved")

        @aldis.declare(theirs)
        def saved(sender: object, /) -> None: ...

        with pytest.raises(ContractError, match="is declared as"):

            @aldis.declare(theirs)
            def saved_again(sender: object, /, *, row: int) -> None: ...

    def test_refuses_an_object_that_is_not_a_signal(self):
        """The error names the remedy for a signal of blinker."""
        with pytest.raises(StandInError, match=r"import aldis\.as_blinker"):
            aldis.declare(object())


def test_a_library_imported_after_aldis_is_declared_too():
    """The first request declares the signals of libraries that the app has imported late."""
    code = """
        import flask
        from aldis.flask import Aldis
        app = flask.Flask("shop")
        Aldis(app)
        import flask_login
        assert flask_login.user_logged_in.contract is None
        app.test_client().get("/")
        print(flask_login.user_logged_in.contract.name)
    """
    assert "user_logged_in\n" == run(code)
