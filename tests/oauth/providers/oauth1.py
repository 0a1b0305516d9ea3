"""An OAuth 1.0a provider that uses Authlib's server. It checks every signature."""

from contextlib import contextmanager
from types import SimpleNamespace

from authlib.integrations.flask_oauth1 import (
    AuthorizationServer,
    ResourceProtector,
    current_credential,
)
from authlib.oauth1 import ClientMixin, TemporaryCredential
from flask import Flask, jsonify, redirect, request

from tests.oauth.serving import served

SECRET = "the-consumer-secret-that-no-log-may-show"  # noqa: S105 - of a provider that lives for one test


class _Client(ClientMixin):
    def __init__(self, rsa_key):
        self.rsa_key = rsa_key

    def get_default_redirect_uri(self):
        return None

    def get_client_secret(self):
        return SECRET

    def get_rsa_public_key(self):
        return self.rsa_key


class _Credential(TemporaryCredential):
    def get_user_id(self):
        return self.get("user_id")


PATHS = {"request": "/request", "access": "/access", "authorize": "/authorize", "me": "/me"}


def provider_app(paths=PATHS, *, me=None, rsa_key=None):
    """Return the provider. The cookie or ``?user=`` names the user who logs in.

    Args:
        paths: The paths of its endpoints.
        me: The response of the API. The default is the user's name.
        rsa_key: The public key of the client. With it, signatures need RSA-SHA1.
    """
    app = Flask("provider")
    method = "RSA-SHA1" if rsa_key else "HMAC-SHA1"
    app.config["OAUTH1_SUPPORTED_SIGNATURE_METHODS"] = [method]
    pending, granted, nonces = {}, {}, set()

    def seen(nonce, timestamp, client_id, token):
        known = (nonce, timestamp, client_id, token)
        return known in nonces or nonces.add(known)

    def issue(token, client_id, redirect_uri):
        entry = _Credential(**token, client_id=client_id, oauth_callback=redirect_uri)
        pending[token["oauth_token"]] = entry
        return entry

    def verify(credential, user, verifier):
        credential.update(oauth_verifier=verifier, user_id=user)

    def exchange(token, temporary):
        entry = _Credential(**token, client_id="app", user_id=temporary["user_id"])
        granted[token["oauth_token"]] = entry
        return entry

    def client(client_id):
        return _Client(rsa_key) if client_id == "app" else None

    server = AuthorizationServer(app, query_client=client)
    for name, hook in {
        "exists_nonce": seen,
        "create_temporary_credential": issue,
        "get_temporary_credential": pending.get,
        "delete_temporary_credential": lambda token: pending.pop(token, None),
        "create_authorization_verifier": verify,
        "create_token_credential": exchange,
    }.items():
        server.register_hook(name, hook)
    protected = ResourceProtector(app, client, lambda _, token: granted.get(token), seen)

    app.add_url_rule(
        paths["request"], "request", server.create_temporary_credentials_response, methods=["POST"]
    )
    app.add_url_rule(paths["access"], "access", server.create_token_response, methods=["POST"])

    @app.get(paths["authorize"])
    def authorize():
        if request.args.get("declines"):
            return redirect(
                f"{request.args['oauth_callback']}?denied={request.args['oauth_token']}"
            )
        server.check_authorization_request()
        return server.create_authorization_response(None, request.cookies.get("user", "ada"))

    @app.get(paths["me"])
    @protected()
    def user():
        return jsonify(me or {"name": current_credential["user_id"]})

    return app


@contextmanager
def running():
    """Serve the provider."""
    with served(provider_app()) as url:
        yield SimpleNamespace(url=url, client_id="app", client_secret=SECRET)
