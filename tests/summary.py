"""The end of pytest's output: how many tests were skipped, by reason, in a few lines."""

from collections import Counter

#: The text that pytest puts before the reason of a skip.
_PREFIX = "Skipped: "

#: The largest number of listed reasons. CI has far fewer.
MOST = 12


def lines_about_skips(reports):
    """Return a line for each reason, the most frequent first.

    Args:
        reports: The reports of the skipped tests.
    """
    counts = Counter(_reason(each) for each in reports).most_common()
    lines = [f"{count} {'test' if count == 1 else 'tests'}: {why}" for why, count in counts[:MOST]]
    if rest := counts[MOST:]:
        lines.append(
            f"{sum(count for _, count in rest)} more tests, for {len(rest)} more reasons "
            "(`pytest -rs` lists them)"
        )
    return lines


def _reason(report):
    """Return the reason for which a test was skipped."""
    if isinstance(report.longrepr, tuple):
        _, _, text = report.longrepr
        return text.removeprefix(_PREFIX)
    return str(report.longrepr)
