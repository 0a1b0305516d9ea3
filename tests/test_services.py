"""Tests that need a service are skipped without it, or fail in CI, and need a mark."""

import socket

import pytest

from tests import services
from tests.services import POSTGRESQL, Service


@pytest.fixture
def absent(monkeypatch):
    """Return a service that does not run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(services, "_running", None)
    return Service("Lighthouse", f"light://127.0.0.1:{port}")


def test_a_missing_service_skips_the_test(absent, monkeypatch):
    """The reason names the service and its address."""
    monkeypatch.delenv("CI", raising=False)
    address = f"{absent.host}:{absent.port}"
    with pytest.raises(pytest.skip.Exception) as skipped:
        absent.require()
    assert f"needs Lighthouse on {address}: nothing answers there" == skipped.value.msg


def test_a_missing_service_fails_in_ci(absent, monkeypatch):
    """In CI each service runs, so a missing one is a fault."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs Lighthouse on"):
        absent.require()


def test_a_service_requires_the_mark(request, monkeypatch):
    """A test without the mark fails, even if the service runs."""
    monkeypatch.setattr(services, "_running", request.node)
    with pytest.raises(pytest.fail.Exception, match=r"put @pytest\.mark\.service on it"):
        POSTGRESQL.require()


def test_the_environment_names_another_address(monkeypatch):
    """Host, port, user and database are from the variable, the driver is from the test."""
    monkeypatch.setenv("ALDIS_TEST_POSTGRESQL", "postgresql://me:pass@db.example:5433/mine")
    assert ("db.example", 5433) == (POSTGRESQL.host, POSTGRESQL.port)
    assert "postgresql+psycopg://me:pass@db.example:5433/mine" == POSTGRESQL.sqlalchemy_url(
        "postgresql+psycopg"
    )
    assert "postgresql://me:pass@db.example:5433/other" == POSTGRESQL.sqlalchemy_url(
        "postgresql", "other"
    )
