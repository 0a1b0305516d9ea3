"""Runs npm's certified ``oidc-provider`` on loopback. It is installed outside the repository."""

import fcntl
import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.oauth.needs import skip_or_fail

VERSION = "9.13.3"
SCRIPT = Path(__file__).with_name("oidc.mjs")
SECRET = "the-client-secret-that-no-log-may-show"  # noqa: S105 - of a provider that lives for one test


class Oidc:
    """A running provider."""

    client_id = "app"
    client_secret = SECRET

    def __init__(self, port):
        self.issuer = f"http://127.0.0.1:{port}"
        self.metadata_url = f"{self.issuer}/.well-known/openid-configuration"

    def begin(self, seconds):
        """Reset the count of grants, and let access tokens be valid for ``seconds``."""
        requests.get(f"{self.issuer}/begin/{seconds}", timeout=10)

    def grants(self):
        """Return how often each kind of grant was used or refused."""
        return requests.get(f"{self.issuer}/grants", timeout=10).json()


@contextmanager
def running(*redirect_uris, seconds=600, consented=False, pkce=True):
    """Run a provider that sends users back to ``redirect_uris``."""
    settings = {
        "client_id": Oidc.client_id,
        "client_secret": Oidc.client_secret,
        "redirect_uris": redirect_uris,
        "seconds": seconds,
        "consented": consented,
        "pkce": pkce,
    }
    command = ["node", str(SCRIPT), str(_installed()), json.dumps(settings)]
    with subprocess.Popen(
        command,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if port := re.match(r"port (\d+)", line):
                    break
            else:
                raise AssertionError("".join(said))
            yield Oidc(int(port[1]))
        finally:
            process.kill()


def _installed():
    """Return the folder of the provider. The first call installs it."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            skip_or_fail(f"{tool} is not installed, and the OpenID provider of the tests needs it")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "aldis-tests" / f"oidc-provider-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(folder)
            (folder / "done").touch()
    return folder


def _install(folder):
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    command = ["npm", "install", *options, "--prefix", str(folder), f"oidc-provider@{VERSION}"]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=110)
    except (subprocess.SubprocessError, OSError) as error:
        skip_or_fail(f"oidc-provider {VERSION} could not be installed with npm: {error}")
