"""The promises of Flask-Dance's documentation of its signals.

The logins of aldis keep them, and Flask-Dance on aldis does, too. Flask-Dance's tests check
neither the return values of receivers nor their senders.
"""

import flask
import pytest
from flask import flash, get_flashed_messages, redirect, url_for

from aldis import NamedSignal
from tests.oauth.needs import PACKAGES, need

need(*PACKAGES)

from tests.oauth.apps import CALLBACK, begin  # noqa: E402 - after importorskip
from tests.oauth.providers.scripted import scripted  # noqa: E402


@pytest.fixture(scope="module")
def provider():
    """Return a provider whose answers a test chooses."""
    with scripted() as made:
        yield made


class Dance:
    """An app with two blueprints, of aldis or of Flask-Dance, and a user who logs in."""

    def __init__(self, library, provider):
        self.provider = provider
        provider.answers.clear()
        self.signals, make = getattr(self, f"_{library}")()
        self.app = flask.Flask("shop")
        self.app.secret_key = "only for tests"  # noqa: S105
        self.app.testing = True
        described = {
            "client_id": "app",
            "client_secret": "x",
            "base_url": provider.url,
            "authorization_url": f"{provider.url}/authorize",
            "token_url": f"{provider.url}/token",
            "scope": ["profile", "email"],
            "redirect_url": "/after",
        }
        self.blueprint = make("op", "shop", **described)
        self.another = make("another", "shop", **described)
        for each in (self.blueprint, self.another):
            self.app.register_blueprint(each, url_prefix="/login")
        self.app.add_url_rule("/messages", "messages", lambda: get_flashed_messages())
        self.app.add_url_rule("/after-oauth", "after_oauth", lambda: "")
        self.client = self.app.test_client()

    def _aldis(self):
        from aldis import oauth

        return oauth, oauth.OAuthBlueprint

    def _flask_dance(self):
        need("flask_dance")
        from flask_dance import consumer

        return consumer, consumer.OAuth2ConsumerBlueprint

    def log_in(self, query="", **changed):
        """Log in; ``changed`` replaces parts of the provider's answer."""
        sent = begin(self.client, path=f"/login/op{query}")
        args = {"code": "the-code", "state": sent["state"], **changed}
        return self.client.get(CALLBACK, query_string={k: v for k, v in args.items() if v})

    def stored(self):
        """Return the stored token, or ``None``."""
        with self.client.session_transaction() as session:
            return session.get("op_oauth_token")


@pytest.fixture(params=["aldis", "flask_dance"])
def dance(request, provider, monkeypatch):
    """Return the app, once with aldis and once with Flask-Dance."""
    # Otherwise, Flask-Dance's client refuses plain HTTP and changed scopes.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")
    return Dance(request.param, provider)


NAMES = ["oauth_before_login", "oauth_authorized", "oauth_error"]


class TestSupportsSignals:
    @pytest.mark.parametrize("name", NAMES)
    def test_just_as_flask_does(self, dance, name):
        """The three signals exist under the documented names and are signals of aldis."""
        signal = getattr(dance.signals, name)
        assert isinstance(signal, NamedSignal)
        assert name.replace("_", "-") == signal.name

    def test_to_flash_a_message_that_the_login_was_successful(self, dance):
        """The documented example for oauth_authorized works unchanged."""
        oauth_authorized = dance.signals.oauth_authorized

        @oauth_authorized.connect
        def logged_in(blueprint, token):
            flash("Signed in successfully with {name}!".format(name=blueprint.name.capitalize()))  # noqa: UP032

        dance.log_in()
        oauth_authorized.disconnect(logged_in)
        assert ["Signed in successfully with Op!"] == dance.client.get("/messages").json


class TestBeforeLogin:
    def test_is_sent_before_the_redirect_with_its_url(self, dance):
        """The signal comes before the redirect, and ``url`` is the target of the redirect."""
        heard = []

        def receive(blueprint, url):
            heard.append((blueprint, url))

        with dance.signals.oauth_before_login.connected_to(receive):
            answer = dance.client.get("/login/op")
        assert [(dance.blueprint, answer.headers["Location"])] == heard
        assert heard[0][1].startswith(f"{dance.provider.url}/authorize?")

    def test_to_construct_the_session(self, dance):
        """The documented example works unchanged: its session data exists after the login."""
        oauth_before_login = dance.signals.oauth_before_login

        @oauth_before_login.connect
        def before_login(blueprint, url):
            flask.session["next_url"] = flask.request.args.get("next_url")

        dance.log_in("?next_url=/basket")
        oauth_before_login.disconnect(before_login)
        with dance.client.session_transaction() as session:
            assert "/basket" == session["next_url"]
        assert dance.stored()

    def test_ignores_what_receivers_return(self, dance):
        """A returned Response is ignored, and the user is sent to the provider."""
        with dance.signals.oauth_before_login.connected_to(lambda sender, url: redirect("/x")):
            assert "/authorize?" in dance.client.get("/login/op").headers["Location"]


class TestAuthorized:
    def test_is_sent_with_the_blueprint_and_the_token(self, dance):
        """The sender is the blueprint, and the token is a dict with the provider's answer."""
        heard = []

        def receive(blueprint, token):
            heard.append((blueprint, token))

        with dance.signals.oauth_authorized.connected_to(receive):
            dance.log_in()
        ((sender, token),) = heard
        assert dance.blueprint is sender
        assert isinstance(token, dict)
        assert "the-access-token" == token["access_token"]

    def test_comes_before_the_token_is_stored(self, dance):
        """The signal comes before the token is stored, so a receiver can create the user."""
        stored = []

        def receive(blueprint, token):
            stored.append(blueprint.token)

        with dance.signals.oauth_authorized.connected_to(receive):
            dance.log_in()
        assert [None] == stored
        assert "the-access-token" == dance.stored()["access_token"]

    def test_a_receiver_calls_the_provider_already(self, dance):
        """A receiver can already call the provider with the new token."""
        answers = []

        def receive(blueprint, token):
            answers.append(blueprint.session.get("/me").json())

        with dance.signals.oauth_authorized.connected_to(receive):
            dance.log_in()
        assert [{"bearer": "Bearer the-access-token"}] == answers

    def test_scope_is_the_granted_scope(self, dance):
        """The token has the granted scopes, which may differ from the requested ones."""
        dance.provider.says("/token", dance.provider.token(scope="profile"))
        heard = []
        with dance.signals.oauth_authorized.connected_to(lambda _, token: heard.append(token)):
            dance.log_in()
        assert ["profile"] == list(heard[0]["scope"])

    @pytest.mark.parametrize("order", [[False, None], [None, False], [False, False]])
    def test_false_keeps_the_token_from_being_stored(self, dance, order):
        """One receiver that returns False is enough, at any place in the order."""
        receivers = [lambda sender, token, value=value: value for value in order]
        signal = dance.signals.oauth_authorized
        with signal.connected_to(receivers[0]), signal.connected_to(receivers[1]):
            answer = dance.log_in()
        assert "/after" == answer.headers["Location"]
        assert dance.stored() is None

    def test_a_response_is_returned_instead_of_the_redirect(self, dance):
        """The documented example works unchanged, and the token is not stored."""
        oauth_authorized = dance.signals.oauth_authorized

        @oauth_authorized.connect
        def logged_in(blueprint, token):
            return redirect(url_for("after_oauth"))

        answer = dance.log_in()
        oauth_authorized.disconnect(logged_in)
        assert "/after-oauth" == answer.headers["Location"]
        assert dance.stored() is None

    def test_the_first_response_is_the_one(self, dance):
        """The first returned Response in connection order counts."""
        signal = dance.signals.oauth_authorized
        with (
            signal.connected_to(lambda sender, token: redirect("/one")),
            signal.connected_to(lambda sender, token: redirect("/two")),
        ):
            assert "/one" == dance.log_in().headers["Location"]


class TestError:
    def test_is_sent_for_an_error_of_the_provider_before_a_redirect(self, dance):
        """The signal carries the provider's message, and the user is sent to ``redirect_url``."""
        heard = []
        with dance.signals.oauth_error.connected_to(lambda _, **payload: heard.append(payload)):
            answer = dance.log_in(code=None, error="access_denied", error_description="no")
        expected = {"error": "access_denied", "error_description": "no", "error_uri": None}
        assert [expected] == heard
        assert "/after" == answer.headers["Location"]
        assert dance.stored() is None

    def test_the_documented_handler_is_called_as_it_is(self, dance):
        """The signal has only the documented arguments, so the documented signature fits."""
        heard = []

        def handle_error(blueprint, error, error_description=None, error_uri=None):
            heard.append((blueprint.name, error, error_description, error_uri))

        with dance.signals.oauth_error.connected_to(handle_error):
            dance.log_in(code=None, error="server_error", error_uri="https://hub.example/e")
        assert [("op", "server_error", None, "https://hub.example/e")] == heard

    def test_a_response_is_sent_instead_of_the_redirect(self, dance):
        """The Response of a receiver replaces the redirect."""
        with dance.signals.oauth_error.connected_to(lambda _, **payload: redirect("/told")):
            assert "/told" == dance.log_in(code=None, error="access_denied").headers["Location"]


@pytest.mark.parametrize("name", NAMES)
def test_a_receiver_for_one_blueprint_is_not_called_for_another(dance, name):
    """A receiver for one provider is not called for another provider."""
    signal, heard = getattr(dance.signals, name), []

    def here(sender, **payload):
        heard.append("here")

    def elsewhere(sender, **payload):
        heard.append("elsewhere")

    with signal.connected_to(here, dance.blueprint), signal.connected_to(elsewhere, dance.another):
        if name == "oauth_error":
            dance.log_in(code=None, error="access_denied")
        else:
            dance.log_in()
    assert ["here"] == heard
