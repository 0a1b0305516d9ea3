"""Contracts and receivers that wrap other callables."""

import functools

import pytest

from aldis.errors import ContractError


class TestWrappers:
    def test_a_wrapper_that_could_not_be_called_is_refused(self, shop):
        """It is the wrapper that a send calls, whatever signature it claims."""

        @shop.define
        def lit(sender, /, *, shelf: int) -> None: ...

        def inner(sender, *, shelf):
            pass

        @functools.wraps(inner)
        def outer(sender):
            pass

        with pytest.raises(ContractError, match="it does not take 'shelf'"):
            lit.connect(outer)

    def test_a_wrapper_that_hands_everything_on_is_looked_through(self, shop):
        """Behind ``*args, **kwargs``, the signature of the wrapped function counts."""

        @shop.define
        def lit(sender, /, *, shelf: int) -> None: ...

        def inner(sender):
            pass

        @functools.wraps(inner)
        def outer(*args, **kwargs):
            pass

        with pytest.raises(ContractError, match="it does not take 'shelf'"):
            lit.connect(outer)
