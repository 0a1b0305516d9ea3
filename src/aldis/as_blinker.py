"""``import aldis.as_blinker`` above all other imports calls :func:`aldis.install_as_blinker`."""

from __future__ import annotations

from aldis.blinker import install_as_blinker

install_as_blinker()
