"""Failures of a login, as ``oauth_error`` reports them. They never contain a secret."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html.entities import html5
from typing import Any, Final, Self
from urllib.parse import quote

import requests
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]

from aldis._optional import loaded
from aldis.errors import LoginError

__all__ = [
    "ErrorText",
    "Failure",
    "failure_from",
    "log_text",
    "redact",
    "token_secrets",
    "unknown_state",
]


#: The length of the shortest text that counts as a secret, and of one that is sought in base64.
MIN_SECRET: Final = 3
MIN_ENCODED: Final = 6

#: The length of the longest secret that is sought in all encodings.
MAX_SPELLED: Final = 4000


class ErrorText(str):
    """The code or the message of an error, with the exception that caused it.

    Attributes:
        exception: The exception, or ``None`` if the provider reported the error.
    """

    __slots__ = ("exception",)

    exception: BaseException | None

    def __new__(cls, text: str, exception: BaseException | None = None) -> Self:
        """Create it from ``text``."""
        made = super().__new__(cls, text)
        made.exception = exception
        return made


@dataclass(frozen=True, slots=True)
class Failure:
    """The payload of ``oauth_error``.

    Attributes:
        error: The code, with the exception that caused it.
        description: The reason for people.
        uri: A page with more information.
        response: The response of an OAuth 1 provider.
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


def failure_from(
    error: Exception, secrets: Iterable[str | None] = (), response: Any = None
) -> Failure:
    """Convert an exception into a failure.

    Args:
        error: The exception that was raised during a call to the provider.
        secrets: The texts that the failure must not contain, even if the provider's error does.
        response: The response of an OAuth 1 provider.
    """
    code, description, uri = _read(error)
    found = _pattern(secrets)
    text = ErrorText(_remove(code, found) or "", _redact(error, found))
    return Failure(text, _remove(description, found), _remove(uri, found), response)


def redact(error: Exception, secrets: Iterable[str | None]) -> Exception:
    """Return ``error``, or a :class:`LoginError` in its place if it contains a secret.

    A traceback shows the chained exceptions too, so they are searched as well.
    """
    return _redact(error, _pattern(secrets))


def _redact(error: Exception, secrets: re.Pattern[str] | None) -> Exception:
    if isinstance(error, LoginError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if secrets is None:
        return error
    texts = [text for each in _chain(error) for text in (str(each), repr(each))]
    if not any(secrets.search(text) for text in texts):
        return error
    return LoginError(type(error).__name__, _remove(str(error), secrets))


def _chain(error: BaseException) -> list[BaseException]:
    """Return ``error`` and the chained exceptions that its traceback shows."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and not any(each is other for other in found):
            found.append(each)
            waiting += [each.__cause__, None if each.__suppress_context__ else each.__context__]
    return found


def token_secrets(token: Mapping[str, Any]) -> list[str]:
    """Return the secret values of a token."""
    named = ((key, value) for key, value in token.items() if "token" in key)
    return [value for key, value in named if isinstance(value, str) and key != "token_type"]


def unknown_state(state: str | None) -> Failure:
    """Return the failure for a response that belongs to no pending login of this user."""
    if state is None:
        error = LoginError("state_missing", "the response belongs to no login")
    else:
        text = (
            "no login with this state is pending: it is used up or too old, or the session is lost"
        )
        error = LoginError("state_unknown", text)
    return Failure(ErrorText(error.code, error), error.description)


def log_text(text: str) -> str:
    """Return a provider's text in a form that is safe in a log: one line of ASCII, not too long."""
    return ascii(text)[1:-1][:200]


def _read(error: Exception) -> tuple[str, str | None, str | None]:
    if isinstance(error, LoginError):
        return error.code, error.description, error.uri
    if isinstance(error, AuthlibBaseError):
        return str(error.error), error.description or None, error.uri
    kind = type(error).__name__
    if isinstance(error, _unreachable()):
        return "provider_unreachable", f"the provider could not be reached ({kind})", None
    return "provider_error", f"the provider gave an unusable answer ({kind})", None


def _unreachable() -> tuple[type[Exception], ...]:
    known: tuple[type[Exception], ...] = (requests.ConnectionError, requests.Timeout)
    client = loaded("httpx2")
    return known if client is None else (*known, client.TransportError)


def _pattern(secrets: Iterable[str | None]) -> re.Pattern[str] | None:
    """Return a pattern for all spellings of ``secrets``, or ``None`` without a secret."""
    # A text of one or two characters is in almost every sentence.
    known = {secret for secret in secrets if secret and len(secret) >= MIN_SECRET}
    if not known:
        return None
    # One pattern, the longest first: a secret may begin with another one, and its rest must not
    # stay in the text.
    found = [each for secret in sorted(known, key=len, reverse=True) for each in _spellings(secret)]
    return re.compile("|".join(found))


def _spellings(secret: str) -> list[str]:
    """Return patterns for ``secret``: plain, encoded for URLs, HTML or JSON, and in base64."""
    if len(secret) > MAX_SPELLED:
        return [re.escape(secret), re.escape(quote(secret, safe=""))]
    return ["".join(map(_character, secret)), *_in_base64(secret)]


@cache
def _character(character: str) -> str:
    """Return a pattern for ``character`` in any of the encodings. One text may mix them."""
    number = ord(character)
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode(errors="replace"))
    spellings = [encoded, rf"\\u{number:04x}", f"&#0*{number};", f"&#x0*{number:x};"]
    spellings += [f"&{name}" for name, text in html5.items() if text == character and ";" in name]
    if character == " ":
        spellings.append(r"\+")
    escaped = "" if character.isalnum() else r"\\*"
    return f"(?:{escaped}{re.escape(character)}|(?i:{'|'.join(spellings)}))"


def _in_base64(secret: str) -> list[str]:
    """Return patterns for base64 that contains ``secret`` at any place."""
    data = secret.encode(errors="replace")
    if len(data) < MIN_ENCODED:
        return []
    found = []
    for before in range(3):
        # The first and the last characters depend on the neighbours of the secret.
        encoded = b64encode(b" " * before + data).decode().rstrip("=")
        known = encoded[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        found.append("".join(_base64_character(each) for each in known) + "[A-Za-z0-9+/_=-]{0,3}")
    return found


def _base64_character(character: str) -> str:
    # The alphabet for URLs has two other characters, and URLs encode two of the usual one.
    return {"+": "(?:[+-]|%2[bB])", "/": "(?:[/_]|%2[fF])"}.get(character, character)


def _remove(text: str | None, secrets: re.Pattern[str] | None) -> str | None:
    if not text or secrets is None:
        return text
    return secrets.sub("[removed]", str(text))
