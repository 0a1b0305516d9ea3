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
    ├── SubscriptionsError      TypeError      a plugin's mapping that cannot be connected
    ├── PluginError             RuntimeError   a plugin that cannot be loaded or connected
    │   └── UnknownPluginError  LookupError    a plugin's name that nobody installed
    ├── OAuthSetupError         ValueError     a provider that is not described completely
    ├── LoginError              RuntimeError   a login with a provider that did not succeed
    ├── NotLoggedInError        LookupError    a call to a provider without a token to call it with
    │   └── LoginExpiredError                  the provider no longer honours the login
    ├── TokenStorageError       ValueError     a storage that cannot keep a token
    ├── NoSessionError          LookupError    nobody knows whose session a delivery belongs to
    ├── NoTransactionError      RuntimeError   nothing was begun that a delivery could be part of
    ├── DiscardedError          RuntimeError   a session was closed with deliveries that are lost
    ├── NoDeliveryError         LookupError    no durable receiver is running here
    ├── MethodDeliveryError     TypeError      a method, which no worker could call
    ├── DurableNameError        ValueError     a durable receiver's name that cannot be its name
    ├── UnknownReceiverError    LookupError    a durable receiver's name that nobody has
    ├── OutboxError             RuntimeError   a database that cannot keep what it would promise
    │   └── SchemaError                        its tables are missing, too old or too new
    ├── LeaseLostError          RuntimeError   a delivery that another worker has by now
    ├── TimeLimitError          TimeoutError   a durable receiver that took too long
    ├── PayloadTypeError        TypeError      a declared argument that cannot travel to a worker
    ├── PayloadError            ValueError     a sender or a payload that cannot travel to a worker
    │   ├── PayloadMismatchError               a recorded payload that does not fit any more
    │   └── LostRowError        LookupError    a row that a recorded payload names, and that is gone
    ├── SenderNameError         ValueError     a sender that cannot be registered by that name
    ├── GiveUp                  RuntimeError   raised by a durable receiver: do not try again
    ├── RetryLater              RuntimeError   raised by a durable receiver: try again then
    └── MissingExtraError       ImportError    an optional dependency that is not installed

    AldisWarning                UserWarning
    ├── ContractWarning                        an advisory or late contract that is not kept
    └── StrictWarning                          strict mode found one of the "never"s and "should"s
"""

from __future__ import annotations

from functools import partial
from typing import Any


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


class SubscriptionsError(AldisError, TypeError):
    """A mapping of signals to receivers has entries that cannot be connected."""


class PluginError(AldisError, RuntimeError):
    """A plugin cannot be loaded or connected; nothing of it is connected.

    Args:
        message: What went wrong.
        plugin: The plugin's name.
    """

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), plugin=self.plugin), self.args


class UnknownPluginError(PluginError, LookupError):
    """A plugin's name was given that nobody installed."""


class OAuthSetupError(AldisError, ValueError):
    """A provider is not described completely: an endpoint or the client's id is missing."""


class LoginError(AldisError, RuntimeError):
    """A login with a provider did not succeed. It holds no secret and no token.

    Args:
        code: What went wrong, as one word: the provider's code or one of ``aldis.oauth``'s.
        description: The same for people.
        uri: A page that says more.
    """

    def __init__(self, code: str, description: str | None = None, uri: str | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.uri = uri


class NotLoggedInError(AldisError, LookupError):
    """A provider was to be called for a user who has no token from it.

    Args:
        provider: The name of the blueprint.
        message: What is the matter.
    """

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(message)
        self.provider = provider

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.provider), self.args


class LoginExpiredError(NotLoggedInError):
    """The user's token has expired and the provider will not renew it."""


class TokenStorageError(AldisError, ValueError):
    """A token storage cannot keep a token: it is too large, or there is nobody to keep it for."""


class NoSessionError(AldisError, LookupError):
    """Nobody knows whose session a delivery belongs to, or it is none."""


class NoTransactionError(AldisError, RuntimeError):
    """A durable delivery was to be recorded where no transaction has begun."""


class DiscardedError(AldisError, RuntimeError):
    """A session was closed, neither committed nor rolled back, and took deliveries with it."""


class NoDeliveryError(AldisError, LookupError):
    """The current delivery was asked for where no durable receiver is running."""


class MethodDeliveryError(AldisError, TypeError):
    """A method was to be durable: a worker has no object to call it on."""


class DurableNameError(AldisError, ValueError):
    """A durable receiver's name is empty, too long or another receiver's already."""


class UnknownReceiverError(AldisError, LookupError):
    """A durable receiver was asked for by a name that none has."""


class OutboxError(AldisError, RuntimeError):
    """A database, or the session's way to it, cannot keep what an outbox promises."""


class SchemaError(OutboxError):
    """The tables of an outbox are missing, too old or too new for this version of aldis."""


class LeaseLostError(AldisError, RuntimeError):
    """A worker no longer holds the delivery that it runs: another has taken it over."""


class TimeLimitError(AldisError, TimeoutError):
    """A durable receiver ran for longer than its limit."""


class PayloadTypeError(AldisError, TypeError):
    """A durable receiver's signal declares something that cannot travel to a worker."""


class PayloadError(AldisError, ValueError):
    """A sender or a payload cannot travel to a durable receiver; nothing of it is recorded."""


class PayloadMismatchError(PayloadError):
    """A recorded payload does not fit what its signal and its receiver declare by now."""


class LostRowError(PayloadError, LookupError):
    """A recorded payload or sender is a row of the database, and the row is gone."""


class SenderNameError(AldisError, ValueError):
    """A sender cannot be registered: its name is another's already, or it needs none."""


class GiveUp(AldisError, RuntimeError):  # noqa: N818 - what a receiver says, not what went wrong
    """Raised by a durable receiver whose delivery cannot succeed: it is a dead letter at once.

    Args:
        reason: Why, for those who look at dead letters.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(AldisError, RuntimeError):  # noqa: N818 - as above
    """Raised by a durable receiver that knows when it is worth trying again.

    It is no failure: the attempt is not counted, and nothing is logged as an error.

    Args:
        reason: Why, for those who look at what is waiting.
        seconds: How long to wait.
    """

    def __init__(self, reason: str = "asked to be called later", *, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = check_seconds(seconds)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), seconds=self.seconds), self.args


def check_seconds(seconds: float) -> float:
    """Return ``seconds``, which must be a finite number and not negative."""
    message = f"seconds must be a number from 0 on, not {seconds!r}"
    try:
        fits = 0 <= seconds < float("inf")
    except TypeError:
        raise TypeError(message) from None
    if not fits:
        raise ValueError(message)
    return float(seconds)


class MissingExtraError(AldisError, ImportError):
    """An optional dependency is not installed."""


class AldisWarning(UserWarning):
    """The root of every warning of aldis."""


class ContractWarning(AldisWarning):
    """A receiver does not fit an advisory contract, or one that was declared after it connected.

    Or it is a plugin's and takes no ``**kwargs``, whatever its signal may carry one day.
    """


class StrictWarning(AldisWarning):
    """Strict mode saw something that the rules of signals forbid."""
