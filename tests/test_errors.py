"""The tree of errors: what they derive from, and that its drawing is true."""

import inspect
import re

import pytest

from aldis import errors

EXCEPTIONS = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, BaseException) and each.__module__ == errors.__name__
]


@pytest.mark.parametrize("error", EXCEPTIONS)
class TestEach:
    def test_has_one_of_the_two_roots(self, error):
        """Everything aldis raises is an AldisError, everything it warns of an AldisWarning."""
        assert issubclass(error, errors.AldisError) is not issubclass(error, errors.AldisWarning)

    def test_is_what_a_python_programmer_expects(self, error):
        """An error derives from a built-in type as well, a warning from UserWarning."""
        builtin = {each for each in error.__mro__ if each.__module__ == "builtins"}
        general = {object, BaseException, Exception, Warning}
        assert builtin - general or error is errors.AldisError

    def test_is_documented(self, error):
        """A docstring of its own says when it is raised."""
        assert "__doc__" in vars(error)
        assert error.__doc__

    def test_is_drawn_where_it_stands(self, error):
        """The drawing on top of the module has it under its parent, with its built-in type."""
        parents = drawn()
        assert error.__name__ in parents
        parent, builtin = parents[error.__name__]
        aldis_bases = [each.__name__ for each in error.__bases__ if each in EXCEPTIONS]
        assert aldis_bases == ([parent] if parent else [])
        if builtin:
            assert builtin in [each.__name__ for each in error.__mro__]


def test_nothing_else_is_drawn():
    """Each name in the drawing exists."""
    assert {each.__name__ for each in EXCEPTIONS} == set(drawn())


def drawn():
    """Read the drawing: from each name to its parent's and the built-in type's."""
    parents, path = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│ ├└─]*)([A-Z]\w+) *((?:[A-Z]\w+)?)", line)
        if not found:
            continue
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        parents[found[2]] = (path[depth - 1] if depth else None, found[3])
    return parents
