"""What the arguments of a send may be called."""

from functools import partial

import pytest

import aldis
from aldis.receivers import once, robust


@pytest.fixture
def signal():
    """Give a signal."""
    return aldis.Signal()


class TestThePayload:
    @pytest.mark.parametrize("deliver", [partial, once, robust])
    @pytest.mark.parametrize("how", ["send", "send_robust"])
    def test_may_be_called_self(self, signal, deliver, how):
        """However it is sent and delivered, ``self`` is an argument like any other."""
        heard = []

        def receive(sender, /, **payload):
            heard.append(payload)

        signal.connect(deliver(receive), weak=False)
        getattr(signal, how)("north", self=1)
        assert [{"self": 1}] == heard

    @pytest.mark.parametrize("deliver", [partial, once, robust])
    @pytest.mark.parametrize("how", ["asend", "asend_robust", "send_async"])
    async def test_may_be_called_self_where_it_is_awaited(self, signal, deliver, how):
        """So it is with async receivers."""
        heard = []

        async def receive(sender, /, **payload):
            heard.append(payload)

        signal.connect(deliver(receive), weak=False)
        await getattr(signal, how)("north", self=1)
        assert [{"self": 1}] == heard
