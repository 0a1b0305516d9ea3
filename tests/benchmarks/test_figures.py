"""The figures that the benchmarks compute from their samples."""

import pytest

from benchmarks.goals import Goal, goals
from benchmarks.readme import write_figures
from benchmarks.samples import Samples, Spread
from benchmarks.tables import number, ratio

X = "\N{MULTIPLICATION SIGN}"


class TestSamples:
    def test_ratios_are_taken_within_a_round(self):
        """A round that was slow for both does not change the ratio."""
        samples = Samples()
        for at, (blinker, aldis) in enumerate([(80, 10), (800, 100), (88, 11)]):
            samples.add("send", "blinker", at, blinker)
            samples.add("send", "aldis", at, aldis)
        assert samples.ratio("send", "blinker", "aldis") == Spread(8, 8, 8)

    def test_a_round_that_one_of_them_missed_does_not_count(self):
        """Only rounds with both systems are compared."""
        samples = Samples()
        samples.add("send", "blinker", 0, 80)
        samples.add("send", "blinker", 1, 800)
        samples.add("send", "aldis", 1, 100)
        assert samples.ratio("send", "blinker", "aldis") == Spread(8, 8, 8)

    def test_an_absent_peer_has_no_ratio(self):
        """A peer without samples gives no ratio and no error."""
        samples = Samples()
        samples.add("send", "blinker", 0, 80)
        assert samples.ratio("send", "blinker", "aldis") is None
        assert samples.value("send", "aldis") is None

    def test_the_spread_is_the_middle_half(self):
        """One disturbed round in five moves neither the median nor the quartiles."""
        assert Spread.of([1, 2, 3, 4, 1000]) == Spread(3, 2, 4)


class TestGoals:
    @pytest.mark.parametrize(
        ("measured", "verdict"),
        [
            (Spread(8.5, 8.2, 9), "yes"),
            (Spread(8.1, 7.9, 9), "yes, within noise"),
            (Spread(7.9, 7.5, 8.1), "**no**, within noise"),
            (Spread(7, 6, 7.9), "**no**"),
            (None, "not measured"),
        ],
    )
    def test_the_median_decides_and_the_spread_may_doubt_it(self, measured, verdict):
        """A goal inside the middle half of the rounds is reached or missed within noise."""
        assert Goal("send", measured, least=8).verdict == verdict

    def test_a_goal_can_be_an_upper_bound(self):
        """A goal can limit the time of a Flask request."""
        assert Goal("request", Spread(0.9, 0.8, 0.95), most=1).verdict == "yes"
        assert Goal("request", Spread(1.2, 1.1, 1.3), most=1).verdict == "**no**"

    def test_an_engine_that_was_not_measured_is_named_once(self):
        """Without the C engine, one line replaces its goals."""
        samples = Samples()
        samples.add("send/functions/1/ns", "blinker", 0, 80)
        samples.add("send/functions/1/ns", "aldis-py", 0, 20)
        found = goals(samples, ["send"])
        absent = [goal for goal in found if goal.work == "aldis, C engine"]
        assert [goal.verdict for goal in absent] == ["not measured"]
        send = next(goal for goal in found if "1 receiver, as fast" in goal.work)
        assert send.measured == Spread(4, 4, 4)


def test_numbers_have_three_significant_digits():
    """A number has three significant digits."""
    figures = (0, 0.1414, 1.5, 31.44, 512.2, 48668.4)
    assert [number(figure) for figure in figures] == [
        "0",
        "0.14",
        "1.50",
        "31.4",
        "512",
        "48,668",
    ]


def test_a_ratio_shows_its_spread():
    """The median comes first, then the limits of the middle half."""
    assert ratio(Spread(8.123, 7.9, 8.4)) == "8.12 (7.90\N{EN DASH}8.40)"
    assert ratio(None) == "\N{EN DASH}"


def test_a_run_updates_the_readme(tmp_path):
    """The row about sends gets the figures of both engines, and the rest of the text stays."""
    readme = tmp_path / "README.md"
    readme.write_text(
        f"before\n| a send to 0, 1, 10 receivers | 1 {X} | 6, 7, 8 {X} as fast (x); without "
        f"a compiler 1, 2, 3 {X} |\nafter\n",
        encoding="utf-8",
    )
    samples = Samples()
    for size in (0, 1, 10):
        for contender, figure in (("blinker", 1000), ("aldis", 100), ("aldis-py", 400)):
            samples.add(f"send/functions/{size}/ns", contender, 0, figure)
    assert write_figures(samples, readme)
    assert readme.read_text(encoding="utf-8") == (
        f"before\n| a send to 0, 1, 10 receivers | 1 {X} | 10, 10, 10 {X} as fast (x); "
        f"without a compiler 2.5, 2.5, 2.5 {X} |\nafter\n"
    )
    assert not write_figures(Samples(), readme)
