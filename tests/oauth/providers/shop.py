"""Runs a shop that logs in with a library, in a separate process.

The process serves each request in a thread and prints its URL. It reads the library and the
provider from its input, prints a line when it is ready, and ends when its input ends.
"""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

from tests.oauth.serving import served

ROOT = Path(__file__).parents[3]


class Shop:
    """A running shop."""

    def __init__(self, process):
        self._process = process
        self.url = process.stdout.readline().strip()
        self.callback = f"{self.url}/login/op/authorized"

    def use(self, library, provider):
        """Let the shop log in with ``provider`` and ``library``."""
        settings = {
            "library": library,
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
        }
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert "ready" == said.strip(), said


@contextmanager
def running():
    """Run a shop."""
    allowed = {"OAUTHLIB_INSECURE_TRANSPORT": "1", "OAUTHLIB_RELAX_TOKEN_SCOPE": "1"}
    command = [sys.executable, "-m", "tests.oauth.providers.shop"]
    environment = {**os.environ, **allowed}
    with Popen(command, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE, text=True) as process:
        try:
            yield Shop(process)
        finally:
            process.kill()


def _blueprint(library, settings):
    issuer = settings["issuer"]
    described = {
        "client_id": settings["client_id"],
        "client_secret": settings["client_secret"],
        "base_url": issuer,
        "scope": ["openid", "email"],
    }
    if library == "aldis":
        from aldis.oauth import OAuthBlueprint

        metadata = f"{issuer}/.well-known/openid-configuration"
        return OAuthBlueprint("op", "shop", server_metadata_url=metadata, **described)
    from flask_dance.consumer import OAuth2ConsumerBlueprint

    addresses = {"authorization_url": f"{issuer}/auth", "token_url": f"{issuer}/token"}
    return OAuth2ConsumerBlueprint("op", "shop", **addresses, **described)


def _app(settings):
    from flask import Flask, jsonify

    app = Flask("shop")
    app.secret_key = "only for tests"  # noqa: S105
    blueprint = _blueprint(settings["library"], settings)
    app.register_blueprint(blueprint, url_prefix="/login")
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/me", "me", lambda: jsonify(blueprint.session.get("/me").json()))
    return app


def _main():
    apps = []
    with served(lambda environ, start_response: apps[-1](environ, start_response)) as url:
        print(url, flush=True)  # noqa: T201 - the test reads it
        for line in sys.stdin:
            apps.append(_app(json.loads(line)))
            print("ready", flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
