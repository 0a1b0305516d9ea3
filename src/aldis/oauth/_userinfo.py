"""The claims of a user, from the response of a provider's own API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from aldis.errors import LoginError

__all__ = ["claims_in", "error_in"]


def claims_in(response: requests.Response, subject: str | Sequence[str] | None) -> dict[str, Any]:
    """Return the claims in a response, with the user's id as the text ``sub``.

    Args:
        response: The response of the endpoint.
        subject: The place of the user's id in it, such as ``"data.0.id"``. The values of several
            places are joined with a slash. ``None`` leaves the claims as they are.

    Raises:
        LoginError: The response is not a JSON object, or has no such id.
        requests.HTTPError: The provider refused.
    """
    response.raise_for_status()
    try:
        claims = response.json()
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise LoginError("userinfo_invalid", "the userinfo response is not a JSON object")
    if subject is None:
        return claims
    places = [subject] if isinstance(subject, str) else subject
    return {**claims, "sub": "/".join(_id_at(claims, place) for place in places)}


def error_in(body: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the code and the description of the error that a response reports, if it does.

    RFC 6749 has a text in ``error``. Facebook has an object there, and others have a list of
    objects in ``errors``.
    """
    found = body.get("error") or body.get("errors")
    if isinstance(found, list) and found and isinstance(found[0], Mapping):
        found = found[0]
    if not found:
        return None
    if isinstance(found, Mapping):
        codes = [found.get(name) for name in ("type", "errorType", "code", "title", "error")]
        code = next((str(each) for each in codes if each), "provider_error")
        described = found.get("message") or found.get("detail")
    else:
        code, described = str(found), body.get("error_description") or body.get("message")
    return code, str(described) if described else None


def _id_at(claims: Mapping[str, Any], place: str) -> str:
    found = _at(claims, place)
    if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
        error = error_in(claims)
        reason = f" ({error[0]}: {error[1] or 'no reason'})" if error else ""
        text = f"the userinfo response has no user id at {place!r}{reason}"
        raise LoginError("userinfo_invalid", text)
    return str(found)


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
