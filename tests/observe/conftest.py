"""Fixtures for the tests of traces."""

import flask
import pytest


@pytest.fixture
def no_relays(aldis_clean):
    """Disconnect the relays of ``aldis.ckan``. Other tests of this process may import them."""
    flask.request_started.receivers.clear()
    flask.request_finished.receivers.clear()
