"""Fixtures of the tests of logins. Nothing that may be missing is imported above the hook."""

import pytest

from tests.oauth.needs import PACKAGES, do_without, missing


class _Without(pytest.Module):
    def collect(self):
        do_without(f"not installed: {', '.join(missing(*PACKAGES))}")


def pytest_pycollect_makemodule(module_path, parent):
    """Put a reason in the place of tests that could not even be imported."""
    return _Without.from_parent(parent, path=module_path) if missing(*PACKAGES) else None


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch):
    """Keep the machine's settings out: they override what a test says of certificates."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recorded():
    """What the three signals say while a test runs: tuples of name, sender and payload."""
    from tests.oauth.recorder import recording

    with recording() as said:
        yield said


@pytest.fixture(scope="session")
def scripted_provider():
    """A provider that does what a test tells it to."""
    from tests.oauth.providers.scripted import scripted

    with scripted() as provider:
        yield provider


@pytest.fixture
def op(scripted_provider):
    """That provider, with nothing told to it yet."""
    scripted_provider.answers.clear()
    scripted_provider.asked.clear()
    scripted_provider.metadata = {}
    scripted_provider.nonce = None
    return scripted_provider


@pytest.fixture
def new_shop(op, tmp_path):
    """Make an app with users in a database, for one test."""
    from tests.oauth.shop import Shop

    made = []

    def shop(**options):
        made.append(Shop(op, tmp_path, **options))
        return made[-1]

    yield shop
    for each in made:
        each.close()
