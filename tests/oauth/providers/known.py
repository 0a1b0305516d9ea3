"""The behaviour of real providers, written from their documentation and not from the presets."""

# ruff: noqa: S106 - the URLs of token endpoints are no passwords

import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from tests.oauth.providers.oauth1 import SECRET as OAUTH1_SECRET
from tests.oauth.providers.scripted import SECRET

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"


@dataclass(kw_only=True)
class Known:
    """The behaviour of one provider.

    Attributes:
        name: The preset.
        arguments: The arguments of ``OAuthBlueprint.from_preset``.
        authorize: The URL to which users are sent.
        token: The token endpoint.
        metadata: The URL of the OpenID Connect metadata. With it, the provider issues id_tokens.
        issuer: The issuer in the metadata.
        claims: Further claims of the id_tokens, such as another issuer.
        more_metadata: Further metadata.
        scope: The scopes in the URL of the login, as one text.
        params: Further parameters that the login must have.
        pkce: Whether the provider allows PKCE.
        needs_pkce: Whether it requires PKCE.
        nonce: Whether id_tokens repeat the nonce.
        auth: How the client must authenticate.
        secret: The client secret in the app's configuration.
        shape: Changes the response of the token endpoint.
        lifetime: The seconds in ``expires_in``. ``None`` leaves it out.
        accepts_forms: Whether a token request without ``Accept: application/json`` gets a form.
        refresh: ``"keeps"``, ``"rotates"`` or ``None``.
        bad_code: The status and the body for a wrong code, and the code in ``oauth_error``.
        dead: The status and the body for a dead refresh token.
        scheme: The scheme of the header ``Authorization`` of API calls.
        headers: Headers that each API call must have. ``True`` means any value of the app's own.
        userinfo: The method, the URL and the response of the call for the user.
        subject: The user's id.
        api: The relative URL of an API call, and the URL that the provider must get.
        revoke: The revocation endpoint.
        logout: The logout page.
        oauth1: The response of the API of an OAuth 1.0a provider.
        also: The tests of this provider alone, for the documentation.
    """

    name: str
    arguments: dict = field(default_factory=dict)
    authorize: str = ""
    token: str = ""
    metadata: str | None = None
    issuer: str | None = None
    claims: dict = field(default_factory=dict)
    more_metadata: dict = field(default_factory=dict)
    scope: str | None = None
    params: dict = field(default_factory=dict)
    pkce: bool = True
    needs_pkce: bool = False
    nonce: bool = True
    auth: str = "basic"
    secret: str = SECRET
    shape: Any = None
    lifetime: int | None = 3600
    accepts_forms: bool = False
    refresh: str | None = None
    bad_code: tuple = (400, {"error": "invalid_grant"}, "invalid_grant")
    dead: tuple = (400, {"error": "invalid_grant"})
    scheme: str = "Bearer"
    headers: dict = field(default_factory=dict)
    userinfo: tuple = ()
    subject: str = "ada"
    api: tuple = ()
    revoke: str | None = None
    logout: str | None = None
    oauth1: dict | None = None
    also: str = ""


@cache
def apple_key():
    """Return the key of the app at Apple."""
    return ECKey.generate_key("P-256")


@cache
def jira_key():
    """Return the key of the app at Jira."""
    return RSAKey.generate_key(2048)


def openid(name, issuer, *, base=None, host=None, **more):
    """Return an OpenID Connect provider with the usual paths."""
    base = base or issuer
    defaults = {
        "authorize": f"{base}/authorize",
        "token": f"{base}/token",
        "metadata": f"{issuer}/.well-known/openid-configuration",
        "issuer": issuer,
        "scope": "openid profile email",
        "userinfo": ("GET", f"{base}/userinfo", {"sub": "ada", "email": "ada@example.org"}),
    }
    return Known(name=name, **{**defaults, **more})


def nested_in_authed_user(body):
    """Return Slack's response for an app that has no bot."""
    user = {"id": "U1", "token_type": "user", **body}
    return {"ok": True, "app_id": "A1", "authed_user": user, "team": {"id": "T1"}}


def with_athlete(body):
    """Return Strava's response."""
    expires = int(time.time()) + body["expires_in"]
    return {**body, "expires_at": expires, "athlete": {"id": 227615, "username": "ada"}}


KNOWN = [
    openid(
        "apple",
        "https://appleid.apple.com",
        also="form POST, ES256 secret, the name only once, wrong keys",
        base="https://appleid.apple.com/auth",
        arguments={"team_id": "DEF123GHIJ", "key_id": "ABC123DEFG"},
        scope="openid email name",
        params={"response_mode": "form_post"},
        pkce=False,
        auth="apple",
        secret=apple_key().as_pem(private=True).decode(),
        userinfo=(),
        refresh="keeps",
        api=("auth/x", None),
        revoke="https://appleid.apple.com/auth/revoke",
    ),
    Known(
        name="atlassian",
        arguments={"offline": True},
        authorize="https://auth.atlassian.com/authorize",
        token="https://auth.atlassian.com/oauth/token",
        scope="read:me offline_access",
        params={"audience": "api.atlassian.com", "prompt": "consent"},
        pkce=False,
        auth="post",
        refresh="rotates",
        dead=(403, {"error": "invalid_grant", "error_description": "Unknown or invalid token."}),
        userinfo=("GET", "https://api.atlassian.com/me", {"account_id": "557058:ada"}),
        subject="557058:ada",
        api=(
            "oauth/token/accessible-resources",
            "https://api.atlassian.com/oauth/token/accessible-resources",
        ),
    ),
    openid(
        "auth0",
        "https://example.eu.auth0.com/",
        base="https://example.eu.auth0.com",
        arguments={
            "domain": "example.eu.auth0.com",
            "offline": True,
            "authorization_url_params": {"audience": "https://api.example.org"},
        },
        metadata="https://example.eu.auth0.com/.well-known/openid-configuration",
        scope="openid profile email offline_access",
        params={"audience": "https://api.example.org"},
        refresh="rotates",
        dead=(403, {"error": "invalid_grant", "error_description": "Unknown refresh token."}),
        api=("api/v2/x", "https://example.eu.auth0.com/api/v2/x"),
        revoke="https://example.eu.auth0.com/oauth/revoke",
        logout="https://example.eu.auth0.com/oidc/logout",
    ),
    openid(
        "azure",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        also="issuers of other tenants",
        base="https://login.microsoftonline.com/common/oauth2/v2.0",
        metadata=("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"),
        claims={"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "tid": TENANT},
        scope="openid email profile User.Read",
        api=("v1.0/me", "https://graph.microsoft.com/v1.0/me"),
    ),
    Known(
        name="dexcom",
        arguments={"host": "api.dexcom.eu"},
        authorize="https://api.dexcom.eu/v2/oauth2/login",
        token="https://api.dexcom.eu/v2/oauth2/token",
        scope="offline_access",
        auth="post",
        refresh="rotates",
        userinfo=(
            "GET",
            "https://api.dexcom.eu/v3/users/self/dataRange",
            {"recordType": "dataRange", "recordVersion": "3.0", "userId": "a1b2"},
        ),
        subject="a1b2",
        api=("v3/users/self/egvs", "https://api.dexcom.eu/v3/users/self/egvs"),
    ),
    Known(
        name="digitalocean",
        authorize="https://cloud.digitalocean.com/v1/oauth/authorize",
        token="https://cloud.digitalocean.com/v1/oauth/token",
        scope="read",
        auth="post",
        refresh="rotates",
        shape=lambda body: {**body, "info": {"uuid": "b6fc", "email": "ada@example.org"}},
        userinfo=(
            "GET",
            "https://api.digitalocean.com/v2/account",
            {"account": {"uuid": "b6fc", "status": "active"}},
        ),
        subject="b6fc",
        api=("droplets", "https://api.digitalocean.com/v2/droplets"),
    ),
    Known(
        name="discord",
        also="`User-Agent` in each call",
        authorize="https://discord.com/api/oauth2/authorize",
        token="https://discord.com/api/oauth2/token",
        scope="identify",
        refresh="rotates",
        headers={"User-Agent": "DiscordBot ("},
        userinfo=("GET", "https://discord.com/api/users/@me", {"id": "80351110224678912"}),
        subject="80351110224678912",
        api=("api/users/@me/guilds", "https://discord.com/api/users/@me/guilds"),
        revoke="https://discord.com/api/oauth2/token/revoke",
    ),
    Known(
        name="dropbox",
        arguments={"offline": True},
        authorize="https://www.dropbox.com/oauth2/authorize",
        token="https://api.dropboxapi.com/oauth2/token",
        scope="account_info.read",
        params={"token_access_type": "offline"},
        refresh="keeps",
        shape=lambda body: {**body, "uid": "12345", "account_id": "dbid:AAH4"},
        userinfo=(
            "POST",
            "https://api.dropboxapi.com/2/users/get_current_account",
            {"account_id": "dbid:AAH4", "email": "ada@example.org"},
        ),
        subject="dbid:AAH4",
        api=("check/user", "https://api.dropboxapi.com/2/check/user"),
    ),
    Known(
        name="facebook",
        also="an object as error",
        authorize="https://www.facebook.com/dialog/oauth",
        token="https://graph.facebook.com/oauth/access_token",
        scope="public_profile,email",
        auth="post",
        shape=lambda body: {k: v for k, v in body.items() if k != "scope"},
        bad_code=(
            400,
            {
                "error": {
                    "message": "Invalid verification code",
                    "type": "OAuthException",
                    "code": 1,
                }
            },
            "OAuthException",
        ),
        userinfo=("GET", "https://graph.facebook.com/me", {"id": "10150", "name": "Ada"}),
        subject="10150",
        api=("me/friends", "https://graph.facebook.com/me/friends"),
    ),
    Known(
        name="github",
        also="a form without `Accept`",
        arguments={"scope": ["read:user", "user:email"]},
        authorize="https://github.com/login/oauth/authorize",
        token="https://github.com/login/oauth/access_token",
        scope="read:user user:email",
        auth="post",
        accepts_forms=True,
        refresh="rotates",
        shape=lambda body: {**body, "scope": "read:user,user:email"},
        bad_code=(
            200,
            {"error": "bad_verification_code", "error_description": "The code is incorrect."},
            "bad_verification_code",
        ),
        dead=(200, {"error": "bad_refresh_token", "error_description": "It is incorrect."}),
        userinfo=("GET", "https://api.github.com/user", {"login": "octocat", "id": 583231}),
        subject="583231",
        api=("user/emails", "https://api.github.com/user/emails"),
    ),
    openid(
        "gitlab",
        "https://gitlab.example.org",
        base="https://gitlab.example.org/oauth",
        arguments={"domain": "gitlab.example.org"},
        refresh="rotates",
        api=("projects", "https://gitlab.example.org/api/v4/projects"),
        revoke="https://gitlab.example.org/oauth/revoke",
    ),
    openid(
        "google",
        "https://accounts.google.com",
        also="a login without a refresh token keeps the old one",
        arguments={"offline": True},
        base="https://accounts.google.com/o/oauth2/v2",
        claims={"iss": "accounts.google.com"},
        params={"access_type": "offline"},
        refresh="keeps",
        api=("calendar/v3/x", "https://www.googleapis.com/calendar/v3/x"),
        revoke="https://oauth2.googleapis.com/revoke",
    ),
    Known(
        name="heroku",
        also="`Accept` in each call",
        authorize="https://id.heroku.com/oauth/authorize",
        token="https://id.heroku.com/oauth/token",
        scope="identity",
        auth="post",
        refresh="keeps",
        shape=lambda body: {**body, "user_id": "0123-ada", "session_nonce": None},
        headers={"Accept": "application/vnd.heroku+json; version=3"},
        userinfo=("GET", "https://api.heroku.com/account", {"id": "0123-ada"}),
        subject="0123-ada",
        api=("apps", "https://api.heroku.com/apps"),
    ),
    Known(
        name="jira",
        arguments={"server_url": "https://example.org/jira"},
        authorize="https://example.org/jira/rest/oauth2/latest/authorize",
        token="https://example.org/jira/rest/oauth2/latest/token",
        scope="READ",
        auth="post",
        refresh="rotates",
        userinfo=(
            "GET",
            "https://example.org/jira/rest/api/2/myself",
            {"key": "JIRAUSER10100", "name": "ada"},
        ),
        subject="JIRAUSER10100",
        api=("rest/api/2/issue/X-1", "https://example.org/jira/rest/api/2/issue/X-1"),
    ),
    Known(
        name="jira_oauth1",
        arguments={"server_url": "https://jira.example.org"},
        secret=jira_key().as_pem(private=True).decode(),
        authorize="https://jira.example.org/plugins/servlet/oauth/authorize",
        token="https://jira.example.org/plugins/servlet/oauth/access-token",
        headers={"Content-Type": "application/json"},
        userinfo=("GET", "https://jira.example.org/rest/api/2/myself", {}),
        oauth1={"key": "JIRAUSER10100"},
        subject="JIRAUSER10100",
        api=("rest/api/2/myself", "https://jira.example.org/rest/api/2/myself"),
    ),
    openid(
        "keycloak",
        "https://sso.example.org/auth/realms/my%20staff",
        base="https://sso.example.org/auth/realms/my%20staff/protocol/openid-connect",
        arguments={"server_url": "https://sso.example.org/auth/", "realm": "my staff"},
        refresh="rotates",
        api=("admin/x", "https://sso.example.org/auth/admin/x"),
        revoke="https://sso.example.org/auth/realms/my%20staff/protocol/openid-connect/revoke",
        logout="https://sso.example.org/auth/realms/my%20staff/protocol/openid-connect/logout",
    ),
    openid(
        "linkedin",
        "https://www.linkedin.com/oauth",
        base="https://www.linkedin.com/oauth/v2",
        pkce=False,
        nonce=False,
        auth="post",
        userinfo=("GET", "https://api.linkedin.com/v2/userinfo", {"sub": "ada", "name": "Ada"}),
        api=("me", "https://api.linkedin.com/v2/me"),
    ),
    Known(
        name="meetup",
        also="`errors` with 200 in userinfo",
        authorize="https://secure.meetup.com/oauth2/authorize",
        token="https://secure.meetup.com/oauth2/access",
        auth="post",
        refresh="rotates",
        userinfo=(
            "POST",
            "https://api.meetup.com/gql-ext",
            {"data": {"self": {"id": 1234, "name": "Ada"}}},
        ),
        subject="1234",
        api=("gql-ext/x", "https://api.meetup.com/gql-ext/x"),
    ),
    openid(
        "microsoft",
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        also="an id_token of another tenant",
        base="https://login.microsoftonline.com/example.org/oauth2/v2.0",
        arguments={"tenant": "example.org", "offline": True},
        metadata=(
            "https://login.microsoftonline.com/example.org/v2.0/.well-known/openid-configuration"
        ),
        scope="openid email profile User.Read offline_access",
        refresh="rotates",
        userinfo=("GET", "https://graph.microsoft.com/oidc/userinfo", {"sub": "ada"}),
        api=("v1.0/me", "https://graph.microsoft.com/v1.0/me"),
        logout="https://login.microsoftonline.com/example.org/oauth2/v2.0/logout",
    ),
    Known(
        name="nylas",
        arguments={"region": "eu", "offline": True},
        authorize="https://api.eu.nylas.com/v3/connect/auth",
        token="https://api.eu.nylas.com/v3/connect/token",
        params={"access_type": "offline"},
        pkce=False,
        auth="post",
        refresh="keeps",
        shape=lambda body: {**body, "grant_id": "e19f"},
        userinfo=(
            "GET",
            "https://api.eu.nylas.com/v3/grants/me",
            {"request_id": "1", "data": {"id": "e19f", "provider": "google"}},
        ),
        subject="e19f",
        api=("grants/me/messages", "https://api.eu.nylas.com/v3/grants/me/messages"),
    ),
    openid(
        "okta",
        "https://dev-1.okta.com/oauth2/default",
        also="org server and custom server",
        base="https://dev-1.okta.com/oauth2/default/v1",
        arguments={"domain": "dev-1.okta.com", "server": "default", "offline": True},
        scope="openid profile email offline_access",
        refresh="rotates",
        api=("api/v1/users/me", "https://dev-1.okta.com/api/v1/users/me"),
        revoke="https://dev-1.okta.com/oauth2/default/v1/revoke",
        logout="https://dev-1.okta.com/oauth2/default/v1/logout",
    ),
    Known(
        name="orcid",
        arguments={"host": "sandbox.orcid.org"},
        authorize="https://sandbox.orcid.org/oauth/authorize",
        token="https://sandbox.orcid.org/oauth/token",
        scope="/authenticate",
        auth="post",
        refresh="keeps",
        lifetime=631138518,
        shape=lambda body: {**body, "name": "Ada", "orcid": "0000-0001-2345-6789"},
        userinfo=(
            "GET",
            "https://sandbox.orcid.org/oauth/userinfo",
            {"id": "https://orcid.org/x", "sub": "0000-0001-2345-6789"},
        ),
        subject="0000-0001-2345-6789",
        api=("0000/record", "https://pub.sandbox.orcid.org/v3.0/0000/record"),
        revoke="https://sandbox.orcid.org/oauth/revoke",
    ),
    Known(
        name="osm",
        authorize="https://www.openstreetmap.org/oauth2/authorize",
        token="https://www.openstreetmap.org/oauth2/token",
        scope="read_prefs",
        lifetime=None,
        shape=lambda body: {**body, "created_at": 1789000000},
        userinfo=(
            "GET",
            "https://www.openstreetmap.org/api/0.6/user/details.json",
            {"version": "0.6", "user": {"id": 1234, "display_name": "Ada"}},
        ),
        subject="1234",
        api=("user/preferences", "https://www.openstreetmap.org/api/0.6/user/preferences"),
        revoke="https://www.openstreetmap.org/oauth2/revoke",
    ),
    Known(
        name="reddit",
        also="`User-Agent` in each call",
        arguments={"offline": True, "user_agent": "web:shop:1.0 (by /u/ada)"},
        authorize="https://www.reddit.com/api/v1/authorize",
        token="https://www.reddit.com/api/v1/access_token",
        scope="identity",
        params={"duration": "permanent"},
        pkce=False,
        refresh="keeps",
        headers={"User-Agent": "web:shop:1.0 (by /u/ada)"},
        bad_code=(200, {"error": "invalid_grant"}, "invalid_grant"),
        dead=(400, {"message": "Bad Request", "error": 400}),
        userinfo=("GET", "https://oauth.reddit.com/api/v1/me", {"id": "2fg3", "name": "ada"}),
        subject="2fg3",
        api=("api/v1/me/prefs", "https://oauth.reddit.com/api/v1/me/prefs"),
        revoke="https://www.reddit.com/api/v1/revoke_token",
    ),
    openid(
        "salesforce",
        "https://test.salesforce.com",
        also="unusable `instance_url`",
        base="https://test.salesforce.com/services/oauth2",
        arguments={"domain": "test.salesforce.com", "offline": True},
        claims={"sub": "https://test.salesforce.com/id/00D/005"},
        scope="openid profile email refresh_token",
        auth="post",
        lifetime=None,
        refresh="keeps",
        shape=lambda body: {**body, "instance_url": "https://na40.salesforce.com"},
        userinfo=(
            "GET",
            "https://test.salesforce.com/services/oauth2/userinfo",
            {"sub": "https://test.salesforce.com/id/00D/005", "user_id": "005"},
        ),
        subject="https://test.salesforce.com/id/00D/005",
        api=(
            "services/data/v60.0/limits",
            "https://na40.salesforce.com/services/data/v60.0/limits",
        ),
        revoke="https://test.salesforce.com/services/oauth2/revoke",
        logout="https://test.salesforce.com/services/auth/idp/oidc/logout",
    ),
    Known(
        name="slack",
        also="user token, bot token, `ok: false` in userinfo",
        arguments={"authorization_url_params": {"user_scope": "users:read,chat:write"}},
        authorize="https://slack.com/oauth/v2/authorize",
        token="https://slack.com/api/oauth.v2.access",
        params={"user_scope": "users:read,chat:write"},
        pkce=False,
        refresh="rotates",
        shape=nested_in_authed_user,
        bad_code=(200, {"ok": False, "error": "invalid_code"}, "invalid_code"),
        dead=(200, {"ok": False, "error": "invalid_refresh_token"}),
        userinfo=(
            "POST",
            "https://slack.com/api/auth.test",
            {"ok": True, "team_id": "T1", "user_id": "U1"},
        ),
        subject="T1/U1",
        api=("users.list", "https://slack.com/api/users.list"),
    ),
    openid(
        "slack_openid",
        "https://slack.com",
        authorize="https://slack.com/openid/connect/authorize",
        token="https://slack.com/api/openid.connect.token",
        pkce=False,
        shape=lambda body: {"ok": True, **body},
        bad_code=(200, {"ok": False, "error": "invalid_code"}, "invalid_code"),
        userinfo=(
            "GET",
            "https://slack.com/api/openid.connect.userInfo",
            {"ok": True, "sub": "ada", "https://slack.com/user_id": "ada"},
        ),
        api=("openid.connect.userInfo/x", "https://slack.com/api/openid.connect.userInfo/x"),
    ),
    Known(
        name="spotify",
        authorize="https://accounts.spotify.com/authorize",
        token="https://accounts.spotify.com/api/token",
        scope="user-read-email",
        refresh="keeps",
        dead=(400, {"error": "invalid_grant", "error_description": "Refresh token revoked"}),
        userinfo=("GET", "https://api.spotify.com/v1/me", {"id": "wizzler"}),
        subject="wizzler",
        api=("v1/me/playlists", "https://api.spotify.com/v1/me/playlists"),
    ),
    Known(
        name="strava",
        arguments={"scope": "read activity:read"},
        authorize="https://www.strava.com/oauth/authorize",
        token="https://www.strava.com/api/v3/oauth/token",
        scope="read,activity:read",
        auth="post",
        refresh="rotates",
        shape=with_athlete,
        bad_code=(
            400,
            {
                "message": "Bad Request",
                "errors": [{"resource": "AuthorizationCode", "field": "code", "code": "invalid"}],
            },
            "invalid",
        ),
        dead=(
            400,
            {
                "message": "Bad Request",
                "errors": [{"resource": "RefreshToken", "field": "x", "code": "invalid"}],
            },
        ),
        userinfo=("GET", "https://www.strava.com/api/v3/athlete", {"id": 227615}),
        subject="227615",
        api=("athlete/activities", "https://www.strava.com/api/v3/athlete/activities"),
    ),
    Known(
        name="twitch",
        also="`Client-Id` in each call",
        authorize="https://id.twitch.tv/oauth2/authorize",
        token="https://id.twitch.tv/oauth2/token",
        scope="user:read:email",
        auth="post",
        refresh="rotates",
        shape=lambda body: {**body, "scope": body["scope"].split()},
        bad_code=(400, {"status": 400, "message": "Invalid authorization code"}, "token_missing"),
        dead=(400, {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"}),
        headers={"Client-Id": "app"},
        userinfo=(
            "GET",
            "https://api.twitch.tv/helix/users",
            {"data": [{"id": "141981764", "login": "ada"}]},
        ),
        subject="141981764",
        api=("streams", "https://api.twitch.tv/helix/streams"),
    ),
    Known(
        name="twitter",
        arguments={"offline": True},
        authorize="https://x.com/i/oauth2/authorize",
        token="https://api.x.com/2/oauth2/token",
        scope="users.read tweet.read offline.access",
        needs_pkce=True,
        refresh="rotates",
        dead=(
            400,
            {"error": "invalid_request", "error_description": "Value passed was invalid."},
        ),
        userinfo=(
            "GET",
            "https://api.x.com/2/users/me",
            {"data": {"id": "2244994945", "username": "ada"}},
        ),
        subject="2244994945",
        api=("tweets", "https://api.x.com/2/tweets"),
        revoke="https://api.x.com/2/oauth2/revoke",
    ),
    Known(
        name="twitter_oauth1",
        secret=OAUTH1_SECRET,
        authorize="https://api.x.com/oauth/authenticate",
        token="https://api.x.com/oauth/access_token",
        userinfo=("GET", "https://api.x.com/2/users/me", {}),
        oauth1={"data": {"id": "2244994945", "username": "ada"}},
        subject="2244994945",
        api=("users/me", "https://api.x.com/2/users/me"),
    ),
    Known(
        name="zoho",
        also="its `Authorization`, unusable `api_domain`",
        arguments={"data_center": "eu", "offline": True, "scope": "a.READ b.READ"},
        authorize="https://accounts.zoho.eu/oauth/v2/auth",
        token="https://accounts.zoho.eu/oauth/v2/token",
        scope="a.READ,b.READ",
        params={"access_type": "offline", "prompt": "consent"},
        auth="post",
        refresh="keeps",
        shape=lambda body: {**body, "api_domain": "https://www.zohoapis.eu"},
        scheme="Zoho-oauthtoken",
        bad_code=(200, {"error": "invalid_code"}, "invalid_code"),
        dead=(200, {"error": "invalid_code"}),
        userinfo=(
            "GET",
            "https://accounts.zoho.eu/oauth/user/info",
            {"ZUID": 675925609, "Email": "ada@example.org"},
        ),
        subject="675925609",
        api=("crm/v8/Leads", "https://www.zohoapis.eu/crm/v8/Leads"),
    ),
]
