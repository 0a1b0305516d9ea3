"""``import aldis.as_blinker``, above every other import: :func:`aldis.install_as_blinker`."""

from __future__ import annotations

from aldis.blinker import install_as_blinker

install_as_blinker()
