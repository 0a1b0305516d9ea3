"""How much a test does: a little on each change, a lot at night.

``ALDIS_TEST_SIZE=large`` gives more examples, rounds and threads to the tests that compare the
engines on random programs, the stateful tests, the stress tests and the benchmarks. The default is
``small``.
"""

import os

SIZES = ("small", "large")
SIZE = os.environ.get("ALDIS_TEST_SIZE") or "small"
if SIZE not in SIZES:
    raise ValueError(f"ALDIS_TEST_SIZE is {SIZE!r}; it can be {' or '.join(SIZES)}")


def sized(small, large):
    """Return the first value, or the second one if the tests run in their large size."""
    return large if SIZE == "large" else small
