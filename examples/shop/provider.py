"""Whom visitors log in with: an OpenID Connect provider on loopback, while the shop is open.

It is npm's ``oidc-provider``, which needs Node.js. npm installs it once, into the user's cache.
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
    """Nobody can log in here, and why."""


@dataclass(frozen=True)
class Provider:
    """A provider that runs, and the shop as its client."""

    address: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def metadata_url(self) -> str:
        """Where it describes itself."""
        return f"{self.address}/.well-known/openid-configuration"


@contextmanager
def open_provider(callbacks: Iterable[str]) -> Iterator[Provider]:
    """Run a provider that sends visitors back to ``callbacks``.

    Raises:
        NoLoginError: It cannot be run here.
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
                message = f"this Node.js does not run what is in {folder}"
                raise NoLoginError(message)
            yield Provider(address, client_id, secret)
        finally:
            _end(process)


def _started(node: str, folder: Path, client: dict[str, Any]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [node, str(SCRIPT), str(folder)],
            env={**os.environ, "PROVIDER_CLIENT": json.dumps(client)},  # not for all to see
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        message = f"{node} does not run: {error}"
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
    """Return where the provider is, once it answers there; nothing if it never does."""
    limit = Timer(START_TIMEOUT, process.kill)
    limit.start()
    try:
        return process.stdout.readline().strip() if process.stdout else ""
    finally:
        limit.cancel()


def _install(folder: Path) -> None:
    """Make ``folder``, with the provider in it; it is either complete or not there."""
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
        TemporaryFile() as said,  # not a pipe, which npm's children could keep open
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
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
            said.seek(0)
            code = re.search(rb"code ([A-Z]\w+)", said.read())
            why = code[1].decode() if code else f"exit code {failed}"
            message = f"npm could not install {PACKAGE} {VERSION} ({why})"
            raise NoLoginError(message)


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()  # by itself, Popen does not when it is interrupted


def _move(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        if not folder.exists():  # else another demo was quicker
            raise
