"""The extension ``Aldis(app)``: strict mode in debug, for any number of apps."""

import gc
import weakref

import flask
import pytest

import aldis
from aldis.core import is_strict
from aldis.core.receiver import name_of, original
from aldis.errors import UnboundSenderError
from aldis.flask import Aldis
from tests.fresh import run

pytestmark = pytest.mark.usefixtures("lenient")


def make_app(**config):
    """Make an app with one page."""
    app = flask.Flask("shop")
    app.config.update(config)
    app.add_url_rule("/", view_func=lambda: "hello")
    return app


class TestRegistration:
    def test_is_among_the_apps_extensions(self):
        """The app knows it by the name that Flask's convention asks for."""
        app = make_app()
        assert Aldis(app) is app.extensions["aldis"]

    def test_a_factory_calls_init_app(self):
        """Made without an app it does nothing; one object serves every app of a factory."""
        extension = Aldis()
        one, two = make_app(), make_app()
        extension.init_app(one)
        extension.init_app(two)
        assert extension is one.extensions["aldis"] is two.extensions["aldis"]

    def test_twice_on_one_app_is_harmless(self):
        """The first stays in its place, and nothing is connected twice."""
        app = make_app()
        extension = Aldis(app)
        extension.init_app(app)
        Aldis(app)
        assert extension is app.extensions["aldis"]
        extension.init_app(app)
        receivers = map(original, flask.request_started.receivers_for(app))
        assert 2 == sum("_update_strict" in name_of(receiver) for receiver in receivers)

    def test_current_app_is_the_app(self):
        """The proxy serves as well; outside of a context it is refused and changes nothing."""
        app = make_app(ALDIS_STRICT=True)
        with pytest.raises(UnboundSenderError):
            Aldis(flask.current_app)
        with app.app_context():
            assert Aldis(flask.current_app) is app.extensions["aldis"]
        assert is_strict()

    def test_keeps_no_app_alive(self):
        """An app that its owner drops is collected, served or not."""
        app = make_app()
        extension = Aldis(app)
        gone = weakref.ref(app)
        del app
        gc.collect()
        assert gone() is None
        assert [] == list(extension._apps)

    def test_listens_no_more_after_the_first_request(self):
        """From the second request on, an app with the extension costs what it costs without."""
        app = make_app()
        signals = (flask.request_started, flask.appcontext_pushed)
        before = [list(signal.receivers_for(app)) for signal in signals]
        Aldis(app)
        assert before != [list(signal.receivers_for(app)) for signal in signals]
        app.test_client().get("/")
        assert before == [list(signal.receivers_for(app)) for signal in signals]


class TestStrictMode:
    def test_is_off_without_debug(self):
        """In production nothing is watched."""
        app = make_app()
        Aldis(app)
        app.test_client().get("/")
        assert not is_strict()

    def test_is_on_in_debug(self):
        """An app that is in debug mode already turns it on at once."""
        app = make_app()
        app.debug = True
        Aldis(app)
        assert is_strict()

    def test_is_on_when_debug_came_later(self):
        """``app.run(debug=True)`` sets it after the extension was made: a context is in time."""
        app = make_app()
        Aldis(app)
        app.debug = True
        assert not is_strict()
        with app.app_context():
            assert is_strict()

    def test_is_on_when_debug_came_after_a_context(self):
        """Also after ``with app.app_context(): create_tables()``: the first request looks again."""
        app = make_app()
        Aldis(app)
        with app.app_context():
            pass
        app.debug = True
        app.test_client().get("/")
        assert is_strict()

    @pytest.mark.parametrize("first", [0, 1])
    def test_each_app_is_looked_at(self, first):
        """Of two apps with one extension, the second's first context counts after the first's."""
        apps = [make_app(), make_app()]
        extension = Aldis()
        for app in apps:
            extension.init_app(app)
        with apps[first].app_context():
            pass
        assert not is_strict()
        apps[1 - first].debug = True
        with apps[1 - first].app_context():
            assert is_strict()

    @pytest.mark.parametrize("debug", [True, False])
    @pytest.mark.parametrize("strict", [True, False])
    def test_the_config_decides_over_debug(self, strict, debug):
        """``ALDIS_STRICT`` in the app's config, set at any time before, is obeyed."""
        app = make_app(ALDIS_STRICT=strict)
        app.debug = debug
        Aldis(app)
        app.test_client().get("/")
        assert strict is is_strict()

    @pytest.mark.parametrize("strict", [True, False])
    def test_the_argument_decides_over_all(self, strict):
        """An explicit ``strict=`` is obeyed whatever the config and debug say."""
        app = make_app(ALDIS_STRICT=not strict)
        app.debug = not strict
        Aldis(app, strict=strict)
        app.test_client().get("/")
        assert strict is is_strict()

    def test_is_never_turned_off(self):
        """Somebody else may want it: ``strict=False`` only means that this app asks for nothing."""
        aldis.set_strict()
        app = make_app()
        Aldis(app, strict=False)
        app.test_client().get("/")
        assert is_strict()

    def test_a_second_extension_may_ask_for_it(self):
        """Served by one without, an app that is served by one with strict mode has it."""
        app = make_app()
        Aldis(app, strict=False)
        Aldis(app, strict=True)
        assert is_strict()


def test_warns_in_a_blueprint_of_a_factorys_app():
    """What strict mode is for: a receiver that breaks a rule in a request is named."""
    printed = run(
        """
        import warnings

        from aldis.flask import Aldis
        from flask import Blueprint, Flask

        from aldis import Namespace

        shop, extension = Namespace(), Aldis()
        bp = Blueprint("shop", __name__)

        @shop.define
        def order_paid(sender, /, *, items: list) -> None: ...

        @order_paid.connect
        def greedy(sender, *, items):
            items.clear()

        @bp.get("/pay")
        def pay():
            order_paid.send("harbour", items=[1])
            return "paid"

        def create_app():
            app = Flask(__name__)
            app.debug = True
            extension.init_app(app)
            app.register_blueprint(bp)
            return app

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            print(create_app().test_client().get("/pay").text)
        print(*[each.message for each in caught])
        """
    )
    assert "paid\n" in printed
    assert "receiver greedy (<string>:15) changed the list 'items' that it was handed" in printed


def test_an_option_that_is_not_there_is_refused():
    """No option is accepted and ignored."""
    with pytest.raises(TypeError, match="inbox"):
        Aldis(make_app(), inbox=None)
