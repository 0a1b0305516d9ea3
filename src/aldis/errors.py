"""Every exception and warning of aldis.

::

    AldisError
    ├── ReceiverError           TypeError      a receiver that cannot be connected
    ├── ContractError           TypeError      a contract is wrong, or a receiver does not fit it
    ├── AsyncReceiverError      RuntimeError   an async receiver in a sync send, or the reverse
    ├── UnboundSenderError      RuntimeError   a proxy without an object behind it
    ├── SignalPickleError       TypeError      a copy of a signal with receivers
    ├── UnknownNameError        LookupError    no signal or durable receiver has this name
    ├── InvalidNameError        ValueError     a name is empty, too long or already in use
    ├── StandInError            RuntimeError   aldis cannot replace blinker
    ├── PluginError             RuntimeError   a plugin that cannot be loaded or connected
    │   └── UnknownPluginError  LookupError    no plugin of this name is installed
    ├── OAuthSetupError         ValueError     the settings of an OAuth provider are incomplete
    ├── LoginError              RuntimeError   a login failed
    ├── NotLoggedInError        LookupError    the user has no token for this provider
    │   └── LoginExpiredError                  the user's token expired and cannot be refreshed
    ├── TokenStorageError       ValueError     a token storage cannot keep a token
    ├── NoSessionError          LookupError    no database session, or not a usable one
    ├── NoDeliveryError         LookupError    no durable receiver is running here
    ├── NoSignalError           LookupError    no signal is calling this function
    ├── OutboxError             RuntimeError   a delivery cannot be recorded or worked on
    │   └── SchemaError                        the tables are missing, too old or too new
    ├── LeaseLostError          RuntimeError   another worker has taken over the delivery
    ├── TimeLimitError          TimeoutError   a durable receiver took too long
    ├── PayloadTypeError        TypeError      a declared type cannot be encoded
    ├── PayloadError            ValueError     a sender or a payload cannot be encoded or decoded
    │   ├── PayloadMismatchError               a recorded payload no longer fits
    │   └── LostRowError        LookupError    a recorded payload names a deleted row
    ├── GiveUp                  RuntimeError   raised by a durable receiver: do not retry
    ├── RetryLater              RuntimeError   raised by a durable receiver: retry after some time
    └── MissingExtraError       ImportError    an optional dependency is not installed

    AldisWarning                UserWarning
    ├── ContractWarning                        a receiver does not fit an advisory or late contract
    ├── SenderWarning                          a list of senders is connected as one sender
    └── StrictWarning                          strict mode found a broken rule
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final


class AldisError(Exception):
    """The root of every exception that aldis defines."""


class ReceiverError(AldisError, TypeError):
    """A receiver, or a plugin's mapping of receivers, cannot be connected.

    A receiver must be callable. With ``weak=True`` it must be weakly referenceable. It has at most
    one delivery mode, and no wrapper may hide it. A durable receiver cannot be a method.
    """


class ContractError(AldisError, TypeError):
    """A function cannot be the contract of a signal, or a receiver does not fit a contract."""


class AsyncReceiverError(AldisError, RuntimeError):
    """A sync send met an async receiver, or the reverse, without a wrapper between them."""


class UnboundSenderError(AldisError, RuntimeError):
    """The sender is a proxy that stands for no object at the moment."""


class SignalPickleError(AldisError, TypeError):
    """A signal with receivers cannot be pickled or copied, if no importable namespace owns it."""


class UnknownNameError(AldisError, LookupError):
    """No signal of the namespace, no durable receiver, or no preset of a provider has this name."""


class InvalidNameError(AldisError, ValueError):
    """The name of a durable receiver or a sender is empty, too long or already in use."""


class StandInError(AldisError, RuntimeError):
    """aldis must replace blinker and does not, or cannot do so any more."""


class PluginError(AldisError, RuntimeError):
    """A plugin cannot be loaded or connected. None of its receivers is connected.

    Args:
        message: The reason.
        plugin: The plugin's name.
    """

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), plugin=self.plugin), self.args


class UnknownPluginError(PluginError, LookupError):
    """No plugin of this name is installed."""


class OAuthSetupError(AldisError, ValueError):
    """The settings of an OAuth provider are incomplete: an endpoint or the client id is missing."""


class LoginError(AldisError, RuntimeError):
    """A login failed. The error contains no secret and no token.

    Args:
        code: The reason as one word: a code of the provider or of ``aldis.oauth``.
        description: The reason for people.
        uri: A page with more information.
    """

    def __init__(self, code: str, description: str | None = None, uri: str | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.uri = uri


class NotLoggedInError(AldisError, LookupError):
    """The application called a provider for a user who has no token for it.

    Args:
        provider: The name of the blueprint.
        message: The reason.
    """

    def __init__(self, provider: str, message: str) -> None:
        super().__init__(message)
        self.provider = provider

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.provider), self.args


class LoginExpiredError(NotLoggedInError):
    """The user's token expired, and the provider does not refresh it."""


class TokenStorageError(AldisError, ValueError):
    """A token storage cannot keep a token: it is too large, or no user is logged in."""


class NoSessionError(AldisError, LookupError):
    """aldis does not know the database session to use, or the given object is not a session."""


class NoDeliveryError(AldisError, LookupError):
    """``current_delivery()`` was called while no durable receiver is running."""


class NoSignalError(AldisError, LookupError):
    """``current_signal()`` was called outside a receiver that a signal is calling."""


class OutboxError(AldisError, RuntimeError):
    """A delivery cannot be recorded or worked on.

    The database is unavailable or rejected the operation, no transaction has begun, or a session
    was closed without a commit.
    """


class SchemaError(OutboxError):
    """The tables of the outbox are missing, too old or too new for this version of aldis."""


class LeaseLostError(AldisError, RuntimeError):
    """Another worker has taken over the delivery that this worker was running."""


class TimeLimitError(AldisError, TimeoutError):
    """A durable receiver ran for longer than its time limit."""


class PayloadTypeError(AldisError, TypeError):
    """The contract of a durable receiver's signal declares a type that cannot be encoded."""


class PayloadError(AldisError, ValueError):
    """A sender or a payload cannot be encoded or decoded. Nothing of it was recorded."""


class PayloadMismatchError(PayloadError):
    """A recorded payload no longer fits the signal's contract or the receiver."""


class LostRowError(PayloadError, LookupError):
    """A recorded payload or sender names a row that was deleted."""


class GiveUp(AldisError, RuntimeError):  # noqa: N818 - an instruction to the worker, not an error
    """A durable receiver raises this to make its delivery a dead letter without any retry.

    Args:
        reason: The reason, for the people who look at dead letters.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryLater(AldisError, RuntimeError):  # noqa: N818 - an instruction to the worker
    """A durable receiver raises this to be called again after some time.

    The attempt does not count, and no error is logged.

    Args:
        reason: The reason, for the people who look at pending deliveries.
        seconds: The time to wait.
    """

    def __init__(self, reason: str = "asked to be called later", *, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds: float = check_seconds(seconds)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), seconds=self.seconds), self.args


def check_seconds(seconds: float) -> float:
    """Return ``seconds`` as a float. It must be finite and not negative."""
    message = f"seconds must be a finite number, 0 or greater, not {seconds!r}"
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

    A plugin's receiver without ``**kwargs`` causes this warning too, because the signal may carry
    more arguments one day.
    """


class SenderWarning(AldisWarning):
    """A receiver is connected for a list, tuple or set, as if it were one sender.

    A send from one of the items does not match. Give several senders as ``senders=[...]``.
    """


class StrictWarning(AldisWarning):
    """Strict mode found code that breaks a rule of signals."""


# -- old names -------------------------------------------------------------------------------------

#: The exceptions of earlier versions, and those that replaced them.
_RENAMED: Final[dict[str, type[AldisError]]] = {
    "DiscardedError": OutboxError,
    "DurableNameError": InvalidNameError,
    "HiddenDeliveryError": ReceiverError,
    "MethodDeliveryError": ReceiverError,
    "NoTransactionError": OutboxError,
    "NotCallableError": ReceiverError,
    "ReceiverMismatchError": ContractError,
    "SenderNameError": InvalidNameError,
    "SubscriptionsError": ReceiverError,
    "UnknownReceiverError": UnknownNameError,
    "UnknownSignalError": UnknownNameError,
    "WeakReferenceError": ReceiverError,
}

if TYPE_CHECKING:
    DiscardedError = NoTransactionError = OutboxError
    DurableNameError = SenderNameError = InvalidNameError
    ReceiverMismatchError = ContractError
    HiddenDeliveryError = MethodDeliveryError = NotCallableError = ReceiverError
    SubscriptionsError = WeakReferenceError = ReceiverError
    UnknownReceiverError = UnknownSignalError = UnknownNameError
else:

    def __getattr__(name: str) -> type[AldisError]:
        if name not in _RENAMED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        new = _RENAMED[name]
        message = f"aldis.errors.{name} is deprecated; use aldis.errors.{new.__name__} instead"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return new
