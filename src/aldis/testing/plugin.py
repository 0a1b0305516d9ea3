"""The pytest plugin. pytest loads it if aldis is installed; it does nothing until you use it.

It has the fixtures of this module. The option ``--aldis-strict``, or ``aldis_strict = true`` in
pytest's configuration, turns strict mode on for the session.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from aldis.core.strict import set_strict
from aldis.testing.record import Recording
from aldis.testing.record import record as start_recording
from aldis.testing.restored import restored_subscriptions

if TYPE_CHECKING:
    from flask import Flask
    from jinja2 import Template

__all__ = ["aldis_clean", "captured_templates", "record"]

_BEFORE: Final = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option and the setting."""
    text = "turn on aldis's strict mode: code that breaks a rule of signals causes a warning"
    group = parser.getgroup("aldis", "signals")
    group.addoption("--aldis-strict", action="store_true", default=False, help=text)
    parser.addini("aldis_strict", text, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Turn strict mode on if the option or the setting is given."""
    if config.getoption("--aldis-strict") or config.getini("aldis_strict"):
        config.stash[_BEFORE] = set_strict()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Reset strict mode to its earlier state."""
    if _BEFORE in config.stash:
        set_strict(config.stash[_BEFORE])


@pytest.fixture
def aldis_clean() -> Generator[None, None, None]:
    """Restore the subscriptions after the test. See :func:`aldis.testing.restored_subscriptions`.

    Write ``usefixtures = aldis_clean`` in pytest's configuration to use it for every test.
    """
    with restored_subscriptions():
        yield


@pytest.fixture
def record() -> Generator[Callable[..., Recording], None, None]:
    """Return :func:`aldis.testing.record` without the ``with``: it records until the test ends."""
    with ExitStack() as stack:
        yield lambda *signals, **options: stack.enter_context(start_recording(*signals, **options))


@pytest.fixture
def captured_templates() -> Generator[
    Callable[[Flask], list[tuple[Template, dict[str, Any]]]], None, None
]:
    """Return :func:`aldis.flask.captured_templates` without the ``with``, until the test ends."""
    from aldis.flask import captured_templates as capturing  # noqa: PLC0415 - Flask is optional

    with ExitStack() as stack:
        yield lambda app: stack.enter_context(capturing(app))
