"""The settings of the blueprint, and its interface for the application."""

import pytest
from flask import Blueprint, Flask

from aldis.errors import OAuthSetupError
from aldis.oauth import (
    MemoryStorage,
    OAuthBlueprint,
    SessionStorage,
)
from tests.fresh import run
from tests.oauth.apps import app_with, begin, log_in


def test_client_id_and_secret_come_from_the_configuration(op):
    """The credentials are read from the app's configuration when a login begins."""
    app, _ = app_with(op, client_id=None, client_secret=None)
    app.config.update(OP_OAUTH_CLIENT_ID="app", OP_OAUTH_CLIENT_SECRET="configured")  # noqa: S106
    client = app.test_client()
    assert "app" == begin(client, op)["client_id"]
    log_in(client, op)
    assert "Authorization" in op.asked_for("/token")[0][2]


def test_the_error_names_a_missing_client_id(op):
    """A missing client id raises an error that names the setting."""
    app, _ = app_with(op, client_id=None)
    with pytest.raises(OAuthSetupError, match="OP_OAUTH_CLIENT_ID"):
        app.test_client().get("/login/op")


INCOMPLETE = [
    ({}, "authorization_url and no token_url"),
    ({"authorization_url": "/a"}, "no token_url"),
    ({"authorization_url": "/a", "token_url": "/b", "scope": "openid"}, "issuer and no jwks_uri"),
    ({"request_token_url": "/r", "token_url": "/b"}, "authorization_url"),
    ({"server_metadata_url": "/m", "authorization_url_params": {"state": "x"}}, "state"),
]


@pytest.mark.parametrize(("options", "expected"), INCOMPLETE)
def test_missing_settings_of_a_provider_are_refused_at_once(options, expected):
    """The constructor of the blueprint raises an error that names the missing settings."""
    with pytest.raises(OAuthSetupError, match=expected):
        OAuthBlueprint("op", client_id="x", **options)


def test_the_urls_are_those_of_flask_dance():
    """An app may register the blueprint with another prefix."""
    described = {"client_id": "x", "authorization_url": "/a", "token_url": "/b"}
    for options in ({}, {"url_prefix": "/login"}):
        app = Flask("shop")
        app.register_blueprint(OAuthBlueprint("hub", **described), **options)
        rules = {rule.endpoint: rule.rule for rule in app.url_map.iter_rules()}
        assert "/login/hub" == rules["hub.login"]
        assert "/login/hub/authorized" == rules["hub.authorized"]


def test_other_urls_can_be_chosen(op, recorded):
    """The provider redirects to the chosen URL."""
    rules = {"login_url": "/enter/{bp.name}", "authorized_url": "/{bp.name}/back"}
    app, _ = app_with(op, scope="email", url_prefix=None, **rules)
    client = app.test_client()
    sent = begin(client, op, "/enter/op")
    assert "http://localhost/op/back" == sent["redirect_uri"]
    client.get("/op/back", query_string={"code": "c", "state": sent["state"]})
    assert ["oauth-before-login", "oauth-authorized"] == recorded.names()


def test_extra_parameters_for_both_endpoints(op):
    """Extra parameters are added to the URL and to the form."""
    more = {"authorization_url_params": {"prompt": "login"}, "token_url_params": {"tenant": "7"}}
    app, _ = app_with(op, **more)
    client = app.test_client()
    sent = begin(client, op)
    client.get("/login/op/authorized", query_string={"code": "c", "state": sent["state"]})
    assert "login" == sent["prompt"]
    assert "7" == op.asked_for("/token")[0][1]["tenant"]


def test_a_nested_blueprint_redirects_to_its_login(op):
    """`authorization_required` works if the blueprint is registered under another name."""
    app, parent = Flask("shop"), Blueprint("parent", __name__, url_prefix="/p")
    app.secret_key = "only for tests"  # noqa: S105
    bp = OAuthBlueprint("hub", client_id="x", authorization_url="/a", token_url="/b")  # noqa: S106
    parent.register_blueprint(bp)
    app.register_blueprint(parent)
    app.add_url_rule("/me", "me", bp.authorization_required(lambda: "me"))
    assert "/p/login/hub?next=/me" == app.test_client().get("/me").headers["Location"]


def test_one_blueprint_serves_two_apps(op):
    """An app factory that runs twice gives each app its own client."""
    first, blueprint = app_with(op, client_id=None)
    second = Flask("second")
    second.secret_key = "only for tests"  # noqa: S105
    second.register_blueprint(blueprint)
    first.config["OP_OAUTH_CLIENT_ID"], second.config["OP_OAUTH_CLIENT_ID"] = "one", "two"
    ids = [begin(each.test_client(), op)["client_id"] for each in (first, second, first)]
    assert ["one", "two", "one"] == ids


def test_the_token_can_be_set_and_deleted(op):
    """A token can be deleted twice, and ``expires_at`` is computed from ``expires_in``."""
    app, blueprint = app_with(op, storage=MemoryStorage)
    with app.test_request_context():
        assert blueprint.token is None
        assert not blueprint.session.authorized
        blueprint.token = {"access_token": "x", "expires_in": 100}
        assert blueprint.token["expires_at"] > 100
        assert ("x", True) == (blueprint.session.access_token, blueprint.session.authorized)
        del blueprint.token
        del blueprint.token
        blueprint.token = None
        assert blueprint.token is None


def test_an_expired_token_without_a_refresh_token_does_not_count(op):
    """``authorized`` is false after the token expired without a refresh token."""
    app, blueprint = app_with(op, storage=MemoryStorage({"access_token": "x", "expires_at": 1}))
    with app.test_request_context():
        assert not blueprint.session.authorized
        blueprint.token = {"access_token": "x", "expires_at": 1, "refresh_token": "y"}
        assert blueprint.session.authorized


def test_both_decorators_guard_a_view(op):
    """The blueprint has ``authorization_required``, and so has the session, as in Flask-Dance."""
    app, blueprint = app_with(op, storage=MemoryStorage({"access_token": "x"}))
    app.add_url_rule("/a", "a", blueprint.authorization_required(lambda: "a"))
    app.add_url_rule("/b", "b", blueprint.session.authorization_required(lambda: "b"))
    client = app.test_client()
    assert ["a", "b"] == [client.get(path).text for path in ("/a", "/b")]
    blueprint.storage = SessionStorage()
    away = [client.get(path).headers["Location"] for path in ("/a", "/b")]
    assert ["/login/op?next=/a", "/login/op?next=/b"] == away


def test_without_pkce_there_is_no_challenge(op):
    """PKCE is on by default and can be turned off."""
    on, off = app_with(op)[0], app_with(op, pkce=False)[0]
    assert "S256" == begin(on.test_client(), op)["code_challenge_method"]
    assert "code_challenge" not in begin(off.test_client(), op)
    log_in(off.test_client(), op)
    assert "code_verifier" not in op.asked_for("/token")[-1][1]


def test_the_secret_is_in_the_form_if_the_provider_needs_it_there(op):
    """The metadata chooses the way to authenticate. The default is the header."""
    op.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    log_in(app_with(op)[0].test_client(), op)
    _, form, headers = op.asked_for("/token")[-1]
    assert (op.client_secret, False) == (form["client_secret"], "Authorization" in headers)


def test_calls_go_to_the_base_url_with_the_users_token(op):
    """A relative URL belongs to the provider, and each call uses the stored token."""
    app, blueprint = app_with(op, base_url=op.url, storage=MemoryStorage())
    with app.test_request_context():
        for token in ("one", "two"):
            blueprint.token = {"access_token": token}
            for method in ("get", "post", "put", "patch", "delete", "options"):
                getattr(blueprint.session, method)("/me")
                assert f"Bearer {token}" == op.asked[-1][2]["Authorization"]


@pytest.mark.parametrize("package", ["authlib", "requests", "flask"])
def test_the_error_for_a_missing_package_names_the_extra(package):
    """The error shows the command that installs the extra."""
    expected = run(
        f"""
        import sys
        sys.modules[{package!r}] = None
        try:
            import aldis.oauth
        except ImportError as error:
            print(type(error).__name__, error)
        """
    )
    assert expected.lower().startswith(f"missingextraerror aldis.oauth needs {package},")
    assert "aldis[oauth]" in expected
