"""Checks id_tokens with the keys of their issuer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, extract_compact

from aldis.core.process import ForkSafeLock
from aldis.errors import LoginError
from aldis.oauth._drive import MakeLock, locked, resolved

__all__ = [
    "ASYMMETRIC",
    "IssuerKeys",
    "check_auth_time",
    "claims_of",
    "subject_of",
    "verified_claims",
]

Key = RSAKey | ECKey | OKPKey | OctKey

#: The algorithms that need a public key of the issuer. Others need an application's permission.
ASYMMETRIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)

_KEY_TYPES: Final[dict[str, type[Key]]] = {
    "RS": RSAKey,
    "PS": RSAKey,
    "ES": ECKey,
    "Ed": OKPKey,
    "HS": OctKey,
}


class IssuerKeys:
    """The public keys of an issuer. All requests share them, and one fetches them for all.

    Args:
        fetch: Fetches the JWKS document. It may return an awaitable.
        make_lock: Makes a lock. The default is for threads.
    """

    def __init__(self, fetch: Callable[[], Any], make_lock: MakeLock = ForkSafeLock) -> None:
        self._fetch = fetch
        self._changing = make_lock()
        self._keys: list[Key] | None = None
        self._error: Exception | None = None
        self._failures: int = 0

    async def get(self, seen: list[Key] | None = None) -> list[Key]:
        """Return the keys.

        Args:
            seen: Keys that do not fit. If the issuer has rotated its keys, it has others now.

        Raises:
            Exception: The keys could not be fetched. Requests that wait for them get one exception.
        """
        failures = self._failures

        async def fetch() -> list[Key]:
            if self._keys is not None and self._keys is not seen:
                return self._keys
            if self._error is not None and self._failures > failures:
                raise self._error
            try:
                self._keys = list(_usable_keys(await resolved(self._fetch())))
            except Exception as error:
                self._error = error
                self._failures += 1
                raise
            return self._keys

        return await locked(self._changing, fetch)


async def verified_claims(  # noqa: PLR0913 - each part of the check is an argument
    id_token: str,
    keys: IssuerKeys,
    *,
    algorithms: Iterable[str],
    secret: str | None,
    options: Mapping[str, Any],
    params: Mapping[str, Any],
    leeway: float,
) -> dict[str, Any]:
    """Return the claims of an id_token after all checks.

    Args:
        id_token: The id_token.
        keys: The keys of its issuer.
        algorithms: The algorithms that are accepted.
        secret: The client's secret, the key of the symmetric algorithms.
        options: The expected claims, in the form of Authlib's ``claims_options``.
        params: The parameters of Authlib's ``CodeIDToken``.
        leeway: The seconds by which the clocks may differ.

    Raises:
        JoseError: The id_token is not valid.
        Exception: The keys could not be fetched.
    """
    header = extract_compact(id_token.encode()).headers()
    algorithm = str(header.get("alg"))
    allowed = list(algorithms)
    registry = JWSRegistry(algorithms=allowed, strict_check_header=False)

    def decode(candidates: list[Key]) -> jwt.Token | None:
        for key in candidates:
            try:
                return jwt.decode(id_token, key, registry=registry)
            except (JoseError, ValueError):
                # Another signature, or a key for another algorithm of this family.
                continue
        return None

    if algorithm not in allowed:
        raise UnsupportedAlgorithmError(f"Algorithm of '{algorithm}' is not allowed")
    if algorithm.startswith("HS"):
        found = decode([OctKey.import_key(secret)] if secret else [])
    else:
        known = await keys.get()
        found = decode(_fitting(known, algorithm, header.get("kid")))
        if found is None:
            # The issuer may have new keys, also with an old id.
            renewed = await keys.get(seen=known)
            found = decode(_fitting(renewed, algorithm, header.get("kid")))
    if found is None:
        raise BadSignatureError
    claims = CodeIDToken(found.claims, found.header, dict(options), dict(params))
    claims.validate(leeway=leeway)
    return dict(claims)


def check_auth_time(claims: Mapping[str, Any], max_age: float, leeway: float) -> None:
    """Check that the user has proved who they are within the last ``max_age`` seconds.

    Raises:
        JoseError: They have not, or the id_token does not say when.
    """
    at = claims.get("auth_time")
    if at is None:
        raise MissingClaimError("auth_time")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise InvalidClaimError("auth_time")
    if time.time() - at > max_age + leeway:
        raise InvalidClaimError("auth_time")


def subject_of(id_token: object) -> Any:
    """Return the subject of an id_token that was checked before, or ``None``."""
    return claims_of(id_token).get("sub")


def claims_of(id_token: object) -> dict[str, Any]:
    """Return the claims of an id_token that was checked before. Without one, they are empty."""
    try:
        claims = extract_compact(str(id_token).encode()).payload
        found = json.loads(claims)
    except (JoseError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _usable_keys(document: Any) -> Iterable[Key]:
    """Yield the keys of a JWKS document. A malformed key does not affect the others."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise LoginError("id_token_invalid", "the provider's jwks_uri has no list of keys")
    for data in document["keys"]:
        try:
            if data.get("use") in (None, "sig"):
                key = JWKRegistry.import_key(data)
                # Some keys are read only when they are used.
                key.as_dict(private=False)
                _ = key.raw_value
                yield key
        except Exception:  # noqa: BLE001, S112 - a key from outside can fail in many ways
            continue


def _fitting(keys: list[Key], algorithm: str, kid: object) -> list[Key]:
    """Return the keys that an id_token with this header may be signed with."""
    wanted = _KEY_TYPES.get(algorithm[:2])
    return [
        key
        for key in keys
        if wanted is not None
        and isinstance(key, wanted)
        and key.get("alg") in (None, algorithm)
        and (kid is None or key.get("kid") in (None, kid))
    ]
