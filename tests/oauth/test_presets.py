"""The presets, against providers that behave as the documentation of the real ones says."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from aldis.errors import LoginError, LoginExpiredError, OAuthSetupError, UnknownNameError
from aldis.oauth import OAuthBlueprint, providers
from aldis.testing.oauth import log_in
from tests.oauth.providers.known import KNOWN
from tests.oauth.providers.world import as_json, running

BY_NAME = {each.name: each for each in KNOWN}
REFRESHED = [each for each in KNOWN if each.refresh]


@pytest.fixture(scope="module")
def world():
    """All providers, on loopback."""
    with pytest.MonkeyPatch.context() as patch, running(patch.setattr) as made:
        yield made


def test_each_preset_has_a_provider_to_test_it():
    """A new preset needs a provider in `known.py`."""
    assert sorted(BY_NAME) == sorted(providers.PRESETS)


@pytest.mark.parametrize("known", KNOWN, ids=BY_NAME)
def test_a_user_logs_in_and_the_app_calls_the_provider(world, recorded, known):
    """The user's id is a text, and a relative URL leads to the provider's API."""
    app, blueprint = world.app(known)
    client = app.test_client()
    world.log_in(client)
    assert ["oauth-before-login", "oauth-authorized"] == recorded.names(), recorded
    url = known.api[1]
    with app.test_request_context():
        assert blueprint.session.authorized
        assert known.subject == blueprint.session.userinfo()["sub"]
        if url is not None:
            answer = blueprint.session.get(known.api[0])
            assert (url, 200) == (answer.url, answer.status_code)
            assert ({"called": url} if known.oauth1 is None else known.oauth1) == answer.json()


@pytest.mark.parametrize("known", REFRESHED, ids=[each.name for each in REFRESHED])
def test_an_expired_token_is_refreshed_until_the_provider_rejects_it(world, known):
    """In the provider's own way, and with its own error for a dead refresh token."""
    app, blueprint = world.app(known)
    world.log_in(app.test_client())
    with app.test_request_context():
        for turn in (2, 3):
            blueprint.token = {**blueprint.token, "expires_at": 1}
            assert blueprint.session.get("https://example.org/x").ok
            assert f"access-{turn}" == blueprint.token["access_token"]
            kept = f"refresh-{turn if known.refresh == 'rotates' else 1}"
            assert kept == blueprint.token["refresh_token"]
        world.alive = False
        blueprint.token = {**blueprint.token, "expires_at": 1}
        with pytest.raises(LoginExpiredError):
            blueprint.session.get("https://example.org/x")
        assert blueprint.token is None


@pytest.mark.parametrize(
    "known", [each for each in KNOWN if each.oauth1 is None], ids=lambda each: each.name
)
def test_a_refused_login_has_the_providers_error(world, recorded, known):
    """For a wrong code, and if the user declines."""
    app, _ = world.app(known)
    client = app.test_client()
    world.log_in(client, code="wrong")
    assert known.bad_code[2] == recorded.only("oauth-error")["error"]
    world.log_in(client, error="access_denied")
    assert (
        "access_denied" == [each[2] for each in recorded if each[0] == "oauth-error"][-1]["error"]
    )


@pytest.mark.parametrize(
    "known", [each for each in KNOWN if each.revoke], ids=lambda each: each.name
)
def test_a_token_is_revoked(world, known):
    """The client authenticates as it does for a token."""
    app, blueprint = world.app(known)
    world.log_in(app.test_client())
    with app.test_request_context():
        held = blueprint.token
        blueprint.revoke_token()
        assert blueprint.token is None
    ((method, _, form, _),) = world.calls(known.revoke)
    assert ("POST", held.get("refresh_token", held["access_token"])) == (method, form["token"])


@pytest.mark.parametrize(
    "known", [each for each in KNOWN if each.logout], ids=lambda each: each.name
)
def test_a_logout_ends_the_session_of_the_provider(world, known):
    """The user gets to the provider's page, with the id_token."""
    app, blueprint = world.app(known)
    world.log_in(app.test_client())
    with app.test_request_context():
        location = blueprint.logout("https://shop.example/bye").headers["Location"]
    assert location.startswith(f"{known.logout}?")
    sent = parse_qs(urlsplit(location).query)
    assert ["https://shop.example/bye"] == sent["post_logout_redirect_uri"]
    assert "id_token_hint" in sent


# -- single providers --------------------------------------------------------------------------


def authorized(recorded):
    """Return the tokens that receivers got."""
    return [each[2]["token"] for each in recorded if each[0] == "oauth-authorized"]


def test_apple_sends_the_name_only_once_and_its_address_is_not_trusted(world, recorded):
    """The form is not signed, so its other fields are not used."""
    app, _ = world.app(BY_NAME["apple"])
    world.log_in(app.test_client())
    world.log_in(app.test_client())
    first, second = [each["userinfo"] for each in authorized(recorded)]
    assert ("Ada Lovelace", "Ada") == (first["name"], first["given_name"])
    assert "name" not in second
    assert "email" not in first


@pytest.mark.parametrize("user", ["", "{", "[]", '{"name": 7}', '{"name": {"firstName": 1}}', "7"])
def test_a_bad_name_of_apple_is_ignored(world, recorded, user):
    """The form comes through the browser."""
    app, _ = world.app(BY_NAME["apple"])
    world.log_in(app.test_client(), user=user)
    assert "name" not in authorized(recorded)[0]["userinfo"]


@pytest.mark.parametrize("secret", [None, "not a key", "-----BEGIN PRIVATE KEY-----\nx\n"])
def test_a_wrong_key_for_apple_is_named_before_the_login(world, secret):
    """The user is not sent to Apple in vain."""
    app, _ = world.app(BY_NAME["apple"])
    app.config["APPLE_OAUTH_CLIENT_SECRET"] = secret
    with pytest.raises(OAuthSetupError, match=r"\.p8"):
        app.test_client().get("/login/apple")


def test_a_key_for_apple_may_come_from_an_environment_variable(world, recorded):
    """Its line breaks are often written as a backslash and an n."""
    app, _ = world.app(BY_NAME["apple"])
    name = "APPLE_OAUTH_CLIENT_SECRET"
    app.config[name] = app.config[name].replace("\n", "\\n")
    world.log_in(app.test_client())
    assert "oauth-error" not in recorded.names()


def test_the_secret_that_is_made_for_apple_is_in_no_error(world, recorded):
    """Neither the JWT nor the key."""
    app, _ = world.app(BY_NAME["apple"])
    sent = []
    real = world._token

    def echo(request):
        sent.append(request.form["client_secret"])
        return as_json({"error": "x", "error_description": f"no {sent[-1]}"}, 400)

    world._token = echo
    try:
        world.log_in(app.test_client())
    finally:
        world._token = real
    assert "no [removed]" == recorded.only("oauth-error")["error_description"]


@pytest.mark.parametrize(
    ("tenant", "claims", "accepted"),
    [
        ("common", {}, True),
        ("organizations", {}, True),
        ("common", {"iss": "https://login.microsoftonline.com/common/v2.0"}, False),
        ("common", {"tid": "../x"}, False),
        ("common", {"tid": None}, False),
        (
            "common",
            {"iss": "https://evil.example/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"},
            False,
        ),
    ],
)
def test_the_issuer_of_a_shared_tenant_is_the_users_own_tenant(
    world, recorded, tenant, claims, accepted
):
    """The metadata has only a template for it."""
    known = BY_NAME["azure"]
    changed = {
        each: getattr(known, each).replace("common", tenant) for each in ("authorize", "token")
    }
    changed["metadata"] = known.metadata.replace("common", tenant)
    app, _ = world.app(replace(known, claims={**known.claims, **claims}, **changed), tenant=tenant)
    world.log_in(app.test_client())
    assert accepted == ("oauth-error" not in recorded.names())


def test_a_tenant_accepts_no_other_tenant(world, recorded):
    """The issuer in the metadata counts."""
    known = BY_NAME["microsoft"]
    other = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"
    tid = "00000000-0000-0000-0000-000000000000"
    app, _ = world.app(replace(known, claims={"iss": other, "tid": tid}))
    world.log_in(app.test_client())
    assert "id_token_invalid" == recorded.only("oauth-error")["error"]


def test_google_sends_a_refresh_token_only_at_the_first_consent(world):
    """The next login keeps the old one."""
    app, blueprint = world.app(BY_NAME["google"])
    client = app.test_client()
    world.log_in(client)
    real = world._issue
    world._issue = lambda first: real(first=False)
    try:
        world.log_in(client)
    finally:
        del world._issue
    with app.test_request_context():
        assert ("access-2", "refresh-1") == (
            blueprint.token["access_token"],
            blueprint.token["refresh_token"],
        )


def test_the_token_of_a_bot_stays_the_token_of_slack(world):
    """The user's token is beside it."""
    known = BY_NAME["slack"]

    def both(body):
        user = {"id": "U1", "access_token": "xoxp", "token_type": "user", "scope": "users:read"}
        return {"ok": True, **body, "token_type": "bot", "scope": "a,b", "authed_user": user}

    app, blueprint = world.app(replace(known, shape=both, scope="a,b"), scope="a b")
    world.log_in(app.test_client())
    with app.test_request_context():
        assert ("access-1", ["a", "b"]) == (
            blueprint.token["access_token"],
            blueprint.token["scope"],
        )
        assert "xoxp" == blueprint.token["authed_user"]["access_token"]


@pytest.mark.parametrize("domain", [None, "http://api.example.org", 7, "api.example.org"])
@pytest.mark.parametrize(
    ("name", "field"), [("zoho", "api_domain"), ("salesforce", "instance_url")]
)
def test_a_token_is_never_sent_to_a_base_url_without_https(world, name, field, domain):
    """Then the URL of the data centre counts, or none."""
    known = BY_NAME[name]
    app, blueprint = world.app(replace(known, shape=lambda body: {**body, field: domain}))
    world.log_in(app.test_client())
    settings = OAuthBlueprint.from_preset(name, client_id="x")._settings
    base = settings["base_url"]({field: domain})
    assert base == ("https://www.zohoapis.com" if name == "zoho" else None)
    with app.test_request_context():
        assert blueprint.session.authorized


def test_an_api_error_with_200_names_the_reason(world):
    """Slack's `ok: false` and GraphQL's `errors` are no user."""
    for name, body, reason in (
        ("slack", {"ok": False, "error": "token_revoked"}, "token_revoked"),
        ("meetup", {"errors": [{"message": "no access"}]}, "no access"),
        ("twitch", {"data": []}, "no user id at 'data.0.id'"),
        ("github", {"id": True}, "no user id at 'id'"),
    ):
        known = BY_NAME[name]
        app, blueprint = world.app(replace(known, userinfo=(*known.userinfo[:2], body)))
        world.log_in(app.test_client())
        with app.test_request_context(), pytest.raises(LoginError, match=reason):
            blueprint.session.userinfo()


def test_a_custom_server_of_okta_or_its_own():
    """Without `server`, the organisation's own server is used."""

    def url(**more):
        made = OAuthBlueprint.from_preset("okta", domain="dev-1.okta.com", **more)
        return made._settings["server_metadata_url"]

    assert "https://dev-1.okta.com/.well-known/openid-configuration" == url()
    assert "/oauth2/aus1/.well-known/" in url(server="aus1")


# -- the arguments -----------------------------------------------------------------------------


def test_each_setting_may_be_overridden():
    """Mappings are added to those of the preset, and None removes a key."""
    made = OAuthBlueprint.from_preset(
        providers.ATLASSIAN,
        "work",
        authorization_url_params={"prompt": None, "login_hint": "ada"},
        token_url="https://other.example/token",  # noqa: S106 - a URL
        client_options={"verify": False},
        scope="read:jira-work",
        headers={"X-Shop": "1"},
        pkce=True,
    )
    settings = made._settings
    assert "work" == made.name
    assert {"audience": "api.atlassian.com", "login_hint": "ada"} == settings[
        "authorization_url_params"
    ]
    assert "client_secret_post" == settings["client_options"]["token_endpoint_auth_method"]
    assert settings["client_options"]["verify"] is False
    assert ("read:jira-work",) == settings["scope"]
    assert ("https://other.example/token", True) == (settings["token_url"], settings["pkce"])


@pytest.mark.parametrize("preset", providers.PRESETS.values(), ids=providers.PRESETS)
def test_the_value_of_the_app_replaces_each_value_of_a_preset(preset):
    """Also those that a parameter determines."""
    parameters = {each.name: each.example for each in preset.parameters}
    given = preset.with_settings(parameters, known=[])
    for name in {*given, "issuer", "token_url", "userinfo_url"} - {"compliance_fix"}:
        value = {"key": "of the app"} if isinstance(given.get(name), dict) else "of the app"
        changed = preset.with_settings({**parameters, name: value}, known=[name])
        expected = {**given[name], **value} if isinstance(value, dict) else value
        assert expected == changed[name], name


def test_an_own_compliance_fix_runs_after_that_of_the_preset(world):
    """Twitch still gets its header."""
    seen = []
    app, blueprint = world.app(
        BY_NAME["twitch"], compliance_fix=lambda session: seen.append(session.headers["Client-Id"])
    )
    world.log_in(app.test_client())
    with app.test_request_context():
        assert blueprint.session.userinfo()
    assert {"app"} == set(seen)


def test_offline_keeps_the_apps_own_scopes_and_parameters():
    """One argument stands for many spellings."""
    made = OAuthBlueprint.from_preset(
        "google", offline=True, authorization_url_params={"prompt": "consent"}
    )
    assert {"access_type": "offline", "prompt": "consent"} == made._settings[
        "authorization_url_params"
    ]
    made = OAuthBlueprint.from_preset("twitter", offline=True, scope="users.read")
    assert ("users.read", "offline.access") == made._settings["scope"]
    with pytest.raises(OAuthSetupError, match="Facebook issues no refresh tokens"):
        OAuthBlueprint.from_preset("facebook", offline=True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("githb", "'github' or 'gitlab'"),
        ("keyclock", "'keycloak'"),
        ("fitbit", "2 November 2026"),
        ("Authentiq", "shut down"),
        ("qqqq", "give the URLs of this provider"),
        ("", "give the URLs of this provider"),
        (None, "give the URLs of this provider"),
    ],
)
def test_an_unknown_name_leads_to_the_right_one(name, hint):
    """The error names similar presets, or the reason why there is none."""
    with pytest.raises(UnknownNameError, match=hint):
        OAuthBlueprint.from_preset(name)


@pytest.mark.parametrize("name", ["GitHub", "slack-openid", "Jira OAuth1"])
def test_a_name_may_be_spelt_in_any_case(name):
    """With a hyphen, a space or an underscore."""
    assert name.lower().replace("-", "_").replace(" ", "_") == providers.find_preset(name).name


@pytest.mark.parametrize(
    ("name", "given", "hint"),
    [
        ("okta", {}, "needs domain="),
        ("okta", {"domain": "https://dev-1.okta.com/"}, "type 'dev-1.okta.com'"),
        ("okta", {"domain": "dev-1.okta.com/oauth2/default"}, "type 'dev-1.okta.com'"),
        ("okta", {"domain": "dev-1-admin.okta.com"}, "type 'dev-1.okta.com'"),
        ("okta", {"domain": "dev-1.okta.com", "server": "a/b"}, "server="),
        ("auth0", {"domain": ""}, "is empty"),
        ("auth0", {"domain": " example.auth0.com"}, "spaces"),
        ("auth0", {"domain": "example.auth0.com\n"}, "control characters"),
        ("auth0", {"domain": "exa mple.auth0.com"}, "not the name of a host"),
        ("auth0", {"domain": "user@evil.example"}, "not the name of a host"),
        ("auth0", {"domain": "a..b"}, "not the name of a host"),
        ("auth0", {"domain": 7}, "type int"),
        ("auth0", {"domain": b"x"}, "type bytes"),
        ("keycloak", {"server_url": "https://sso.example.org"}, "needs realm="),
        ("keycloak", {"realm": "x", "server_url": "sso.example.org"}, "type 'https://sso."),
        ("keycloak", {"realm": "x", "server_url": "http://sso.example.org"}, "only localhost"),
        ("keycloak", {"realm": "x", "server_url": "https://a.example/?x=1"}, "only the scheme"),
        ("keycloak", {"realm": "x", "server_url": "https://u:p@a.example"}, "only the scheme"),
        ("keycloak", {"realm": "..", "server_url": "https://a.example"}, "not a name"),
        ("keycloak", {"realm": "https://a.example", "server_url": "https://a.example"}, "a URL"),
        ("jira", {}, "needs server_url="),
        ("gitlab", {"domain": "https://gitlab.example.org"}, "type 'gitlab.example.org'"),
        ("salesforce", {"domain": "https://x.my.salesforce.com/"}, "type 'x.my.salesforce.com'"),
        ("zoho", {"data_center": "com"}, "type one of us, eu"),
        ("dexcom", {"host": "api.dexcom.de"}, "type one of api.dexcom.com"),
        ("nylas", {"region": "asia"}, "type one of us, eu"),
        ("microsoft", {"tenant": "https://login.microsoftonline.com/x/v2.0"}, "only the name"),
        ("microsoft", {"tenant": "a/b"}, "not a name"),
        ("apple", {"team_id": "DEF123GHIJ"}, "needs key_id="),
        ("apple", {"team_id": "DEF 123", "key_id": "x"}, "other than letters and digits"),
        ("github", {"scop": "x"}, "did you mean scope"),
        ("github", {"domain": "x"}, "has no setting 'domain'"),
        ("okta", {"domian": "x"}, "did you mean domain"),
    ],
)
def test_a_wrong_argument_is_named_with_the_right_one(name, given, hint):
    """The error has the preset, the argument, and the text to type instead."""
    with pytest.raises(OAuthSetupError, match=f"(?s){name}.*{hint}|{hint}.*{name}"):
        OAuthBlueprint.from_preset(name, **given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("keycloak", {"server_url": "http://localhost:8080", "realm": "master"}),
        ("gitlab", {"domain": "GitLab.Example.org:8443"}),
        ("zoho", {"data_center": "EU"}),
        ("microsoft", {"tenant": "Common"}),
    ],
)
def test_a_right_argument_is_accepted(name, given):
    """With a port, in another case, and localhost without HTTPS."""
    assert OAuthBlueprint.from_preset(name, **given)


@pytest.mark.parametrize("known", KNOWN, ids=BY_NAME)
def test_a_test_of_an_app_needs_no_provider(world, known):
    """`aldis.testing.oauth.log_in` works with each preset, without the app's credentials."""
    app, blueprint = world.app(known)
    app.config[f"{known.name.upper()}_OAUTH_CLIENT_SECRET"] = None
    assert "/" == log_in(app.test_client(), blueprint, userinfo={"sub": "ada"}).location
    with app.test_request_context():
        assert {"sub": "ada"} == blueprint.session.userinfo()
    assert [] == world.asked


def test_every_preset_names_its_source():
    """The page of the provider, and the date on which it was read."""
    for preset in providers.PRESETS.values():
        assert preset.documentation.startswith("https://")
        assert preset.read.year >= 2026
        assert preset.quirks
