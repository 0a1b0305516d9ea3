#!/usr/bin/env bash
# Run the tests of the C engine on a build with AddressSanitizer and UndefinedBehaviorSanitizer.
# `make sanitize` runs this.
set -euo pipefail

python=${1:?usage: tools/sanitize.sh PYTHON [pytest arguments]}
shift

# Left out: tests that count memory or wait for an address to be reused, which the sanitizer's
# allocator prevents, and tests that start an interpreter with another environment.
exec "$(dirname "$0")/sanitized.sh" "$python" \
    -m pytest -q -p no:cacheprovider --timeout=600 "${@:-tests/core}" \
    --ignore=tests/core/stress/test_churn.py \
    --ignore=tests/core/engines/test_leaks.py \
    --ignore=tests/core/engines/test_interpreters.py \
    --deselect=tests/core/test_plans.py::test_an_object_at_the_address_of_a_dead_sender_does_not_use_its_plan \
    --deselect=tests/core/stress/test_collector.py::test_an_object_at_the_address_of_a_removed_sender_has_no_receivers
