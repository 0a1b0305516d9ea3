"""A small shop for ship's supplies: a Flask app that uses signals.

========================  ==================================================================
:mod:`~.signals`          the namespace of the shop's signals, with contracts
:mod:`~.receivers`        the receivers
:mod:`~.views`            the pages, which send the signals
:mod:`~.login`            logging in with OpenID Connect, where the extra ``oauth`` is installed
:mod:`~.provider`         the OpenID Connect provider, where Node.js is installed
:mod:`~.app`              the application factory
:mod:`~.database`         products, orders, the journal and the outbox, in SQLite
:mod:`~.server`           the shop on a real WSGI server that traces every request
:mod:`~.backroom`         a worker, which runs the durable receivers
:mod:`~.crash`            the shop in a process that is killed and started again
:mod:`~.visitor`          a scripted browser
:mod:`~.demo`             ``make demo``: a visit to the shop, and its signals
:mod:`~.serve`            ``make demo-serve``: the shop, in your browser
========================  ==================================================================
"""

# The first import of the program: when Flask later imports blinker, it gets aldis.
import aldis.as_blinker  # noqa: F401 - the import itself installs aldis as blinker
from examples.shop.app import create_app

__all__ = ["create_app"]
