"""What went wrong in a login, told without giving away what must stay secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]

from aldis.errors import LoginError

__all__ = ["ErrorText", "Failure", "describe", "harmless", "one_line", "secrets_in", "stranger"]


class ErrorText(str):
    """An error's code or message, which knows the exception behind it.

    Attributes:
        exception: The exception, or ``None`` when the provider itself reported the error.
    """

    __slots__ = ("exception",)

    exception: BaseException | None

    def __new__(cls, text: str, exception: BaseException | None = None) -> Self:
        """Make it from ``text``."""
        made = super().__new__(cls, text)
        made.exception = exception
        return made


@dataclass(frozen=True, slots=True)
class Failure:
    """What ``oauth_error`` tells.

    Attributes:
        error: The code, with the exception behind it.
        description: The same for people.
        uri: A page that says more.
        response: What an OAuth 1 provider answered.
    """

    error: ErrorText
    description: str | None = None
    uri: str | None = None
    response: Any = None

    def as_oauth2(self) -> dict[str, Any]:
        """Return the payload of an OAuth 2 or OpenID Connect login."""
        return {
            "error": self.error,
            "error_description": self.description,
            "error_uri": self.uri,
        }

    def as_oauth1(self) -> dict[str, Any]:
        """Return the payload of an OAuth 1 login."""
        text = f"{self.error}: {self.description}" if self.description else str(self.error)
        message = ErrorText(text, self.error.exception)
        return {"message": message, "response": self.response}


def describe(error: Exception, secrets: Iterable[str | None] = (), response: Any = None) -> Failure:
    """Return the failure that ``error`` means.

    Args:
        error: Whatever was raised while the provider was talked to.
        secrets: What must not be repeated, even where the provider does.
        response: What an OAuth 1 provider answered.
    """
    code, description, uri = _told_by(error)
    known = _spellings(secrets)
    text = ErrorText(_without(code, known) or "", harmless(error, known))
    return Failure(text, _without(description, known), _without(uri, known), response)


def harmless(error: Exception, secrets: Iterable[str | None]) -> Exception:
    """Return ``error``, or a :class:`LoginError` in its place when it repeats a secret.

    A traceback shows what is behind an error, too, so that is looked at as well.
    """
    known = _spellings(secrets)
    if isinstance(error, LoginError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    texts = [text for each in _behind(error) for text in (str(each), repr(each))]
    if not any(secret in text for secret in known for text in texts):
        return error
    return LoginError(type(error).__name__, _without(str(error), known))


def _behind(error: BaseException) -> list[BaseException]:
    """Return ``error`` and all that its traceback would show."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and not any(each is other for other in found):
            found.append(each)
            waiting += [each.__cause__, None if each.__suppress_context__ else each.__context__]
    return found


def secrets_in(token: Mapping[str, Any]) -> list[str]:
    """Return what must not be repeated of a token."""
    named = ((key, value) for key, value in token.items() if "token" in key)
    return [value for key, value in named if isinstance(value, str) and key != "token_type"]


def stranger(state: str | None) -> Failure:
    """Return the failure of an answer that belongs to no login of this user."""
    if state is None:
        error = LoginError("state_missing", "the answer belongs to no login")
    else:
        text = "the login is not under way: used already, too old, or the session was lost"
        error = LoginError("state_unknown", text)
    return Failure(ErrorText(error.code, error), error.description)


def one_line(text: str) -> str:
    """Return a provider's word as it may be written to a log."""
    return ascii(text)[1:-1][:200]


def _told_by(error: Exception) -> tuple[str, str | None, str | None]:
    if isinstance(error, LoginError):
        return error.code, error.description, error.uri
    if isinstance(error, AuthlibBaseError):
        return str(error.error), error.description or None, error.uri
    kind = type(error).__name__
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "provider_unreachable", f"the provider could not be reached ({kind})", None
    return "provider_error", f"the provider gave an unusable answer ({kind})", None


def _spellings(secrets: Iterable[str | None]) -> list[str]:
    """Return ``secrets`` as they are and as a form or an address has them, the longest first."""
    known = {secret for secret in secrets if secret}
    return sorted(known | {quote(secret, safe="") for secret in known}, key=len, reverse=True)


def _without(text: str | None, secrets: list[str]) -> str | None:
    if not text or not secrets:
        return text
    # In one go: the rest of a secret that begins with another one must not be left over.
    return re.sub("|".join(map(re.escape, secrets)), "[removed]", str(text))
