"""OAuth 1.0a: Authlib's client, made to keep tokens out of logs and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth1Session  # type: ignore[import-untyped]

from aldis.errors import LoginError
from aldis.oauth.failures import Failure
from aldis.oauth.pending import PendingLogin
from aldis.oauth.settings import Settings, Started

__all__ = ["OAuth1Provider", "RefusedError"]


class RefusedError(LoginError):
    """An OAuth 1 provider answered with something other than a token.

    Args:
        code: As of :class:`LoginError`.
        description: As of :class:`LoginError`.
        response: The answer.
    """

    def __init__(self, code: str, description: str, response: requests.Response) -> None:
        super().__init__(code, description)
        self.response = response


class OAuth1Provider:
    """Talks to an OAuth 1.0a provider; knows nothing of users and requests.

    Args:
        settings: The provider.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, redirect_uri: str) -> Started:
        """Fetch a request token, and return where to send the user with it."""
        with self._session(redirect_uri=redirect_uri) as client:
            granted = client.fetch_request_token(
                self.settings.request_token_url, timeout=self.settings.timeout
            )
            url = client.create_authorization_url(
                self.settings.authorization_url, **self.settings.authorization_url_params
            )
        return Started(url, granted["oauth_token"], granted["oauth_token_secret"])

    def state_in(self, args: Mapping[str, str]) -> str | None:
        """Return the request token that the provider repeats, also when the user has declined."""
        return args.get("oauth_token") or args.get("denied")

    def error_in(self, args: Mapping[str, str]) -> Failure | None:  # noqa: ARG002 - as OAuth 2
        """Return nothing: a provider that declines leaves out the verifier."""
        return None

    def check_origin(self, args: Mapping[str, str]) -> None:
        """Accept every answer: the request token says which provider it is from."""

    def finish(
        self,
        args: Mapping[str, str],
        redirect_uri: str,  # noqa: ARG002 - OAuth 2 repeats it
        login: PendingLogin,
    ) -> dict[str, Any]:
        """Return the token for the verifier in ``args``.

        Raises:
            LoginError: There is no verifier, or the provider refused.
            Exception: Whatever requests raises when the provider cannot be reached.
        """
        verifier = args.get("oauth_verifier")
        if not verifier:
            raise LoginError("verifier_missing", "the provider sent no verifier back")
        known = {"token": args["oauth_token"], "token_secret": login.secret, "verifier": verifier}
        with self._session(**known) as client:
            token: dict[str, Any] = client.fetch_access_token(
                self.settings.token_url, timeout=self.settings.timeout
            )
        return token

    def client(self, token: Mapping[str, Any]) -> requests.Session:
        """Return a new HTTP client that signs with ``token``."""
        made: requests.Session = self._session(
            token=token["oauth_token"], token_secret=token["oauth_token_secret"]
        )
        return made

    def authorizes(self, token: Mapping[str, Any]) -> bool:
        """Tell whether calls can be made with ``token``."""
        return bool(token.get("oauth_token") and token.get("oauth_token_secret"))

    def expired(self, token: Mapping[str, Any], leeway: float) -> bool:  # noqa: ARG002 - as OAuth 2
        """Return ``False``: OAuth 1 tokens do not run out."""
        return False

    def refresh(self, token: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - as OAuth 2
        """Raise: OAuth 1 renews nothing.

        Raises:
            LoginError: Always.
        """
        raise LoginError("refresh_unsupported", "OAuth 1 tokens are not renewed")

    def _session(self, **options: Any) -> _Session:
        return _Session(
            self.settings.client_id,
            self.settings.client_secret,
            **{**self.settings.client_options, **options},
        )


class _Session(OAuth1Session):  # type: ignore[misc]
    """Authlib's session, whose errors repeat the answer: and the answer may be a token."""

    def fetch_request_token(self, url: str, **kwargs: Any) -> dict[str, Any]:
        return self._checked(super().fetch_request_token, url, **kwargs)

    def fetch_access_token(
        self, url: str, verifier: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return self._checked(super().fetch_access_token, url, verifier, **kwargs)

    def _checked(
        self, fetch: Callable[..., dict[str, Any]], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        answers: list[requests.Response] = []

        def note(answer: requests.Response, **_options: Any) -> None:
            answers.append(answer)

        try:
            token = fetch(*args, hooks={"response": note}, **kwargs)
        except ValueError:
            if not answers:
                raise
            # Not with a cause: Authlib's message repeats the answer.
            raise _unusable(answers[-1]) from None
        if not token.get("oauth_token") or not token.get("oauth_token_secret"):
            raise _unusable(answers[-1])
        return token

    def parse_response_token(self, status_code: int, text: str) -> dict[str, Any]:
        if status_code >= HTTPStatus.BAD_REQUEST:
            raise ValueError(status_code)
        token: dict[str, Any] = super().parse_response_token(status_code, text)
        if not token.get("oauth_token"):
            raise ValueError("no token")
        return token


def _unusable(answer: requests.Response) -> RefusedError:
    if answer.ok:
        return RefusedError("provider_error", "the provider's answer holds no token", answer)
    text = f"the provider refused a token (HTTP {answer.status_code})"
    return RefusedError("token_refused", text, answer)
