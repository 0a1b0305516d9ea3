"""A logged-in user in one line, for the tests of apps that use :mod:`aldis.oauth`.

::

    def test_the_profile(client):
        log_in(client, github, userinfo={"sub": "ada"}, responses={"/user": {"login": "ada"}})
        assert "ada" in client.get("/profile").text

The login runs through the views of the blueprint, with the receivers and the storage of the app.
Only the provider is replaced. No call leaves the process.
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
    claims = dict(userinfo or {"sub": "test-user"})
    issued = {"access_token": "test-token", "token_type": "Bearer", **(token or {})}
    app = client.application
    blueprint.use_provider(
        app,
        lambda settings: _FakeProvider(
            settings, {**issued, "userinfo": claims}, dict(responses or {})
        ),
    )
    with app.test_request_context():
        begin, back = blueprint.urls()
    answer = client.get(begin)
    location = answer.headers.get("Location", "")
    if not location.startswith(_PAGE):
        return answer
    (state,) = parse_qs(urlsplit(location).query)["state"]
    query = {"state": state, **({"error": error} if error else {"code": "test-code"})}
    return client.get(back, query_string=query)


class _FakeProvider(OAuth2Provider):
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
        self._responses = responses

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

    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> requests.Session:  # noqa: ARG002 - the protocol
        made: requests.Session = super().client(token)
        for prefix in ("https://", "http://"):
            made.mount(prefix, _CannedAdapter(self._responses))
        return made


class _CannedAdapter(BaseAdapter):
    def __init__(self, responses: Mapping[str, Any]) -> None:
        super().__init__()
        self._responses = responses

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> Any:
        path = urlsplit(request.url or "").path
        if path not in self._responses:
            message = (
                f"the app called {request.method} {path} of the provider, and the test gave no "
                f"response for it: add {path!r} to responses of log_in()"
            )
            raise AssertionError(message)
        found = self._responses[path]
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
