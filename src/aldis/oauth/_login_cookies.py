"""Keeps each pending login in its own small signed cookie, so that tabs do not affect each other.

The cookies have the path of the callback, so the browser sends them to no other page. Only the view
that begins a login gets the list of their names, from one more cookie, and removes the oldest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from aldis.errors import OAuthSetupError
from aldis.oauth._web import Web

__all__ = ["LIFETIME", "MAX_BYTES", "MAX_LOGINS", "LoginCookies"]

#: The seconds that a login may take.
LIFETIME: Final = 3600

#: The limits of the pending logins with one blueprint: their number, and their size in bytes.
#: Common servers accept 8,190 bytes of cookies, and the session may take half of them.
MAX_LOGINS: Final = 12
MAX_BYTES: Final = 3800

_PREFIX: Final = "aldis_login_"
_LIST_PREFIX: Final = "aldis_logins_"
_ENTRY: Final = re.compile(r"([0-9a-f]{16})\.(\d{1,4})")


@dataclass(frozen=True, slots=True)
class LoginCookies:
    """The cookies of the pending logins with one blueprint.

    Args:
        web: The framework.
        name: The name of the blueprint.
        login_url: The URL of the view that begins a login.
        callback_url: The URL to which the provider sends the user back.
        samesite: The attribute ``SameSite``. ``"None"`` needs HTTPS.
    """

    web: Web
    name: str
    login_url: str
    callback_url: str
    samesite: str = "Lax"

    def save(self, state: str, content: Mapping[str, Any]) -> None:
        """Keep ``content`` in the cookie of ``state``, and remove the oldest cookies.

        Args:
            state: The value that identifies the login.
            content: The data as JSON.

        Raises:
            OAuthSetupError: The app has no secret key.
        """
        key = self._key(state)
        value = self._serializer(state).dumps(content)
        pending = [each for each in self._pending() if each[0] != key]
        pending.append((key, len(_PREFIX) + len(key) + len(value) + len("=; ")))
        dropped = []
        while len(pending) > 1 and (
            len(pending) > MAX_LOGINS or sum(size for _, size in pending) > MAX_BYTES
        ):
            dropped.append(pending.pop(0)[0])
        names = "-".join(f"{each}.{size}" for each, size in pending)

        @self.web.after_this_request
        def set_cookies(response: Any) -> Any:
            self._set(response, _PREFIX + key, value, self.callback_url)
            self._set(response, self._list_name(), names, self.login_url)
            for each in dropped:
                self._delete(response, _PREFIX + each)
            return response

    def pop(self, state: str) -> dict[str, Any] | None:
        """Return the content of the cookie of ``state`` and remove it, or return ``None``."""
        name = _PREFIX + self._key(state)
        value = self.web.request.cookies.get(name)
        if value is None:
            return None

        @self.web.after_this_request
        def delete_cookie(response: Any) -> Any:
            self._delete(response, name)
            return response

        try:
            found = self._serializer(state).loads(value, max_age=LIFETIME)
        except BadData:
            return None
        return found if isinstance(found, dict) else None

    def _key(self, state: str) -> str:
        # The provider sends the state back, and it may be a text that no cookie can have as a name.
        text = f"{self.name}\n{state}".encode(errors="surrogatepass")
        return sha256(text).hexdigest()[:16]

    def _list_name(self) -> str:
        return _LIST_PREFIX + sha256(self.name.encode()).hexdigest()[:16]

    def _pending(self) -> list[tuple[str, int]]:
        names = self.web.request.cookies.get(self._list_name(), "")
        return [(key, int(size)) for key, size in _ENTRY.findall(names)][-2 * MAX_LOGINS :]

    def _serializer(self, state: str) -> URLSafeTimedSerializer:
        app = self.web.current_app
        if not app.secret_key:
            message = (
                "a login needs the app's secret key, because it signs a cookie: set SECRET_KEY in "
                "the app's configuration"
            )
            raise OAuthSetupError(message)
        keys = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), app.secret_key]
        return URLSafeTimedSerializer(
            keys,
            # A signature is for one login, so the cookie of another one cannot take its place.
            salt=f"aldis.oauth.login\n{self.name}\n{state}".encode(errors="surrogatepass"),
            signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
        )

    def _set(self, response: Any, name: str, value: str, url: str) -> None:
        response.set_cookie(name, value, max_age=LIFETIME, **self._attributes(url))

    def _delete(self, response: Any, name: str) -> None:
        response.delete_cookie(name, **self._attributes(self.callback_url))

    def _attributes(self, url: str) -> dict[str, Any]:
        app = self.web.current_app
        interface = app.session_interface
        return {
            "path": urlsplit(url).path,
            "domain": interface.get_cookie_domain(app),
            "secure": self.web.request.is_secure or interface.get_cookie_secure(app),
            "httponly": True,
            "samesite": self.samesite,
        }
