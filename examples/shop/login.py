"""Logging in with OpenID Connect: the blueprint, and a receiver for each outcome.

It needs the extra ``oauth``. The token is stored in the visitor's session, which is the default.
"""

from typing import Any

from flask import Blueprint, Flask, flash, session

from aldis.oauth import OAuthBlueprint, oauth_authorized, oauth_error, on_login_failure
from examples.shop.provider import Provider


@oauth_authorized.connect
def greet(sender: Blueprint, *, token: dict[str, Any], **extra: Any) -> None:
    """Store the visitor's name, which comes from the verified id_token."""
    session["visitor"] = token["userinfo"]["sub"]
    # Another receiver or the storage may still make the login fail.
    on_login_failure(lambda: session.pop("visitor", None))
    flash(f"Welcome aboard, {session['visitor']}")


@oauth_error.connect
def apologise(sender: Blueprint, *, error: object, **extra: Any) -> None:
    """Show the error, for example that the visitor cancelled the login. It is not a 500."""
    flash(f"You are not logged in: {error}")


def add_to(app: Flask, provider: Provider) -> None:
    """Let the visitors of ``app`` log in with ``provider``."""
    lighthouse = OAuthBlueprint(
        "lighthouse",
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        server_metadata_url=provider.metadata_url,
        scope="openid",
        client_options={
            "trust_env": False
        },  # the provider is on this machine, which a proxy cannot reach
    )
    app.register_blueprint(lighthouse)
    app.jinja_env.globals["login"] = "lighthouse.login"
