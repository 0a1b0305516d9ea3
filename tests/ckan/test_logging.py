"""The log of the errors of isolated listeners."""

import pytest

from tests.fresh import run

pytest.importorskip("flask_login", reason="aldis.ckan relays from it")

#: The loggers in CKAN's template for a configuration.
LOGGING = """
[loggers]
keys = root, ckan, ckanext
[handlers]
keys = console
[formatters]
keys =
[handler_console]
class = StreamHandler
args = (sys.stdout,)
[logger_root]
level = WARNING
handlers = console
[logger_ckan]
level = INFO
handlers = console
qualname = ckan
propagate = 0
[logger_ckanext]
level = DEBUG
handlers = console
qualname = ckanext
propagate = 0
"""


def test_errors_are_logged_after_ckan_has_configured_logging(tmp_path):
    """CKAN disables the existing loggers, except those below its own."""
    (tmp_path / "ckan.ini").write_text(LOGGING, encoding="utf-8")
    code = f"""
        import logging
        from logging.config import fileConfig

        from aldis.ckan import SignalPlugin, ckanext

        def failing(sender, **kwargs):
            raise ValueError("in a listener")

        class Plugin(SignalPlugin):
            def listeners(self):
                return {{ckanext.signal("custom"): [failing]}}

        fileConfig({str(tmp_path / "ckan.ini")!r})
        assert logging.getLogger("aldis").disabled
        with Plugin().subscriptions:
            ckanext.signal("custom").send("s")
    """
    printed = run(code)
    assert "robust receiver failing" in printed
    assert "ValueError: in a listener" in printed
