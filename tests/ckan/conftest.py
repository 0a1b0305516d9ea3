"""Fixtures for the tests of CKAN's signals."""

import sys

import pytest


@pytest.fixture
def extensions(tmp_path, monkeypatch):
    """A folder for extensions that import CKAN, with aldis's stand-in for CKAN."""
    from aldis.ckan import install_as_ckan

    before = set(sys.modules)
    install_as_ckan()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(path, source):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")

    yield write
    made = {name for name in sys.modules if name.partition(".")[0] in ("ckan", "ckanext")}
    for name in (made | {"ckantoolkit"}) - before:
        sys.modules.pop(name, None)
