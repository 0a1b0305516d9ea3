"""The end of pytest's output counts the skipped tests by reason."""

from types import SimpleNamespace

from tests.summary import MOST, lines_about_skips


def skipped(reason):
    """Return the report of a skipped test."""
    return SimpleNamespace(longrepr=("test_pay.py", 7, f"Skipped: {reason}"))


def test_each_reason_is_one_line():
    """The most frequent reason is the first."""
    reports = [skipped("there is no gcc"), *[skipped("needs PostgreSQL")] * 3]
    assert ["3 tests: needs PostgreSQL", "1 test: there is no gcc"] == lines_about_skips(reports)


def test_many_reasons_fit_on_a_screen():
    """The rare reasons are counted together."""
    *lines, last = lines_about_skips([skipped(f"reason {each}") for each in range(MOST + 2)])
    assert MOST == len(lines)
    assert last.startswith("2 more tests, for 2 more reasons")
