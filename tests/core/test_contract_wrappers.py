"""Contracts and receivers that wrap other callables."""

import functools

import pytest

from aldis.errors import ContractError


class TestWrappers:
    def test_a_wrapper_that_a_send_could_not_call_is_refused(self, shop):
        """A send calls the wrapper, so the real parameters of the wrapper count."""

        @shop.define
        def lit(sender, /, *, shelf: int) -> None: ...

        def inner(sender, *, shelf):
            pass

        @functools.wraps(inner)
        def outer(sender):
            pass

        with pytest.raises(ContractError, match="it does not take 'shelf'"):
            lit.connect(outer)

    def test_a_wrapper_that_passes_everything_on_is_checked_by_its_function(self, shop):
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
