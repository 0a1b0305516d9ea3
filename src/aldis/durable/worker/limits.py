"""The limits of a worker: durations in seconds, and the size of a claim."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ALIVE_FOR",
    "BATCH",
    "CHECK_EVERY",
    "CLAIM_AHEAD",
    "CLAIM_TRIES",
    "COMPLETE_WITHIN",
    "CONFLICT_SECONDS",
    "CONFLICT_TRIES",
    "MAX_CONFLICT_DELAY",
    "MAX_RECONNECT_DELAY",
    "REGISTER_EVERY",
    "RESCUE_EVERY",
    "SUBMIT_SECONDS",
]

#: Seconds of work that a worker claims in advance, so that the next job does not wait for the
#: database. A receiver that takes longer gets a separate thread, and is not claimed in advance.
CLAIM_AHEAD: Final = 0.2

#: The largest number of deliveries in one claim.
BATCH: Final = 500

#: The longest time, in seconds, that a completion waits for other completions to be saved with.
COMPLETE_WITHIN: Final = 0.1

#: Seconds of work that a thread gets at a time. Handing over single jobs would take longer than
#: running a fast receiver.
SUBMIT_SECONDS: Final = 0.005

#: Seconds between two searches for lost workers, and for gaps in the order of a key.
RESCUE_EVERY: Final = 5.0

#: Seconds between two records of the receivers that a worker serves.
REGISTER_EVERY: Final = 600.0

#: The longest time, in seconds, that the loop waits while receivers are running.
CHECK_EVERY: Final = 1.0

#: How often :meth:`WorkerLoop.run_due` searches again for a delivery that can be claimed.
CLAIM_TRIES: Final = 20

#: The longest pause, in seconds, while the database is unavailable.
MAX_RECONNECT_DELAY: Final = 5.0

#: How often a receiver whose transaction conflicts with others runs again within one attempt.
CONFLICT_TRIES: Final = 20

#: Seconds after which such a receiver is not called again within the attempt. SQLite waits for
#: seconds before it reports a conflict.
CONFLICT_SECONDS: Final = 30.0

#: The longest pause, in seconds, before such a receiver is called again.
MAX_CONFLICT_DELAY: Final = 0.5

#: Seconds for which a worker counts as alive after its last claim. Without deliveries, it claims
#: every few seconds.
ALIVE_FOR: Final = 3 * RESCUE_EVERY
