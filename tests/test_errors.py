"""The classes of errors and warnings."""

import inspect

from aldis import errors

CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, BaseException) and each.__module__ == errors.__name__
]


def test_each_has_one_of_the_two_roots():
    """An error is an AldisError, and a warning is an AldisWarning."""
    assert CLASSES
    assert [] == [
        each
        for each in CLASSES
        if issubclass(each, errors.AldisError) == issubclass(each, errors.AldisWarning)
    ]


def test_each_is_what_a_python_programmer_expects():
    """An error derives from a built-in error as well, and a warning from UserWarning."""
    general = {object, BaseException, Exception, Warning}
    plain = [
        each
        for each in CLASSES
        if not {base for base in each.__mro__ if base.__module__ == "builtins"} - general
    ]
    assert [errors.AldisError] == plain


def test_each_is_documented():
    """Each class has a docstring of its own."""
    assert [] == [each for each in CLASSES if not vars(each).get("__doc__")]
