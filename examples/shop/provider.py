"""The OpenID Connect provider of the demo. It runs on loopback while the shop is open.

The provider is the npm package ``oidc-provider``, which needs Node.js. npm installs it once, into
the user's cache.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Timer
from typing import Any

PACKAGE, VERSION = "oidc-provider", "9.13.3"
SCRIPT = Path(__file__).with_name("provider.mjs")
NPM_OPTIONS = [
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
]

INSTALL_TIMEOUT = 60.0  # seconds
START_TIMEOUT = 20.0


class NoLoginError(Exception):
    """Visitors cannot log in; the message says why."""


@dataclass(frozen=True)
class Provider:
    """A running provider, and the shop's credentials there."""

    address: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def metadata_url(self) -> str:
        """The URL of its OpenID configuration."""
        return f"{self.address}/.well-known/openid-configuration"


@contextmanager
def open_provider(callbacks: Iterable[str]) -> Iterator[Provider]:
    """Run a provider that redirects visitors to ``callbacks``.

    Raises:
        NoLoginError: The provider cannot run on this machine.
    """
    node = _find("node")
    folder = _cache() / f"{PACKAGE}-{VERSION}"
    if not folder.exists():
        _install(folder)
    client_id, secret = "shop", secrets.token_urlsafe()
    client = {
        "client_id": client_id,
        "client_secret": secret,
        "redirect_uris": list(callbacks),
    }
    with _started(node, folder, client) as process:
        try:
            address = _first_line(process)
            if not address:
                message = f"this Node.js cannot run the provider in {folder}"
                raise NoLoginError(message)
            yield Provider(address, client_id, secret)
        finally:
            _end(process)


def _started(node: str, folder: Path, client: dict[str, Any]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [node, str(SCRIPT), str(folder)],
            env={
                **os.environ,
                "PROVIDER_CLIENT": json.dumps(client),
            },  # a secret, so not an argument
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        message = f"{node} cannot be started: {error}"
        raise NoLoginError(message) from error


def _find(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        message = f"{tool} is not installed, and the provider needs Node.js with npm"
        raise NoLoginError(message)
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "aldis-demo")


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the provider's address once it serves; return an empty string if it never does."""
    limit = Timer(START_TIMEOUT, process.kill)
    limit.start()
    try:
        return process.stdout.readline().strip() if process.stdout else ""
    finally:
        limit.cancel()


def _install(folder: Path) -> None:
    """Install the provider into a new ``folder``, which appears only once it is complete."""
    npm = _find("npm")
    print(f"npm installs {PACKAGE} {VERSION} into {folder}, once ...", flush=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="new-", dir=folder.parent) as made:
            new = Path(made, folder.name)
            new.mkdir()
            _run_npm(npm, new)
            _move(new, folder)
    except OSError as error:
        message = f"{PACKAGE} {VERSION} could not be installed: {error}"
        raise NoLoginError(message) from error


def _run_npm(npm: str, folder: Path) -> None:
    # The manifest makes the folder the root of the install. With ``--prefix`` instead, npm would
    # miss the administrator's configuration, which may name a registry, a proxy or certificates.
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    command = [npm, "install", *NPM_OPTIONS, f"{PACKAGE}@{VERSION}"]
    with (
        TemporaryFile() as output,  # npm's children could keep a pipe open
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            failed = process.wait(INSTALL_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            message = f"npm did not install {PACKAGE} {VERSION} in {INSTALL_TIMEOUT:g} seconds"
            raise NoLoginError(message) from error
        finally:
            _end(process)
        if failed:
            output.seek(0)
            code = re.search(rb"code ([A-Z]\w+)", output.read())
            why = code[1].decode() if code else f"exit code {failed}"
            message = f"npm could not install {PACKAGE} {VERSION} ({why})"
            raise NoLoginError(message)


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()  # Popen itself does not wait after an interrupt


def _move(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        if not folder.exists():  # another demo may have installed it in the meantime
            raise
