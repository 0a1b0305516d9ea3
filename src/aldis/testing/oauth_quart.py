"""A logged-in user in one line, for the tests of Quart apps that use :mod:`aldis.oauth.quart`.

::

    async def test_the_profile(client):
        await log_in(client, github, responses={"/user": {"login": "ada"}})
        response = await client.get("/profile")
        assert "ada" in await response.get_data(as_text=True)

The login runs through the views of the blueprint, with the receivers and the storage of the app.
Only the provider is replaced. No call leaves the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aldis._optional import needs
from aldis.oauth._async_oauth2 import AsyncOAuth2Provider
from aldis.oauth.quart import OAuthBlueprint
from aldis.testing.oauth import FakeProvider, canned_response, issued_token, query_of

with needs("aldis.testing.oauth_quart", "oauth-quart", httpx2="httpx2", quart="Quart"):
    import httpx2
    from quart import Response
    from quart.typing import TestClientProtocol

__all__ = ["log_in"]


async def log_in(
    client: TestClientProtocol,
    blueprint: OAuthBlueprint,
    *,
    userinfo: Mapping[str, Any] | None = None,
    token: Mapping[str, Any] | None = None,
    responses: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> Response:
    """Log the user of a test client in, without a provider.

    The provider stays replaced in the client's app, until the next call of this function.

    Args:
        client: A test client of the app.
        blueprint: The blueprint of the provider.
        userinfo: The claims of the id_token. The default is ``{"sub": "test-user"}``.
        token: Values to add to the token.
        responses: The provider's responses to the app's own calls, by path: an object for JSON, or
            an ``httpx2.Response``. A call to another path raises AssertionError.
        error: An error code. With it, the provider refuses the login.

    Returns:
        The response of the callback. It is a redirect, or the Response of a receiver.
    """
    app = client.app
    issued = issued_token(userinfo, token)
    blueprint.use_provider(
        app, lambda settings: _FakeProvider(settings, issued, dict(responses or {}))
    )
    async with app.test_request_context("/"):
        begin, back = blueprint.urls()
    answer: Any = await client.get(begin)
    query = query_of(answer.headers.get("Location", ""), error)
    if query is not None:
        answer = await client.get(back, query_string=query)
    response: Response = answer
    return response


class _FakeProvider(FakeProvider, AsyncOAuth2Provider):
    def client(self, token: Mapping[str, Any], *, pooled: bool = False) -> Any:  # noqa: ARG002 - the protocol
        def respond(request: httpx2.Request) -> httpx2.Response:
            found = canned_response(self.responses, request.method, request.url.path)
            if isinstance(found, httpx2.Response):
                return found
            return httpx2.Response(200, json=found)

        # The token of a test may have expired, and `refresh` has no other one.
        made = self._session(
            token=dict(token), leeway=float("-inf"), adapter=httpx2.MockTransport(respond)
        )
        made.follows_redirects = True
        return made
