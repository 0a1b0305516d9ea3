"""The tree of exceptions and warnings."""

import inspect
import pickle

import pytest

from aldis import errors

EXCEPTIONS = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, BaseException) and each.__module__ == errors.__name__
]


def test_every_exception_has_one_of_the_two_roots():
    """Each exception is an `AldisError`, and each warning is an `AldisWarning`."""
    for error in EXCEPTIONS:
        assert issubclass(error, errors.AldisError) is not issubclass(error, errors.AldisWarning)


def test_every_exception_is_a_builtin_one_too():
    """Code that catches the built-in exception also catches the exception of aldis."""
    general = {object, BaseException, Exception, Warning}
    without = [
        error.__name__
        for error in EXCEPTIONS
        if not {each for each in error.__mro__ if each.__module__ == "builtins"} - general
    ]

    assert ["AldisError"] == without


def test_every_exception_is_documented():
    """Each class has a docstring."""
    assert [] == [each for each in EXCEPTIONS if not vars(each).get("__doc__")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DiscardedError", errors.OutboxError),
        ("DurableNameError", errors.InvalidNameError),
        ("HiddenDeliveryError", errors.ReceiverError),
        ("MethodDeliveryError", errors.ReceiverError),
        ("NoTransactionError", errors.OutboxError),
        ("NotCallableError", errors.ReceiverError),
        ("ReceiverMismatchError", errors.ContractError),
        ("SenderNameError", errors.InvalidNameError),
        ("SubscriptionsError", errors.ReceiverError),
        ("UnknownReceiverError", errors.UnknownNameError),
        ("UnknownSignalError", errors.UnknownNameError),
        ("WeakReferenceError", errors.ReceiverError),
    ],
)
def test_an_old_name_works_and_names_the_new_one(old, new):
    """The name of an earlier version gives the class that replaced it, with a warning."""
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated.*{new.__name__}") as caught:
        assert new is getattr(errors, old)

    assert __file__ == caught[0].filename


def test_a_name_that_never_existed_is_an_attribute_error():
    """Another name raises AttributeError."""
    with pytest.raises(AttributeError, match="has no attribute 'NotThereError'"):
        errors.NotThereError  # noqa: B018 - the attribute must raise


@pytest.mark.parametrize(
    "error",
    [
        errors.PluginError("broken", plugin="stock"),
        errors.NotLoggedInError("github", "no token"),
        errors.GiveUp("no such customer"),
        errors.RetryLater("busy", seconds=3),
        errors.LoginError("denied", "the user declined"),
    ],
)
def test_an_exception_survives_pickling(error):
    """A process pool can send an exception of aldis with all its attributes."""
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - the test pickled it

    assert vars(error) == vars(copied)
    assert str(error) == str(copied)
