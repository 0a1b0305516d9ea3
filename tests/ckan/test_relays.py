"""Without CKAN, aldis relays Flask's signals to those of CKAN, and users do not see the relays."""

import pytest

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

import asyncio

import flask

import aldis.ckan
from aldis.observe import trace

if aldis.ckan.signals.theirs is not None:
    pytest.skip("CKAN is installed", allow_module_level=True)


@pytest.fixture
def app():
    """Give an app with a view."""
    made = flask.Flask(__name__)
    made.add_url_rule("/", "index", lambda: "hello")
    return made


def receive(sender, **extra):
    """Receive."""


def test_a_request_reaches_receivers_of_ckan(app):
    """They get the app and the response."""
    heard = []

    def note(sender, response, **extra):
        heard.append((sender, response.status_code))

    with aldis.ckan.signals.request_finished.connected_to(note):
        app.test_client().get("/")
    assert [(app, 200)] == heard


def test_lists_do_not_show_the_relay():
    """``explain`` shows the receivers that the program has connected."""
    names = [row.receiver for row in flask.request_started.explain().rows]
    assert not [each for each in names if "send" in each or "Relay" in each]


def test_a_trace_does_not_show_the_relay(app):
    """The tree shows CKAN's signal without the relay that sent it."""
    with aldis.ckan.signals.request_started.connected_to(receive), trace() as tree:
        app.test_client().get("/")
    text = str(tree)
    assert "receive" in text
    assert "_Relay" not in text
    assert " send " not in text


def test_an_async_send_awaits_async_receivers(app):
    """The relay passes an async send on."""
    heard = []

    async def note(sender, **extra):
        heard.append(sender)

    with aldis.ckan.signals.request_started.connected_to(note):
        asyncio.run(flask.request_started.asend(app))
    assert [app] == heard
