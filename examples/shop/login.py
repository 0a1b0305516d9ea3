"""Logging in: what a visitor is told before and after it, in two receivers.

It needs the extra ``oauth``. The token is kept in the visitor's session, which is the default.
"""

from typing import Any

from flask import Blueprint, Flask, flash, session

from aldis.oauth import OAuthBlueprint, oauth_authorized, oauth_error
from examples.shop.provider import Provider


@oauth_authorized.connect
def greet(sender: Blueprint, *, token: dict[str, Any], **extra: Any) -> None:
    """Remember who it is. The provider says so in the id_token, which has been checked."""
    session["visitor"] = token["userinfo"]["sub"]
    flash(f"Welcome aboard, {session['visitor']}")


@oauth_error.connect
def apologise(sender: Blueprint, *, error: object, **extra: Any) -> None:
    """Say what went wrong: the visitor declined, perhaps. It is never an error 500."""
    flash(f"You are not logged in: {error}")


def add_to(app: Flask, provider: Provider) -> None:
    """Let the visitors of ``app`` log in with ``provider``."""
    lighthouse = OAuthBlueprint(
        "lighthouse",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=provider.metadata_url,
        scope="openid",
        client_options={"trust_env": False},  # it is on this machine: no proxy leads there
    )
    app.register_blueprint(lighthouse)
    app.jinja_env.globals["login"] = "lighthouse.login"
