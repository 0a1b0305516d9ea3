"""``current_signal``: the signal whose receiver is running.

A send that records its signal takes longer, and few receivers ask for it. So a send records it only
for a receiver that names ``current_signal`` in its code; see
:func:`aldis.core.receiver.asks_signal`.
"""

from __future__ import annotations

import sys
from typing import Any

from aldis.core.receiver import contains_code, describe
from aldis.core.serving import serving
from aldis.core.signal import Signal
from aldis.errors import NoSignalError

__all__ = ["current_signal"]


def current_signal() -> Signal[..., Any]:
    """Return the signal whose receiver calls this function.

    ::

        @order_paid.connect
        @order_cancelled.connect
        def log(sender, **extra):
            print(f"{current_signal()} by {sender}")

    The receiver must call it itself, under the name ``current_signal``. When aldis connects a
    receiver, it looks for this name in the code of the receiver, so that sends to all other
    receivers need no time for it. Pass the result to the functions that the receiver calls. A
    function that is defined inside the receiver counts as the receiver.

    In a receiver that runs after a commit or in a worker, it is the signal that was sent. For a
    signal of a blinker that was imported before aldis, compare with ``==``.

    Raises:
        NoSignalError: No signal is calling this function, or a helper function calls it, or a
            delivery belongs to a signal that no longer exists.
    """
    current = serving()
    caller = sys._getframe(1).f_code
    if current is None or not contains_code(current.receiver, caller):
        message = (
            f"current_signal() was called in {caller.co_qualname} ({caller.co_filename}:"
            f"{caller.co_firstlineno}), which is not a receiver that a signal is calling; call it "
            "under this name in the receiver itself, and pass the result to other functions"
        )
        raise NoSignalError(message)
    if current.signal is None:
        message = (
            f"the signal of this delivery of {describe(current.receiver)} no longer exists; keep a "
            "reference to the signal, for example as a global of a module"
        )
        raise NoSignalError(message)
    signal: Signal[..., Any] = current.signal
    return signal
