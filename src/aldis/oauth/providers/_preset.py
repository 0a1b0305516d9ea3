"""What a preset is: the settings of a provider as data, and the checks of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from inspect import signature
from typing import Any, Final
from urllib.parse import quote, urlsplit

from aldis.errors import OAuthSetupError

__all__ = [
    "Parameter",
    "Preset",
    "arguments_of",
    "check_host",
    "check_id",
    "check_name",
    "check_url",
    "choice",
]

#: The settings that are mappings. A preset and an application both add to them.
MAPPINGS: Final = (
    "authorization_url_params",
    "token_url_params",
    "refresh_params",
    "client_options",
    "headers",
    "claims_options",
    "userinfo_options",
)

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value that a preset needs from the application, such as the domain of a tenant.

    Attributes:
        name: The name of the argument.
        meaning: The meaning of the value, for error messages and for the documentation.
        example: A value that is accepted.
        check: Returns the checked value, or raises ValueError with the reason.
        default: The value that is used without the argument. ``None`` means that the argument is
            required.
    """

    name: str
    meaning: str
    example: str
    check: Callable[[Any], str]
    default: str | None = None

    def checked(self, preset: str, given: Mapping[str, Any]) -> str:
        """Return the value in ``given``, or the default.

        Args:
            preset: The name of the preset, for error messages.
            given: The arguments of the application.

        Raises:
            OAuthSetupError: The value is missing or wrong.
        """
        value = given.get(self.name)
        if value is None:
            value = self.default
        if value is None:
            message = (
                f"the preset {preset!r} needs {self.name}=, {self.meaning}: type for example "
                f"{self.name}={self.example!r}"
            )
            raise OAuthSetupError(message)
        try:
            return self.check(value)
        except ValueError as error:
            message = (
                f"{self.name}={value!r} does not fit the preset {preset!r}: {error} "
                f"({self.name} is {self.meaning}, for example {self.example!r})"
            )
            raise OAuthSetupError(message) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The settings of one provider, as data for :class:`aldis.oauth.OAuthBlueprint`.

    Attributes:
        name: The name of the preset, and of its blueprint.
        title: The provider's own name.
        settings: Arguments of ``OAuthBlueprint``. A text in them may contain a parameter in braces.
        documentation: The page of the provider that describes its OAuth.
        read: The date on which that page was read.
        also: The other sources of the settings, for facts that the page does not state.
        quirks: The deviations from the standards that the settings handle.
        parameters: The values that the application must or may give.
        derive: Returns further settings for the parameters.
        offline: The settings to add if the application asks for refresh tokens. Scopes are added to
            the others. It is empty if the provider issues them in any case, and ``None`` if it
            does not issue them.
    """

    name: str
    title: str
    settings: Mapping[str, Any] = field(repr=False)
    documentation: str
    read: date
    also: str = ""
    quirks: str = ""
    parameters: tuple[Parameter, ...] = ()
    derive: Callable[[Mapping[str, str]], Mapping[str, Any]] | None = field(
        default=None, repr=False
    )
    offline: Mapping[str, Any] | None = field(default_factory=dict)

    def with_settings(
        self, given: Mapping[str, Any], *, offline: bool = False, known: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return the arguments for a blueprint: the preset's, overridden by ``given``.

        Args:
            given: The parameters and the settings of the application. Settings that are mappings
                are added to the preset's, and a value of ``None`` in them removes a key. A
                ``compliance_fix`` runs after the preset's. Other settings replace the preset's.
            offline: Whether to ask for a refresh token.
            known: The names of all arguments of the blueprint, to find misspelt ones.

        Raises:
            OAuthSetupError: A parameter is missing or wrong, a name is unknown, or the provider
                issues no refresh tokens.
        """
        names = [parameter.name for parameter in self.parameters]
        self._check_names(given, [*names, *known])
        values = {each.name: each.checked(self.name, given) for each in self.parameters}
        settings = _filled(self.settings, values) if values else dict(self.settings)
        if self.derive is not None:
            settings = merged(settings, self.derive(values))
        own = {name: value for name, value in given.items() if name not in names}
        result = merged(settings, own)
        if offline:
            if self.offline is None:
                message = (
                    f"{self.title} issues no refresh tokens to an app that asks for them: leave "
                    f"out offline=True for the preset {self.name!r}"
                )
                raise OAuthSetupError(message)
            added = dict(self.offline)
            scope = [*_scopes(result.get("scope", ())), *_scopes(added.pop("scope", ()))]
            # The application's own value comes before that of `offline`.
            result = merged(merged(result, added), {k: own[k] for k in MAPPINGS if k in own})
            result["scope"] = list(dict.fromkeys(scope))
        return result

    def _check_names(self, given: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in given:
            if name not in known:
                close = get_close_matches(name, known, n=3)
                hint = f"did you mean {' or '.join(close)}?" if close else "see OAuthBlueprint"
                message = f"the preset {self.name!r} has no setting {name!r}: {hint}"
                raise OAuthSetupError(message)


def arguments_of(blueprint: type[Any]) -> list[str]:
    """Return the names of the arguments of a class, with those of its bases."""
    return [
        argument
        for each in blueprint.__mro__
        if "__init__" in vars(each)
        for argument in signature(vars(each)["__init__"]).parameters
    ]


def merged(settings: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``settings``, overridden by ``own``."""
    result = {**settings, **own}
    for name in MAPPINGS:
        if name in result:
            both = {**(settings.get(name) or {}), **(own.get(name) or {})}
            result[name] = {key: value for key, value in both.items() if value is not None}
    first, second = settings.get("compliance_fix"), own.get("compliance_fix")
    if first and second:
        result["compliance_fix"] = _Both(first, second)
    return result


@dataclass(frozen=True, slots=True)
class _Both:
    """Calls two compliance fixes."""

    first: Callable[[Any], object]
    second: Callable[[Any], object]

    def __call__(self, session: Any) -> None:
        self.first(session)
        self.second(session)


def _filled(value: Any, parameters: Mapping[str, str]) -> Any:
    """Replace the parameters in the texts of ``value``."""
    if isinstance(value, str):
        return value.format_map(parameters)
    if isinstance(value, Mapping):
        return {key: _filled(each, parameters) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(each, parameters) for each in value]
    return value


def _scopes(scope: str | Sequence[str]) -> list[str]:
    return scope.replace(",", " ").split() if isinstance(scope, str) else list(scope)


# -- the checks of parameters ------------------------------------------------------------------


def check_host(value: Any) -> str:
    """Return a host such as ``"dev-1.okta.com"``.

    Raises:
        ValueError: It is a URL, or not a host.
    """
    text = _text(value)
    if "://" in text or "/" in text:
        host = urlsplit(text if "://" in text else f"//{text}").netloc
        raise ValueError(f"it is a URL, and only the host is needed: type {host!r}")
    if not _HOST.fullmatch(text) or ".." in text:
        raise ValueError("it is not the name of a host")
    return text.lower()


def check_url(value: Any) -> str:
    """Return the URL of a server, without a slash at its end.

    Raises:
        ValueError: It is not a URL, or its scheme is not HTTPS.
    """
    text = _text(value)
    if "://" not in text:
        raise ValueError(f"it is not a URL: type {'https://' + text.lstrip('/')!r}")
    parts = urlsplit(text)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ValueError(f"it does not begin with https://, and only localhost may use {text[:7]}")
    if not _HOST.fullmatch(parts.netloc) or parts.query or parts.fragment:
        raise ValueError("only the scheme, the host and a path belong to it")
    return text.rstrip("/")


def check_name(value: Any) -> str:
    """Return a name that fits into one step of a path, encoded for a URL.

    Raises:
        ValueError: It is empty, or contains a slash.
    """
    text = _text(value)
    if "://" in text:
        raise ValueError("it is a URL, and only the name is needed")
    if "/" in text or text in (".", ".."):
        raise ValueError("it is not a name")
    return quote(text, safe="")


def check_id(value: Any) -> str:
    """Return an id of letters and digits.

    Raises:
        ValueError: It has other characters.
    """
    text = _text(value)
    if not (text.isascii() and text.isalnum()):
        raise ValueError("it has characters other than letters and digits")
    return text


def choice(*names: str) -> Callable[[Any], str]:
    """Return a check that accepts one of ``names``."""

    def check(value: Any) -> str:
        text = _text(value).lower()
        if text not in names:
            raise ValueError(f"it is not known: type one of {', '.join(names)}")
        return text

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(f"it has the type {kind}, and a text is needed")  # noqa: TRY004 - the caller adds the parameter's name
    if not value or value != value.strip() or not value.isprintable():
        raise ValueError("it is empty, or has spaces or control characters at its ends")
    return value
