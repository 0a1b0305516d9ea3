"""The extension `Aldis(app)` of Quart apps: strict mode."""

import pytest
import quart

from aldis.core import is_strict
from aldis.errors import UnboundSenderError
from aldis.quart import Aldis
from tests.quart.app import make_app

pytestmark = pytest.mark.usefixtures("lenient")


def test_the_app_knows_its_extension():
    """The extension is in `app.extensions`, and a second one does not replace it."""
    app = make_app()
    extension = Aldis(app)
    Aldis(app)

    assert extension is app.extensions["aldis"]


def test_one_extension_serves_several_apps():
    """A factory calls `init_app` for each app."""
    extension, one, two = Aldis(), make_app("one"), make_app("two")
    extension.init_app(one)
    extension.init_app(two)

    assert extension is one.extensions["aldis"] is two.extensions["aldis"]


@pytest.mark.parametrize("strict", [True, False])
def test_the_argument_decides_over_the_config_and_debug(strict):
    """`strict=` turns strict mode on or leaves it off, whatever the app's settings are."""
    app = make_app()
    app.debug = app.config["ALDIS_STRICT"] = not strict
    Aldis(app, strict=strict)

    assert strict is is_strict()


@pytest.mark.parametrize(("config", "debug"), [(True, False), (False, True)])
def test_the_config_decides_over_debug(config, debug):
    """`ALDIS_STRICT` in the app's configuration counts more than `app.debug`."""
    app = make_app()
    app.config["ALDIS_STRICT"] = config
    app.debug = debug
    Aldis(app)

    assert config is is_strict()


def test_strict_mode_is_on_in_debug_mode():
    """An app in debug mode turns strict mode on."""
    app = make_app()
    app.debug = True
    Aldis(app)

    assert is_strict()


async def test_debug_mode_may_come_late():
    """`app.run(debug=True)` sets debug mode after `init_app`; the first request turns it on."""
    app = make_app()
    Aldis(app)
    app.debug = True
    assert not is_strict()

    await app.test_client().get("/")

    assert is_strict()


async def test_debug_mode_may_come_before_a_websocket():
    """A websocket as the first connection turns strict mode on, too."""
    app = make_app()
    Aldis(app)
    app.debug = True

    async with app.test_client().websocket("/ws") as ws:
        await ws.send("x")
        await ws.receive()

    assert is_strict()


async def test_nothing_is_connected_after_the_first_request():
    """From the second request on, the extension costs nothing in a request."""
    app = make_app()
    signals = (quart.request_started, quart.appcontext_pushed)
    before = [list(signal.receivers_for(app)) for signal in signals]
    Aldis(app)
    assert before != [list(signal.receivers_for(app)) for signal in signals]

    await app.test_client().get("/")

    assert before == [list(signal.receivers_for(app)) for signal in signals]


async def test_the_current_app_is_the_app():
    """`current_app` works as the app, but only inside of a context."""
    app = make_app()
    with pytest.raises(UnboundSenderError):
        Aldis(quart.current_app)
    async with app.app_context():
        assert Aldis(quart.current_app) is app.extensions["aldis"]
