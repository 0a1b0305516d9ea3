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
