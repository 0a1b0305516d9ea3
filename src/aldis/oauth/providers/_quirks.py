"""The functions of presets, for deviations that data cannot describe."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from aldis.errors import OAuthSetupError
from aldis.oauth.providers._preset import check_host

__all__ = [
    "add_client_id",
    "apple_name",
    "apple_secret",
    "microsoft_issuer",
    "okta_domain",
    "okta_server",
    "salesforce_url",
    "slack_token",
    "use_zoho_header",
    "zoho_urls",
]

#: The seconds for which a client secret for Apple is valid. Apple allows six months.
APPLE_LIFETIME: Final = 300

#: The tenants of Microsoft whose id_tokens come from the user's own tenant.
SHARED_TENANTS: Final = ("common", "organizations")

_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: The hosts of Zoho's data centres: for logins, and for its API.
ZOHO_HOSTS: Final[Mapping[str, tuple[str, str]]] = {
    "us": ("accounts.zoho.com", "www.zohoapis.com"),
    "eu": ("accounts.zoho.eu", "www.zohoapis.eu"),
    "in": ("accounts.zoho.in", "www.zohoapis.in"),
    "au": ("accounts.zoho.com.au", "www.zohoapis.com.au"),
    "cn": ("accounts.zoho.com.cn", "www.zohoapis.com.cn"),
    "jp": ("accounts.zoho.jp", "www.zohoapis.jp"),
    "ca": ("accounts.zohocloud.ca", "www.zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "www.zohoapis.sa"),
    "uk": ("accounts.zoho.uk", "www.zohoapis.uk"),
}


def apple_secret(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the setting that makes Apple's client secret: a JWT that a private key signs."""
    made: dict[tuple[str, str | None], tuple[float, str]] = {}

    def make(client_id: str, private_key: str | None) -> str:
        now = int(time.time())
        until, secret = made.get((client_id, private_key), (0.0, ""))
        if now < until:
            return secret
        claims: dict[str, Any] = {
            "iss": parameters["team_id"],
            "sub": client_id,
            "aud": "https://appleid.apple.com",
            "iat": now,
            "exp": now + APPLE_LIFETIME,
        }
        header = {"alg": "ES256", "kid": parameters["key_id"]}
        try:
            key = ECKey.import_key((private_key or "").replace("\\n", "\n"))
            secret = jwt.encode(header, claims, key)
        except (JoseError, ValueError, TypeError):
            message = (
                "the client_secret of Apple is not a private key: give the text of the .p8 file "
                'that Apple lets you download, with "-----BEGIN PRIVATE KEY-----"'
            )
            # Without a cause, because it may contain a part of the key.
            raise OAuthSetupError(message) from None
        made[client_id, private_key] = now + APPLE_LIFETIME / 2, secret
        return secret

    return {"secret_maker": make}


def apple_name(args: Mapping[str, str]) -> dict[str, Any]:
    """Return the user's name in Apple's response, which only the first login has."""
    try:
        name = json.loads(args.get("user", ""))["name"]
        given, family = name.get("firstName"), name.get("lastName")
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
    parts = {"given_name": given, "family_name": family}
    known = {key: each for key, each in parts.items() if isinstance(each, str) and each}
    return {**known, "name": " ".join(known.values())} if known else {}


def microsoft_issuer(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the setting for the issuer. The metadata of a shared tenant has a template for it."""
    if parameters["tenant"].lower() not in SHARED_TENANTS:
        return {}
    return {"issuer": _issuer_of_tenant}


def _issuer_of_tenant(claims: Mapping[str, Any]) -> str | None:
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or not _GUID.fullmatch(tenant):
        return None
    return f"https://login.microsoftonline.com/{tenant}/v2.0"


def okta_domain(value: Any) -> str:
    """Return the domain of an organisation of Okta.

    Raises:
        ValueError: It is not a host, or it is the host of the admin console.
    """
    host = check_host(value)
    first, dot, rest = host.partition(".")
    if first.endswith("-admin"):
        right = f"{first.removesuffix('-admin')}{dot}{rest}"
        raise ValueError(f"it is the host of the admin console: type {right!r}")
    return host


def okta_server(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata URL of Okta's org server, or of a custom authorization server."""
    server = parameters["server"]
    path = "" if server == "org" else f"/oauth2/{server}"
    url = f"https://{parameters['domain']}{path}/.well-known/openid-configuration"
    return {"server_metadata_url": url}


def add_client_id(session: Any) -> None:
    """Add the header ``Client-Id`` to each call, for Twitch."""
    session.headers["Client-Id"] = session.client_id


def slack_token(session: Any) -> None:
    """Use the user's token in Slack's response if the app has no bot, and its scopes."""

    def lift(response: Any) -> Any:
        try:
            body = response.json()
        except ValueError:
            return response
        user = body.get("authed_user") if isinstance(body, dict) else None
        if not isinstance(user, dict) or not user.get("access_token") or body.get("access_token"):
            return response
        names = ("access_token", "refresh_token", "expires_in", "scope", "token_type")
        lifted = {name: user[name] for name in names if name in user}
        kept = {name: value for name, value in user.items() if name not in lifted}
        return _Lifted(response, {**body, **lifted, "authed_user": kept})

    def use_bearer(response: Any) -> Any:
        found = lift(response)
        try:
            body = found.json()
        except ValueError:
            return found
        if isinstance(body, dict) and body.get("token_type") in ("bot", "user"):
            return _Lifted(found, {**body, "token_type": "Bearer"})
        return found

    session.register_compliance_hook("access_token_response", use_bearer)
    session.register_compliance_hook("refresh_token_response", use_bearer)


class _Lifted:
    """A response with another JSON body."""

    def __init__(self, response: Any, body: Mapping[str, Any]) -> None:
        self._response = response
        self._body = body

    def json(self) -> dict[str, Any]:
        return dict(self._body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


def use_zoho_header(session: Any) -> None:
    """Send the token in Zoho's own form of the header ``Authorization``."""

    def change(url: Any, headers: Any, body: Any) -> Any:
        kind, _, token = headers["Authorization"].partition(" ")
        if kind == "Bearer":
            headers["Authorization"] = f"Zoho-oauthtoken {token}"
        return url, headers, body

    session.register_compliance_hook("protected_request", change)


def zoho_urls(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the URLs of a data centre of Zoho. The token has the base URL of the user's API."""
    accounts, api = ZOHO_HOSTS[parameters["data_center"]]
    return {
        "authorization_url": f"https://{accounts}/oauth/v2/auth",
        "token_url": f"https://{accounts}/oauth/v2/token",
        "userinfo_url": f"https://{accounts}/oauth/user/info",
        "base_url": lambda token: _web(token.get("api_domain")) or f"https://{api}",
    }


def salesforce_url(token: Mapping[str, Any]) -> str | None:
    """Return the base URL of the user's organisation, which Salesforce sends with the token."""
    return _web(token.get("instance_url"))


def _web(url: Any) -> str | None:
    """Return ``url`` if it is an HTTPS URL. A token must not be sent in the clear."""
    return url if isinstance(url, str) and url.startswith("https://") else None
