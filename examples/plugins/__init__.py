"""Plugins for the shop: ``python -m examples.plugins``.

The example needs the extras ``durable``, ``flask`` and ``plugins``, and setuptools 77 or newer. It
installs three distributions with a plugin each. A fourth plugin is configured but not installed.

===============================  =============================================================
``distributions/shop-loyalty``   listens to the shop, and to a plugin that may be missing
``distributions/shop-crane``     misspells the name of its signal
``distributions/shop-radio``     fails in the middle of its subscriptions
===============================  =============================================================
"""

# The first import of the program: when Flask later imports blinker, it gets aldis.
import aldis.as_blinker  # noqa: F401 - the import itself installs aldis as blinker
