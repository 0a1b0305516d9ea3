"""The presets. Each states the page that its settings come from.

The file is long because it is one list, in the order of the alphabet. Only ``AZURE`` comes later,
because it is ``MICROSOFT`` under another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from aldis.oauth.providers import _quirks
from aldis.oauth.providers._preset import (
    Parameter,
    Preset,
    check_host,
    check_id,
    check_name,
    check_url,
    choice,
)
from aldis.version import __version__

__all__ = [
    "APPLE",
    "ATLASSIAN",
    "AUTH0",
    "AZURE",
    "DEXCOM",
    "DIGITALOCEAN",
    "DISCORD",
    "DROPBOX",
    "FACEBOOK",
    "GITHUB",
    "GITLAB",
    "GOOGLE",
    "HEROKU",
    "JIRA",
    "JIRA_OAUTH1",
    "KEYCLOAK",
    "LEFT_OUT",
    "LINKEDIN",
    "MEETUP",
    "MICROSOFT",
    "NYLAS",
    "OKTA",
    "ORCID",
    "OSM",
    "PRESETS",
    "REDDIT",
    "SALESFORCE",
    "SLACK",
    "SLACK_OPENID",
    "SPOTIFY",
    "STRAVA",
    "TWITCH",
    "TWITTER",
    "TWITTER_OAUTH1",
    "ZOHO",
]

#: The date on which the pages of the providers were read. Their copies may be older.
READ: Final = date(2026, 11, 28)

POST: Final = {"token_endpoint_auth_method": "client_secret_post"}
OPENID: Final = "openid profile email"


def _discovery(base: str) -> str:
    return f"{base}/.well-known/openid-configuration"


APPLE: Final = Preset(
    name="apple",
    title="Apple",
    settings={
        "server_metadata_url": _discovery("https://appleid.apple.com"),
        "scope": "openid email name",
        "authorization_url_params": {"response_mode": "form_post"},
        "client_options": POST,
        "pkce": False,
        "userinfo_in_id_token": True,
        "userinfo_subject": "sub",
        "callback_claims": _quirks.apple_name,
    },
    parameters=(
        Parameter(
            name="team_id",
            meaning="the id of your team at Apple",
            example="DEF123GHIJ",
            check=check_id,
        ),
        Parameter(
            name="key_id",
            meaning="the id of the private key",
            example="ABC123DEFG",
            check=check_id,
        ),
    ),
    derive=_quirks.apple_secret,
    documentation="https://developer.apple.com/documentation/signinwithapplerestapi",
    read=READ,
    also="PKCE off: the code of next-auth",
    quirks=(
        "form POST; the client secret is a JWT, signed with ES256 by the private key in "
        "`client_secret`; the name is only in the first response; no userinfo endpoint; no PKCE"
    ),
)

ATLASSIAN: Final = Preset(
    name="atlassian",
    title="Atlassian Cloud",
    settings={
        "authorization_url": "https://auth.atlassian.com/authorize",
        "token_url": "https://auth.atlassian.com/oauth/token",
        "base_url": "https://api.atlassian.com/",
        "scope": "read:me",
        "authorization_url_params": {"audience": "api.atlassian.com", "prompt": "consent"},
        "client_options": POST,
        "pkce": False,
        "userinfo_url": "https://api.atlassian.com/me",
        "userinfo_subject": "account_id",
    },
    offline={"scope": "offline_access"},
    documentation="https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
    read=READ,
    also="PKCE off and `/me`: the code of next-auth",
    quirks="`audience` and `prompt=consent`; refresh tokens rotate; no PKCE",
)

AUTH0: Final = Preset(
    name="auth0",
    title="Auth0",
    settings={
        "server_metadata_url": _discovery("https://{domain}"),
        "base_url": "https://{domain}/",
        "scope": OPENID,
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="domain",
            meaning="the domain of your tenant",
            example="example.eu.auth0.com",
            check=check_host,
        ),
    ),
    offline={"scope": "offline_access"},
    documentation="https://auth0.com/docs/authenticate/login/logout/log-users-out-of-auth0",
    read=READ,
    quirks="an API needs `audience` in `authorization_url_params` and `refresh_params`; logout",
)

DEXCOM: Final = Preset(
    name="dexcom",
    title="Dexcom",
    settings={
        "authorization_url": "https://{host}/v2/oauth2/login",
        "token_url": "https://{host}/v2/oauth2/token",
        "base_url": "https://{host}/",
        "scope": "offline_access",
        "client_options": POST,
        "userinfo_url": "https://{host}/v3/users/self/dataRange",
        "userinfo_subject": "userId",
    },
    parameters=(
        Parameter(
            name="host",
            meaning="the host of the users' region, or of the sandbox",
            example="api.dexcom.eu",
            check=choice(
                "api.dexcom.com", "api.dexcom.eu", "api.dexcom.jp", "sandbox-api.dexcom.com"
            ),
            default="api.dexcom.com",
        ),
    ),
    documentation="https://developer.dexcom.com/docs/dexcom/authentication",
    read=READ,
    also="the paths of the login: the code of Flask-Dance",
    quirks="secret in the form; the user's id is in the data range",
)

DIGITALOCEAN: Final = Preset(
    name="digitalocean",
    title="DigitalOcean",
    settings={
        "authorization_url": "https://cloud.digitalocean.com/v1/oauth/authorize",
        "token_url": "https://cloud.digitalocean.com/v1/oauth/token",
        "base_url": "https://api.digitalocean.com/v2/",
        "scope": "read",
        "client_options": POST,
        "userinfo_url": "https://api.digitalocean.com/v2/account",
        "userinfo_subject": "account.uuid",
    },
    documentation="https://docs.digitalocean.com/documentation/oauth",
    read=READ,
    also="`/v2/account`: the code of social-core",
    quirks="the user's id is nested; the token contains personal data (`info`)",
)

DISCORD: Final = Preset(
    name="discord",
    title="Discord",
    settings={
        "authorization_url": "https://discord.com/api/oauth2/authorize",
        "token_url": "https://discord.com/api/oauth2/token",
        "revocation_url": "https://discord.com/api/oauth2/token/revoke",
        "base_url": "https://discord.com/",
        "scope": "identify",
        "user_agent": f"DiscordBot (aldis.oauth, {__version__})",
        "userinfo_url": "https://discord.com/api/users/@me",
        "userinfo_subject": "id",
    },
    documentation="https://docs.discord.com/developers/platform/oauth2-and-permissions",
    read=READ,
    also="the URLs: the code of next-auth and social-core",
    quirks="its own form of `User-Agent`; 429 at the token endpoint is not a rejection",
)

DROPBOX: Final = Preset(
    name="dropbox",
    title="Dropbox",
    settings={
        "authorization_url": "https://www.dropbox.com/oauth2/authorize",
        "token_url": "https://api.dropboxapi.com/oauth2/token",
        "base_url": "https://api.dropboxapi.com/2/",
        "scope": "account_info.read",
        "userinfo_url": "https://api.dropboxapi.com/2/users/get_current_account",
        "userinfo_options": {"method": "POST"},
        "userinfo_subject": "account_id",
    },
    offline={"authorization_url_params": {"token_access_type": "offline"}},
    documentation="https://dropbox.tech/developers/using-oauth-2-0-with-offline-access",
    read=READ,
    also="userinfo: the code of next-auth",
    quirks="`token_access_type=offline` for refresh tokens; userinfo is a POST",
)

FACEBOOK: Final = Preset(
    name="facebook",
    title="Facebook",
    settings={
        "authorization_url": "https://www.facebook.com/dialog/oauth",
        "token_url": "https://graph.facebook.com/oauth/access_token",
        "base_url": "https://graph.facebook.com/",
        "scope": "public_profile email",
        "scope_separator": ",",
        "client_options": POST,
        "userinfo_url": "https://graph.facebook.com/me?fields=id,name,email",
        "userinfo_subject": "id",
    },
    offline=None,
    documentation=(
        "https://developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow"
    ),
    read=READ,
    also="userinfo: the code of next-auth",
    quirks="scopes joined by commas; errors are objects; no refresh tokens",
)

GITHUB: Final = Preset(
    name="github",
    title="GitHub",
    settings={
        "authorization_url": "https://github.com/login/oauth/authorize",
        "token_url": "https://github.com/login/oauth/access_token",
        "base_url": "https://api.github.com/",
        "client_options": POST,
        "userinfo_url": "https://api.github.com/user",
        "userinfo_subject": "id",
    },
    documentation=(
        "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps"
    ),
    read=READ,
    quirks=(
        "errors with HTTP 200; forms without `Accept`; scopes joined by commas in responses; "
        "GitHub Apps get refresh tokens that rotate, OAuth Apps get none"
    ),
)

GITLAB: Final = Preset(
    name="gitlab",
    title="GitLab",
    settings={
        "server_metadata_url": _discovery("https://{domain}"),
        "base_url": "https://{domain}/api/v4/",
        "scope": OPENID,
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="domain",
            meaning="the host of a self-managed GitLab",
            example="gitlab.example.org",
            check=check_host,
            default="gitlab.com",
        ),
    ),
    documentation="https://docs.gitlab.com/integration/openid_connect_provider/",
    read=READ,
    quirks="the id_token has few claims: ask userinfo; refresh tokens rotate",
)

GOOGLE: Final = Preset(
    name="google",
    title="Google",
    settings={
        "server_metadata_url": _discovery("https://accounts.google.com"),
        "issuer": ("https://accounts.google.com", "accounts.google.com"),
        "base_url": "https://www.googleapis.com/",
        "scope": OPENID,
        "userinfo_subject": "sub",
    },
    offline={"authorization_url_params": {"access_type": "offline"}},
    documentation="https://developers.google.com/identity/openid-connect/reference",
    read=READ,
    quirks="two issuers; `access_type=offline`; a refresh token only at the first consent",
)

HEROKU: Final = Preset(
    name="heroku",
    title="Heroku",
    settings={
        "authorization_url": "https://id.heroku.com/oauth/authorize",
        "token_url": "https://id.heroku.com/oauth/token",
        "base_url": "https://api.heroku.com/",
        "scope": "identity",
        "headers": {"Accept": "application/vnd.heroku+json; version=3"},
        "client_options": POST,
        "userinfo_url": "https://api.heroku.com/account",
        "userinfo_subject": "id",
    },
    documentation="https://devcenter.heroku.com/articles/oauth",
    read=READ,
    also="`Accept`: the code of Flask-Dance",
    quirks="`Accept` with the version of the API",
)

_JIRA_SERVER: Final = Parameter(
    name="server_url",
    meaning="the base URL of your Jira Data Center",
    example="https://jira.example.org",
    check=check_url,
)

JIRA: Final = Preset(
    name="jira",
    title="Jira Data Center",
    settings={
        "authorization_url": "{server_url}/rest/oauth2/latest/authorize",
        "token_url": "{server_url}/rest/oauth2/latest/token",
        "base_url": "{server_url}/",
        "scope": "READ",
        "client_options": POST,
        "userinfo_url": "{server_url}/rest/api/2/myself",
        "userinfo_subject": "key",
    },
    parameters=(_JIRA_SERVER,),
    documentation=(
        "https://confluence.atlassian.com/adminjiraserver101/"
        "jira-oauth-2-0-provider-api-1455427907.html"
    ),
    read=READ,
    quirks="the server may have a path; refresh tokens rotate. Jira Cloud: use `atlassian`",
)

JIRA_OAUTH1: Final = Preset(
    name="jira_oauth1",
    title="Jira Data Center (OAuth 1.0a)",
    settings={
        "request_token_url": "{server_url}/plugins/servlet/oauth/request-token",
        "token_url": "{server_url}/plugins/servlet/oauth/access-token",
        "authorization_url": "{server_url}/plugins/servlet/oauth/authorize",
        "base_url": "{server_url}/",
        "headers": {"Content-Type": "application/json"},
        "client_options": {"signature_method": "RSA-SHA1"},
        "userinfo_url": "{server_url}/rest/api/2/myself",
        "userinfo_subject": "key",
    },
    parameters=(_JIRA_SERVER,),
    offline=None,
    documentation=(
        "https://developer.atlassian.com/display/JIRADEV/"
        "JIRA+REST+API+Example+-+OAuth+authentication"
    ),
    read=READ,
    also="the paths: the code of Flask-Dance",
    quirks="RSA-SHA1 with the private key in `client_secret`; `Content-Type` on each call",
)

KEYCLOAK: Final = Preset(
    name="keycloak",
    title="Keycloak",
    settings={
        "server_metadata_url": _discovery("{server_url}/realms/{realm}"),
        "base_url": "{server_url}/",
        "scope": OPENID,
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="server_url",
            meaning="the URL of your Keycloak, with /auth before version 17",
            example="https://sso.example.org",
            check=check_url,
        ),
        Parameter(name="realm", meaning="the name of the realm", example="staff", check=check_name),
    ),
    offline={"scope": "offline_access"},
    documentation="https://www.keycloak.org/securing-apps/oidc-layers",
    read=READ,
    quirks="logout ends the session of the realm",
)

LINKEDIN: Final = Preset(
    name="linkedin",
    title="LinkedIn",
    settings={
        "server_metadata_url": _discovery("https://www.linkedin.com/oauth"),
        "base_url": "https://api.linkedin.com/v2/",
        "scope": OPENID,
        "client_options": POST,
        "nonce": False,
        "pkce": False,
        "userinfo_subject": "sub",
    },
    offline=None,
    documentation=(
        "https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/"
        "sign-in-with-linkedin-v2"
    ),
    read=READ,
    also="nonce and PKCE off: the code of next-auth",
    quirks="no nonce; no PKCE; secret in the form; refresh tokens only for chosen partners",
)

MEETUP: Final = Preset(
    name="meetup",
    title="Meetup",
    settings={
        "authorization_url": "https://secure.meetup.com/oauth2/authorize",
        "token_url": "https://secure.meetup.com/oauth2/access",
        "base_url": "https://api.meetup.com/",
        "client_options": POST,
        "userinfo_url": "https://api.meetup.com/gql-ext",
        "userinfo_options": {"method": "POST", "json": {"query": "query { self { id name } }"}},
        "userinfo_subject": "data.self.id",
    },
    documentation="https://www.meetup.com/graphql/guide/",
    read=READ,
    also="the login: https://meetup.com/api/authentication/",
    quirks="secret in the form; the API is GraphQL, and its errors have HTTP 200",
)

MICROSOFT: Final = Preset(
    name="microsoft",
    title="Microsoft Entra ID",
    settings={
        "server_metadata_url": _discovery("https://login.microsoftonline.com/{tenant}/v2.0"),
        "base_url": "https://graph.microsoft.com/",
        "scope": "openid email profile User.Read",
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="tenant",
            meaning='the id or the domain of a tenant, or "common", "organizations", "consumers"',
            example="example.onmicrosoft.com",
            check=check_name,
            default="common",
        ),
    ),
    derive=_quirks.microsoft_issuer,
    offline={"scope": "offline_access"},
    documentation=(
        "https://learn.microsoft.com/answers/questions/303897/"
        "why-doesnt-the-httpsloginmicrosoftonlinecomcommon.html"
    ),
    read=READ,
    also="the metadata URL and the scopes: the code of next-auth",
    quirks="the issuer of `common` and `organizations` is a template; logout",
)

AZURE: Final = Preset(
    name="azure",
    title="Microsoft Azure",
    settings=MICROSOFT.settings,
    parameters=MICROSOFT.parameters,
    derive=MICROSOFT.derive,
    offline=MICROSOFT.offline,
    documentation=MICROSOFT.documentation,
    read=READ,
    quirks="`microsoft` under Flask-Dance's name, with its URLs and configuration",
)

NYLAS: Final = Preset(
    name="nylas",
    title="Nylas v3",
    settings={
        "authorization_url": "https://api.{region}.nylas.com/v3/connect/auth",
        "token_url": "https://api.{region}.nylas.com/v3/connect/token",
        "base_url": "https://api.{region}.nylas.com/v3/",
        "client_options": POST,
        "pkce": False,
        "userinfo_url": "https://api.{region}.nylas.com/v3/grants/me",
        "userinfo_subject": "data.id",
    },
    parameters=(
        Parameter(
            name="region",
            meaning="the region of your application",
            example="eu",
            check=choice("us", "eu"),
            default="us",
        ),
    ),
    offline={"authorization_url_params": {"access_type": "offline"}},
    documentation="https://developer.nylas.com/docs/v3/auth/hosted-oauth-accesstoken/",
    read=READ,
    also="userinfo: https://developer.nylas.com/docs/reference/api/manage-grants/",
    quirks="the API key is the client secret; its PKCE is not S256 of RFC 7636; ids of grants",
)

OKTA: Final = Preset(
    name="okta",
    title="Okta",
    settings={"base_url": "https://{domain}/", "scope": OPENID, "userinfo_subject": "sub"},
    parameters=(
        Parameter(
            name="domain",
            meaning="the domain of your organisation, without -admin",
            example="dev-123456.okta.com",
            check=_quirks.okta_domain,
        ),
        Parameter(
            name="server",
            meaning='the id of a custom authorization server, or "org"',
            example="default",
            check=check_name,
            default="org",
        ),
    ),
    derive=_quirks.okta_server,
    offline={"scope": "offline_access"},
    documentation="https://developer.okta.com/docs/concepts/auth-servers",
    read=READ,
    quirks="org server or custom server; the id_token has few claims: ask userinfo; logout",
)

ORCID: Final = Preset(
    name="orcid",
    title="ORCID",
    settings={
        "authorization_url": "https://{host}/oauth/authorize",
        "token_url": "https://{host}/oauth/token",
        "revocation_url": "https://{host}/oauth/revoke",
        "base_url": "https://pub.{host}/v3.0/",
        "scope": "/authenticate",
        "client_options": POST,
        "userinfo_url": "https://{host}/oauth/userinfo",
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="host",
            meaning="the host of ORCID, or of its sandbox",
            example="sandbox.orcid.org",
            check=choice("orcid.org", "sandbox.orcid.org"),
            default="orcid.org",
        ),
    ),
    documentation=(
        "https://github.com/ORCID/ORCID-Source/blob/master/orcid-api-web/tutorial/get_id.md"
    ),
    read=READ,
    also="userinfo: the code of social-core; revocation: the code of other clients",
    quirks="secret in the form; the token has the iD and the name",
)

OSM: Final = Preset(
    name="osm",
    title="OpenStreetMap",
    settings={
        "authorization_url": "https://{domain}/oauth2/authorize",
        "token_url": "https://{domain}/oauth2/token",
        "revocation_url": "https://{domain}/oauth2/revoke",
        "base_url": "https://{domain}/api/0.6/",
        "scope": "read_prefs",
        "userinfo_url": "https://{domain}/api/0.6/user/details.json",
        "userinfo_subject": "user.id",
    },
    parameters=(
        Parameter(
            name="domain",
            meaning="the host of OpenStreetMap, or of its server for tests",
            example="master.apis.dev.openstreetmap.org",
            check=check_host,
            default="www.openstreetmap.org",
        ),
    ),
    offline=None,
    documentation="https://wiki.openstreetmap.org/wiki/OAuth",
    read=READ,
    also="userinfo: the code of social-core; revocation: the code of other clients",
    quirks="tokens do not expire; the user's id is nested",
)

REDDIT: Final = Preset(
    name="reddit",
    title="Reddit",
    settings={
        "authorization_url": "https://www.reddit.com/api/v1/authorize",
        "token_url": "https://www.reddit.com/api/v1/access_token",
        "revocation_url": "https://www.reddit.com/api/v1/revoke_token",
        "base_url": "https://oauth.reddit.com/",
        "scope": "identity",
        "pkce": False,
        "user_agent": f"web:aldis.oauth:{__version__} (set user_agent to your own)",
        "userinfo_url": "https://oauth.reddit.com/api/v1/me",
        "userinfo_subject": "id",
    },
    offline={"authorization_url_params": {"duration": "permanent"}},
    documentation="https://github.com/reddit-archive/reddit/wiki/OAuth2",
    read=READ,
    also="PKCE off: the code of next-auth; revocation: the code of other clients",
    quirks="Basic authentication; its own `User-Agent`; `duration=permanent`; errors with HTTP 200",
)

SALESFORCE: Final = Preset(
    name="salesforce",
    title="Salesforce",
    settings={
        "server_metadata_url": _discovery("https://{domain}"),
        "base_url": _quirks.salesforce_url,
        "scope": OPENID,
        "client_options": POST,
        "userinfo_subject": "sub",
    },
    parameters=(
        Parameter(
            name="domain",
            meaning="the host of the login: a My Domain, or test.salesforce.com for a sandbox",
            example="example.my.salesforce.com",
            check=check_host,
            default="login.salesforce.com",
        ),
    ),
    offline={"scope": "refresh_token"},
    documentation=(
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_endpoints.htm"
        "&type=5"
    ),
    read=READ,
    quirks="the base URL is the token's `instance_url`; tokens have no lifetime; logout",
)

SLACK: Final = Preset(
    name="slack",
    title="Slack",
    settings={
        "authorization_url": "https://slack.com/oauth/v2/authorize",
        "token_url": "https://slack.com/api/oauth.v2.access",
        "base_url": "https://slack.com/api/",
        "authorization_url_params": {"user_scope": "users:read"},
        "scope_separator": ",",
        "pkce": False,
        "userinfo_url": "https://slack.com/api/auth.test",
        "userinfo_options": {"method": "POST"},
        "userinfo_subject": ("team_id", "user_id"),
        "compliance_fix": _quirks.slack_token,
    },
    documentation="https://docs.slack.dev/reference/methods/oauth.v2.access",
    read=READ,
    also="PKCE off: https://docs.slack.dev/authentication/using-pkce",
    quirks=(
        "errors with HTTP 200 and `ok: false`; a user's id is unique only with the id of the team; "
        "the user's token is in `authed_user`, and its "
        "scopes are in `user_scope`; token types `bot` and `user`; scopes joined by commas; PKCE "
        "is for public clients"
    ),
)

SLACK_OPENID: Final = Preset(
    name="slack_openid",
    title="Slack (Sign in with Slack)",
    settings={
        "server_metadata_url": _discovery("https://slack.com"),
        "base_url": "https://slack.com/api/",
        "scope": OPENID,
        "pkce": False,
        "userinfo_subject": "sub",
    },
    documentation="https://docs.slack.dev/reference/methods/openid.connect.token",
    read=READ,
    also="https://api.slack.com/.well-known/openid-configuration",
    quirks="errors with HTTP 200 and `ok: false`; PKCE is for public clients",
)

SPOTIFY: Final = Preset(
    name="spotify",
    title="Spotify",
    settings={
        "authorization_url": "https://accounts.spotify.com/authorize",
        "token_url": "https://accounts.spotify.com/api/token",
        "base_url": "https://api.spotify.com/",
        "scope": "user-read-email",
        "userinfo_url": "https://api.spotify.com/v1/me",
        "userinfo_subject": "id",
    },
    documentation=(
        "https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow"
    ),
    read=READ,
    also="the login and userinfo: the code of next-auth",
    quirks="Basic authentication; a refresh may keep the refresh token",
)

STRAVA: Final = Preset(
    name="strava",
    title="Strava",
    settings={
        "authorization_url": "https://www.strava.com/oauth/authorize",
        "token_url": "https://www.strava.com/api/v3/oauth/token",
        "base_url": "https://www.strava.com/api/v3/",
        "scope": "read",
        "scope_separator": ",",
        "client_options": POST,
        "userinfo_url": "https://www.strava.com/api/v3/athlete",
        "userinfo_subject": "id",
    },
    documentation="https://developers.strava.com/docs/authentication",
    read=READ,
    also="userinfo: the code of next-auth",
    quirks="scopes joined by commas; secret in the form; refresh tokens rotate",
)

TWITCH: Final = Preset(
    name="twitch",
    title="Twitch",
    settings={
        "authorization_url": "https://id.twitch.tv/oauth2/authorize",
        "token_url": "https://id.twitch.tv/oauth2/token",
        "base_url": "https://api.twitch.tv/helix/",
        "scope": "user:read:email",
        "client_options": POST,
        "compliance_fix": _quirks.add_client_id,
        "userinfo_url": "https://api.twitch.tv/helix/users",
        "userinfo_subject": "data.0.id",
    },
    documentation="https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/",
    read=READ,
    quirks="the header `Client-Id`; scopes are a list in responses; its own form of errors",
)

TWITTER: Final = Preset(
    name="twitter",
    title="X (Twitter)",
    settings={
        "authorization_url": "https://x.com/i/oauth2/authorize",
        "token_url": "https://api.x.com/2/oauth2/token",
        "revocation_url": "https://api.x.com/2/oauth2/revoke",
        "base_url": "https://api.x.com/2/",
        "scope": "users.read tweet.read",
        "userinfo_url": "https://api.x.com/2/users/me",
        "userinfo_subject": "data.id",
    },
    offline={"scope": "offline.access"},
    documentation="https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token",
    read=READ,
    also="the host of the login: the code of next-auth; revocation: the code of other clients",
    quirks="PKCE is required; Basic authentication; refresh tokens rotate",
)

TWITTER_OAUTH1: Final = Preset(
    name="twitter_oauth1",
    title="X (Twitter, OAuth 1.0a)",
    settings={
        "request_token_url": "https://api.x.com/oauth/request_token",
        "authorization_url": "https://api.x.com/oauth/authenticate",
        "token_url": "https://api.x.com/oauth/access_token",
        "base_url": "https://api.x.com/2/",
        "userinfo_url": "https://api.x.com/2/users/me",
        "userinfo_subject": "data.id",
    },
    offline=None,
    documentation="https://docs.x.com/fundamentals/authentication/api-reference",
    read=READ,
    quirks="HMAC-SHA1; tokens do not expire",
)

ZOHO: Final = Preset(
    name="zoho",
    title="Zoho",
    settings={
        "scope": "AaaServer.profile.READ",
        "scope_separator": ",",
        "client_options": POST,
        "compliance_fix": _quirks.use_zoho_header,
        "userinfo_subject": "ZUID",
    },
    parameters=(
        Parameter(
            name="data_center",
            meaning="the data centre of your users",
            example="eu",
            check=choice(*_quirks.ZOHO_HOSTS),
            default="us",
        ),
    ),
    derive=_quirks.zoho_urls,
    offline={"authorization_url_params": {"access_type": "offline", "prompt": "consent"}},
    documentation="https://www.zoho.com/accounts/protocol/oauth/use-access-token.html",
    read=READ,
    also="data centres: https://www.zoho.com/accounts/protocol/oauth/multi-dc.html",
    quirks=(
        "one host for each data centre; the base URL is the token's `api_domain`; its own "
        "`Authorization`; scopes joined by commas; errors with HTTP 200"
    ),
)

#: Every preset, by its name.
PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            APPLE,
            ATLASSIAN,
            AUTH0,
            AZURE,
            DEXCOM,
            DIGITALOCEAN,
            DISCORD,
            DROPBOX,
            FACEBOOK,
            GITHUB,
            GITLAB,
            GOOGLE,
            HEROKU,
            JIRA,
            JIRA_OAUTH1,
            KEYCLOAK,
            LINKEDIN,
            MEETUP,
            MICROSOFT,
            NYLAS,
            OKTA,
            ORCID,
            OSM,
            REDDIT,
            SALESFORCE,
            SLACK,
            SLACK_OPENID,
            SPOTIFY,
            STRAVA,
            TWITCH,
            TWITTER,
            TWITTER_OAUTH1,
            ZOHO,
        )
    }
)

#: The providers of Flask-Dance without a preset, and the reason.
LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "authentiq": (
            "the company has shut down, and its service is unavailable "
            "(https://gitlab.com/gitlab-org/gitlab/-/issues/389452)"
        ),
        "fitbit": (
            "Google turned off Fitbit's OAuth on 2 November 2026: use the preset 'google' with the "
            "scopes of the Google Health API (https://developers.google.com/health/migration)"
        ),
    }
)
