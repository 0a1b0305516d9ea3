"""The services that tests need: their addresses, and the result of a test without them.

A service is expected on its standard port on loopback. An environment variable names another
address: ``ALDIS_TEST_POSTGRESQL=postgresql://postgres@db.example:5433/test``. PostgreSQL and
MariaDB need the database that the address names. The user must be able to create others.

A test that needs a service has the mark ``service`` and calls :meth:`Service.require`, itself or in
a fixture. If nothing answers at the address, the test is skipped. In CI it fails: there, each
service must run.
"""

import os
import socket
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import pytest

#: Seconds after which an address counts as one where nothing answers.
LIMIT = 2


@dataclass(frozen=True)
class Service:
    """A database or a broker.

    Args:
        name: Its name, as its makers write it.
        address: Its URL on this machine.
    """

    name: str
    address: str

    @property
    def variable(self):
        """The environment variable that names another URL."""
        return f"ALDIS_TEST_{self.name.upper()}"

    @property
    def url(self):
        """The service's URL."""
        return os.environ.get(self.variable) or self.address

    @property
    def host(self):
        """The name of the machine that it runs on."""
        return urlsplit(self.url).hostname

    @property
    def port(self):
        """The port that it listens on."""
        return urlsplit(self.url).port or urlsplit(self.address).port

    def sqlalchemy_url(self, driver, database=None):
        """Return the URL for SQLAlchemy, of another database on the server if you name one."""
        url = urlsplit(self.url)
        path = url.path if database is None else f"/{database}"
        return url._replace(scheme=driver, path=path).geturl()

    def require(self):
        """Skip the test if nothing answers at the address; fail if the test is not marked."""
        _demand_the_mark(self)
        if not _answers(self.host, self.port):
            message = f"needs {self.name} on {self.host}:{self.port}: nothing answers there"
            if os.environ.get("CI"):
                pytest.fail(message, pytrace=False)
            pytest.skip(message)


POSTGRESQL = Service("PostgreSQL", "postgresql://postgres@127.0.0.1:5432/test")
MARIADB = Service("MariaDB", "mariadb://root@127.0.0.1:3306/test")
REDIS = Service("Redis", "redis://127.0.0.1:6379/9")
RABBITMQ = Service("RabbitMQ", "amqp://guest:guest@127.0.0.1:5672/")
NATS = Service("NATS", "nats://127.0.0.1:4222")
KAFKA = Service("Kafka", "kafka://127.0.0.1:9092")

#: The mark for a parameter of a test that needs a service.
needs_service = pytest.mark.service

_running = None  # the test that runs or is being set up


def set_running(item):
    """Remember the test that runs; ``None`` if none does."""
    global _running  # noqa: PLW0603 - pytest runs one test at a time
    _running = item


def _demand_the_mark(service):
    """Fail if the test that runs has no mark ``service``."""
    if _running is not None and _running.get_closest_marker("service") is None:
        pytest.fail(
            f"{_running.nodeid} talks to {service.name} but is not marked: "
            "put @pytest.mark.service on it, or on the parameter that needs the service",
            pytrace=False,
        )


@cache
def _answers(host, port):
    """Return whether a server accepts a connection at the address."""
    try:
        with socket.create_connection((host, port), timeout=LIMIT):
            return True
    except OSError:
        return False
