"""A CKAN site: its databases, which exist for one run, and its configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.downstream.process import DownstreamError

#: The variables that name another PostgreSQL server.
HOST: Final = os.environ.get("PGHOST", "127.0.0.1")
PORT: Final = os.environ.get("PGPORT", "5432")
USER: Final = os.environ.get("PGUSER", "postgres")
REDIS: Final = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")

#: How long one call of psql or of CKAN's command may take, in seconds.
_LIMIT: Final = 180

_INI: Final = """\
[DEFAULT]
debug = false

[app:main]
use = egg:ckan
testing = true
SECRET_KEY = for these tests only
WTF_CSRF_ENABLED = false
api_token.jwt.encode.secret = string:for these tests only
api_token.jwt.decode.secret = string:for these tests only
ckan.site_id = test.ckan.net
ckan.site_url = http://test.ckan.net
ckan.plugins = {plugins}
ckan.redis.url = {redis}
solr_url = {solr}
sqlalchemy.url = {server}/{main}
ckan.datastore.write_url = {server}/{datastore}
ckan.datastore.read_url = {reading_server}/{datastore}
ckan.auth.create_dataset_if_not_in_organization = true
ckan.auth.create_unowned_dataset = true
ckan.auth.user_create_groups = true
ckan.auth.user_create_organizations = true
ckan.auth.user_delete_groups = true
ckan.auth.user_delete_organizations = true
ckan.activity_streams_email_notifications = true
smtp.mail_from = info@test.ckan.net
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Two databases, and a role that may only read one of them.

    Attributes:
        name: The prefix of their names.
    """

    name: str

    @property
    def main(self) -> str:
        """The database of CKAN."""
        return f"{self.name}_main"

    @property
    def datastore(self) -> str:
        """The database of the datastore."""
        return f"{self.name}_datastore"

    @property
    def reader(self) -> str:
        """The role that may only read."""
        return f"{self.name}_reader"

    def ini(self, solr: str, *, plugins: str = "") -> str:
        """Return CKAN's configuration."""
        return _INI.format(
            plugins=plugins,
            redis=REDIS,
            solr=solr,
            server=f"postgresql://{USER}@{HOST}:{PORT}",
            reading_server=f"postgresql://{self.reader}@{HOST}:{PORT}",
            main=self.main,
            datastore=self.datastore,
        )


@contextmanager
def site(
    name: str, ckan: Path, solr: str, directory: Path, environment: Mapping[str, str]
) -> Iterator[Path]:
    """Create a site, yield the path of its configuration, and remove the site.

    Args:
        name: The prefix of the names of the databases and the role.
        ckan: CKAN's command.
        solr: The address of the stand-in for Solr.
        directory: The folder for the configuration.
        environment: The environment for CKAN's command.

    Raises:
        DownstreamError: PostgreSQL is missing, or Redis has no empty database.
    """
    made = Site(name)
    ini, with_datastore = directory / "ckan.ini", directory / "datastore.ini"
    ini.write_text(made.ini(solr), encoding="utf-8")
    with_datastore.write_text(made.ini(solr, plugins="datastore"), encoding="utf-8")
    if _redis("dbsize").strip() != "0":
        raise DownstreamError(f"{REDIS} is not empty, and the run would empty it; name another")
    _drop(made)
    try:
        _psql(f'CREATE ROLE "{made.reader}" LOGIN')
        _psql(f'CREATE DATABASE "{made.main}"')
        _psql(f'CREATE DATABASE "{made.datastore}"')
        _run([ckan, "-c", ini, "db", "init"], environment)
        _psql(_run([ckan, "-c", with_datastore, "datastore", "set-permissions"], environment))
        yield ini
    finally:
        _drop(made)
        _redis("flushdb")


def _drop(made: Site) -> None:
    _psql(f'DROP DATABASE IF EXISTS "{made.main}" WITH (FORCE)')
    _psql(f'DROP DATABASE IF EXISTS "{made.datastore}" WITH (FORCE)')
    _psql(f'DROP ROLE IF EXISTS "{made.reader}"')


def _psql(statements: str) -> str:
    command = ["psql", "-h", HOST, "-p", PORT, "-U", USER, "-d", "postgres", "-q"]
    return _run([*command, "-v", "ON_ERROR_STOP=1"], os.environ, statements)


def _redis(command: str) -> str:
    return _run(["redis-cli", "-u", REDIS, command], os.environ)


def _run(command: list[str | Path], environment: Mapping[str, str], given: str = "") -> str:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=given,
            capture_output=True,
            check=True,
            env=dict(environment),
            text=True,
            timeout=_LIMIT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise DownstreamError(f"{' '.join(words)}: {said[-500:]}") from error
    return done.stdout
