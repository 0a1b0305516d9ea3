"""Fixtures of the tests of logins. Optional packages are imported below the hook."""

import pytest

from tests.oauth.needs import PACKAGES, missing, skip_or_fail


class _Without(pytest.Module):
    def collect(self):
        skip_or_fail(f"not installed: {', '.join(missing(*PACKAGES))}")


def pytest_pycollect_makemodule(module_path, parent):
    """Skip a module whose imports are not installed, with a reason."""
    return _Without.from_parent(parent, path=module_path) if missing(*PACKAGES) else None


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch):
    """Remove the machine's settings for certificates, because they override those of a test."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def recorded():
    """Record the three signals during a test, as tuples of name, sender and payload."""
    from tests.oauth.recorder import recording

    with recording() as said:
        yield said


@pytest.fixture(scope="session")
def scripted_provider():
    """Give a provider whose responses a test can change."""
    from tests.oauth.providers.scripted import scripted

    with scripted() as provider:
        yield provider


@pytest.fixture
def op(scripted_provider):
    """Give the provider with its usual responses."""
    scripted_provider.answers.clear()
    scripted_provider.asked.clear()
    scripted_provider.metadata = {}
    scripted_provider.nonce = None
    return scripted_provider


# The fast tests take the framework of most users. Both share the steps of a login.
@pytest.fixture(params=["flask", pytest.param("quart", marks=pytest.mark.slow)])
def framework(request):
    """Let the apps of a test be Flask apps, and Quart apps."""
    from tests.oauth.frameworks import CHOSEN, LOOPS

    CHOSEN.append(request.param)
    yield request.param
    CHOSEN.pop()
    while LOOPS:
        LOOPS.pop().close()


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
