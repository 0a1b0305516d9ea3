"""Plugins for the shop: ``python -m examples.plugins``.

It needs the extras ``durable``, ``flask`` and ``plugins``, and setuptools 77 or newer. Three are
installed, as the distributions that they are, and a fourth is asked for that is absent.

===============================  =============================================================
``distributions/shop-loyalty``   listens to the shop, and to a plugin that may not be there
``distributions/shop-crane``     misspells the signal that it listens to
``distributions/shop-radio``     fails, half-way through what it subscribes to
===============================  =============================================================
"""

# The first import of the program: Flask, imported later, finds aldis where it looks for blinker.
import aldis.as_blinker  # noqa: F401 - for what it does
