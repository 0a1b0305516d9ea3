"""A logged-in user in one line, for the tests of apps that use :mod:`aldis.oauth`.

::

    def test_the_profile(client):
        log_in(client, github, userinfo={"sub": "ada"}, responses={"/user": {"login": "ada"}})
        assert "ada" in client.get("/profile").text

The login runs through the views of the blueprint, with the receivers and the storage of the app.
Only the provider is replaced. No call leaves the process. :mod:`aldis.testing.oauth_quart` is for
Quart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests
from flask.testing import FlaskClient
from requests.adapters import BaseAdapter
from werkzeug.test import TestResponse

from aldis.oauth import OAuthBlueprint
from aldis.oauth._oauth2 import OAuth2Provider
from aldis.oauth._protocol import AuthorizationRequest, Settings, Token

__all__ = ["log_in"]

_PAGE: Final = "https://provider.invalid/authorize"


def log_in(
    client: FlaskClient,
    blueprint: OAuthBlueprint,
    *,
    userinfo: Mapping[str, Any] | None = None,
    token: Mapping[str, Any] | None = None,
    responses: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> TestResponse:
    """Log the user of a test client in, without a provider.

    The provider stays replaced in the client's app, until the next call of this function.

    Args:
        client: A test client of the app.
        blueprint: The blueprint of the provider.
        userinfo: The claims of the id_token. The default is ``{"sub": "test-user"}``.
        token: Values to add to the token.
        responses: The provider's responses to the app's own calls, by path: an object for JSON, or
            a :class:`requests.Response`. A call to another path raises AssertionError.
        error: An error code. With it, the provider refuses the login.

    Returns:
        The response of the callback. It is a redirect, or the Response of a receiver.
    """
    app = client.application
    issued = issued_token(userinfo, token)
    blueprint.use_provider(
        app, lambda settings: _FakeProvider(settings, issued, dict(responses or {}))
    )
    with app.test_request_context():
        begin, back = blueprint.urls()
    answer = client.get(begin)
    query = query_of(answer.headers.get("Location", ""), error)
    return answer if query is None else client.get(back, query_string=query)


def issued_token(userinfo: Mapping[str, Any] | None, token: Mapping[str, Any] | None) -> Token:
    """Return the token that the provider of a test issues."""
    claims = dict(userinfo or {"sub": "test-user"})
    known = {"access_token": "test-token", "token_type": "Bearer"}
    return {**known, **(token or {}), "userinfo": claims}


def query_of(location: str, error: str | None) -> dict[str, str] | None:
    """Return the query of the provider's response, or ``None`` if the app did not redirect to it.

    Args:
        location: The page to which the app redirected.
        error: An error code. With it, the provider refuses the login.
    """
    if not location.startswith(_PAGE):
        return None
    (state,) = parse_qs(urlsplit(location).query)["state"]
    return {"state": state, **({"error": error} if error else {"code": "test-code"})}


class FakeProvider(OAuth2Provider):
    """A provider that issues one token to each login, and gives canned responses."""

    def __init__(self, settings: Settings, token: Token, responses: Mapping[str, Any]) -> None:
        known: dict[str, Any] = {"authorization_url": _PAGE, "token_url": _PAGE, "jwks_uri": _PAGE}
        unused: dict[str, Any] = {
            "server_metadata_url": None,
            "request_token_url": None,
            "secret_maker": None,
        }
        super().__init__(replace(settings, issuer="test", **known, **unused))
        self._token = token
        self.responses: Mapping[str, Any] = responses

    async def fetch_token(
        self,
        args: Mapping[str, str],  # noqa: ARG002 - the protocol
        redirect_uri: str,  # noqa: ARG002
        request: AuthorizationRequest,  # noqa: ARG002
    ) -> Token:
        return dict(self._token)

    async def refresh(self, token: Mapping[str, Any]) -> Token:
        return {**token, "expires_at": None}

    async def userinfo(self, token: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the protocol
        return dict(self._token["userinfo"])


class _FakeProvider(FakeProvider):
    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> requests.Session:  # noqa: ARG002 - the protocol
        made: requests.Session = super().client(token)
        for prefix in ("https://", "http://"):
            made.mount(prefix, _CannedAdapter(self.responses))
        return made


def canned_response(responses: Mapping[str, Any], method: str, path: str) -> Any:
    """Return the test's response to a call of the app.

    Raises:
        AssertionError: The test gave none.
    """
    if path not in responses:
        message = (
            f"the app called {method} {path} of the provider, and the test gave no response for "
            f"it: add {path!r} to responses of log_in()"
        )
        raise AssertionError(message)
    return responses[path]


class _CannedAdapter(BaseAdapter):
    def __init__(self, responses: Mapping[str, Any]) -> None:
        super().__init__()
        self._responses = responses

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> Any:
        path = urlsplit(request.url or "").path
        found = canned_response(self._responses, str(request.method), path)
        if not isinstance(found, requests.Response):
            found = _as_response(found)
        found.url, found.request = str(request.url), request
        return found

    def close(self) -> None:
        """Do nothing, because no connection is open."""


def _as_response(content: Any) -> requests.Response:
    made = requests.Response()
    made.status_code = 200
    made.headers["Content-Type"] = "application/json"
    made.raw = BytesIO(json.dumps(content).encode())
    return made
