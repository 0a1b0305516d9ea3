"""A small shop for ship's supplies: a Flask app that speaks in signals.

========================  ==================================================================
:mod:`~.signals`          what can happen in the shop: a namespace of signals with contracts
:mod:`~.receivers`        what is done about it
:mod:`~.views`            the pages, which send the signals
:mod:`~.login`            logging in with OpenID Connect, where the extra ``oauth`` is installed
:mod:`~.provider`         whom visitors log in with, where Node.js is installed
:mod:`~.app`              the application factory
:mod:`~.database`         products, orders, the journal and the outbox, in SQLite
:mod:`~.server`           the shop on a real WSGI server that traces every request
:mod:`~.backroom`         a worker, which runs the durable receivers
:mod:`~.crash`            the shop in a process that is killed, and opened again
:mod:`~.visitor`          a browser that goes there and fills in forms
:mod:`~.demo`             ``make demo``: a visit to the shop, and what happened during it
:mod:`~.serve`            ``make demo-serve``: the shop, open to visitors
========================  ==================================================================
"""

# The first import of the program: Flask, imported later, finds aldis where it looks for blinker.
import aldis.as_blinker  # noqa: F401 - for what it does
from examples.shop.app import create_app

__all__ = ["create_app"]
