"""The names of a send's arguments."""

from functools import partial

import pytest

import aldis
from aldis.receivers import once, robust


@pytest.fixture
def signal():
    """Return a signal."""
    return aldis.Signal()


class TestAnArgument:
    @pytest.mark.parametrize("deliver", [partial, once, robust])
    @pytest.mark.parametrize("how", ["send", "send_robust"])
    def test_may_be_called_self(self, signal, deliver, how):
        """An argument named ``self`` arrives, for every kind of send and delivery mode."""
        received = []

        def receive(sender, /, **payload):
            received.append(payload)

        signal.connect(deliver(receive), weak=False)
        getattr(signal, how)("north", self=1)
        assert [{"self": 1}] == received

    @pytest.mark.parametrize("deliver", [partial, once, robust])
    @pytest.mark.parametrize("how", ["asend", "asend_robust", "send_async"])
    async def test_may_be_called_self_where_it_is_awaited(self, signal, deliver, how):
        """An argument named ``self`` arrives at async receivers, too."""
        received = []

        async def receive(sender, /, **payload):
            received.append(payload)

        signal.connect(deliver(receive), weak=False)
        await getattr(signal, how)("north", self=1)
        assert [{"self": 1}] == received
