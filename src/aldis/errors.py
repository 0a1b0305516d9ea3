"""Every exception and warning of aldis.

::

    AldisError
    ├── NotCallableError        TypeError      a receiver that cannot be called
    ├── WeakReferenceError      TypeError      a receiver that cannot be held weakly
    ├── HiddenDeliveryError     TypeError      a delivery that would be bypassed, or two at once
    ├── ContractError           TypeError      a function that cannot serve as a contract
    │   └── ReceiverMismatchError              a receiver that does not fit its signal's contract
    ├── AsyncReceiverError      RuntimeError   sync and async met where they cannot
    ├── UnboundSenderError      RuntimeError   a proxy that stands for nothing at the moment
    ├── UnknownSignalError      LookupError    a signal's name that nobody declared
    ├── SignalPickleError       TypeError      a signal that has no importable home
    ├── StandInError            RuntimeError   blinker was imported before aldis took its place
    └── MissingExtraError       ImportError    an optional dependency that is not installed

    AldisWarning                UserWarning
    ├── ContractWarning                        an advisory or late contract that is not kept
    └── StrictWarning                          strict mode found one of the "never"s and "should"s
"""

from __future__ import annotations


class AldisError(Exception):
    """The root of every exception that aldis raises on its own account."""


class NotCallableError(AldisError, TypeError):
    """A receiver was given that cannot be called."""


class WeakReferenceError(AldisError, TypeError):
    """A receiver cannot be weakly referenced and was not connected with ``weak=False``."""


class HiddenDeliveryError(AldisError, TypeError):
    """A wrapper hides the delivery of the receiver inside it, or a receiver has two deliveries."""


class ContractError(AldisError, TypeError):
    """A function cannot serve as a signal's contract, or a signal has another one already."""


class ReceiverMismatchError(ContractError):
    """A receiver could not be called with the payload that its signal's contract declares."""


class AsyncReceiverError(AldisError, RuntimeError):
    """An async receiver met a sync send, or the other way round, with no wrapper between them."""


class UnboundSenderError(AldisError, RuntimeError):
    """A proxy was given as sender while it stands for no object."""


class UnknownSignalError(AldisError, LookupError):
    """A name was looked up that no signal of the namespace has."""


class SignalPickleError(AldisError, TypeError):
    """A signal cannot be pickled or copied, because no importable namespace owns it."""


class StandInError(AldisError, RuntimeError):
    """aldis cannot stand in for blinker (any more), or does not although it has to."""


class MissingExtraError(AldisError, ImportError):
    """An optional dependency is not installed."""


class AldisWarning(UserWarning):
    """The root of every warning of aldis."""


class ContractWarning(AldisWarning):
    """A receiver does not fit an advisory contract, or one that was declared after it connected."""


class StrictWarning(AldisWarning):
    """Strict mode saw something that the rules of signals forbid."""
