import gc

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mnist_core.comparison import RULE, _verdict, compare
from mnist_core.records import COMPARISON_COLUMNS, INTERVAL_COLUMNS, ComparisonRule

FEW = ComparisonRule(confidence=0.95, num_resamples=300, smallest_difference=0.2)  # enough for a verdict, and fast


def wrong_at(indices, num_images=1000):
    """One seed that errs on these images."""
    wrong = np.zeros((1, num_images), bool)
    wrong[0, list(indices)] = True
    return wrong


def networks(rng, first_error, second_error, *, num_seeds=5, num_images=10_000):
    """Two networks' mistakes, bool (S, N) each: 1.6 % of the images are too hard for both, the others are chance."""
    hard = 0.016
    too_hard = rng.random(num_images) < hard
    return {
        model: too_hard | (rng.random((num_seeds, num_images)) < (error - hard) / (1 - hard))
        for model, error in (("1b", first_error), ("2b", second_error))
    }


@pytest.fixture
def no_collection(monkeypatch):
    """statsmodels' multipletests collects garbage each time, which takes most of the time of many small simulations."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


class TestMcNemar:
    def test_a_textbook_example(self):
        """Agresti, Categorical Data Analysis, 2nd edition, 10.1: approval of a prime minister, 150 against 86.

        There z^2 = 64^2 / 236 = 17.4; the exact p is twice the binomial tail.
        """
        result = compare({"1a": wrong_at(range(150)), "2a": wrong_at(range(150, 236))}, FEW)
        pair = result.pairs.iloc[0]
        assert (pair.only_model_wrong, pair.only_other_wrong) == (150, 86)
        assert pair.p_value == pytest.approx(stats.binomtest(86, 236, 0.5).pvalue, rel=1e-3)  # four digits are kept

    def test_by_hand(self):
        """One against six: 2 (C(7, 0) + C(7, 1)) / 2^7 = 0.125. Images wrong for both, 7 to 9, do not count."""
        result = compare({"1a": wrong_at([0, 7, 8, 9]), "2a": wrong_at(range(1, 10))}, FEW)
        pair = result.pairs.iloc[0]
        assert (pair.only_model_wrong, pair.only_other_wrong, pair.p_value) == (1, 6, 0.125)
        assert pair.difference == -0.5

    def test_it_takes_the_first_seed(self):
        first, rest = wrong_at(range(10)), wrong_at(range(500))
        result = compare({"1a": np.concatenate([first, rest]), "2a": np.concatenate([first, first])}, FEW)
        pair = result.pairs.iloc[0]
        assert (pair.only_model_wrong, pair.only_other_wrong, pair.p_value) == (0, 0, 1.0)
        assert pair.difference == 24.5  # but both seeds count here: (1 % + 50 %) / 2 - 1 %


class TestHolm:
    def test_the_example_of_statsmodels_by_hand(self):
        """Sorted p times 3, 2, 1, never falling."""
        assert multipletests([0.03, 0.01, 0.04], method="holm")[1] == pytest.approx([0.06, 0.03, 0.06])

    def test_all_pairs_are_corrected_together(self):
        models = {"1a": wrong_at([]), "1b": wrong_at(range(6)), "1c": wrong_at(range(8))}
        pairs = compare(models, FEW).pairs
        assert pairs[["model", "other"]].values.tolist() == [["1a", "1b"], ["1a", "1c"], ["1b", "1c"]]
        assert pairs.p_value.tolist() == [0.03125, 0.007812, 0.5]  # 2 / 2^6, 2 / 2^8 and 2 / 2^2
        assert pairs.p_holm.tolist() == [0.0625, 0.02344, 0.5]  # times 2, 3 and 1


class TestIntervals:
    def test_one_seed_is_the_binomial_spread_of_images(self):
        """30 of 1,000: the ends are quantiles of the binomial, as scipy has them."""
        intervals = compare({"1a": wrong_at(range(30)), "2a": wrong_at(range(30))}, RULE).intervals
        assert intervals.columns.tolist() == list(INTERVAL_COLUMNS)
        low, high = stats.binom.ppf([0.025, 0.975], 1000, 0.03) / 10
        # One image is 0.1 points: with 9,999 draws an end may fall on the next one.
        assert intervals.low.tolist() == pytest.approx([low] * 2, abs=0.1001)
        assert intervals.high.tolist() == pytest.approx([high] * 2, abs=0.1001)
        assert intervals.test_error.tolist() == [3.0, 3.0]

    def test_seeds_widen_it(self):
        """Five seeds with 0, 0, 20, 40 and 40 % on no particular images: their spread is what is left."""
        rng = np.random.default_rng(0)
        rates = np.array([0, 0, 0.2, 0.4, 0.4])
        wrong = rng.random((5, 5_000)) < rates[:, np.newaxis]
        interval = compare({"1a": wrong, "2a": wrong}, RULE).intervals.iloc[0]
        # The mean of five draws of five numbers: all 3,125 of them.
        means = 100 * rates[np.stack(np.unravel_index(np.arange(5**5), (5,) * 5))].mean(axis=0)
        low, high = np.quantile(means, [0.025, 0.975])
        # Images add 0.3 points (one deviation: sqrt(0.2 * 0.8 / 25,000)); the seeds' part is 30 points wide.
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1)

    def test_the_difference_is_paired(self):
        """Two models that err on the same images do not differ, however uncertain each of the errors is."""
        wrong = wrong_at(range(100))
        result = compare({"1a": wrong, "2a": wrong.copy()}, FEW)
        assert result.pairs[["difference", "low", "high"]].values.tolist() == [[0, 0, 0]]
        assert (result.intervals.high - result.intervals.low > 3).all()
        assert result.pairs.verdict.tolist() == ["alike"]

    def test_the_spread_of_a_paired_difference_is_the_textbooks(self):
        """Var(b - c) = b + c - (b - c)^2 / N for b and c discordant images (Agresti, 10.1.1); normal ends."""
        result = compare({"1a": wrong_at(range(200)), "2a": wrong_at(range(120, 240))}, RULE)
        pair = result.pairs.iloc[0]
        only_model, only_other = 120, 40
        deviation = np.sqrt(only_model + only_other - (only_model - only_other) ** 2 / 1000) / 10
        expected = 8 + np.array([-1, 1]) * 1.959964 * deviation
        assert (pair.low, pair.high) == pytest.approx(expected, abs=0.15)  # an image is 0.1 points

    def test_it_covers_the_truth_in_nineteen_of_twenty(self, no_collection):
        """Two networks with a true error of 2 %, and a true difference of 0; rather too wide than too narrow."""
        rng = np.random.default_rng(3)
        results = [compare(networks(rng, 0.02, 0.02, num_images=2000), FEW) for _ in range(60)]
        for frame, truth in (
            (pd.concat(result.intervals.iloc[:1] for result in results), 2),
            (pd.concat(result.pairs for result in results), 0),
        ):
            covered = ((frame.low <= truth) & (frame.high >= truth)).sum()
            assert covered >= 52  # of 57 expected, with a deviation of 1.7

    def test_equal_input_gives_equal_tables(self):
        models = networks(np.random.default_rng(5), 0.02, 0.025)
        assert compare(models, FEW).pairs.to_csv() == compare(models, FEW).pairs.to_csv()


class TestVerdict:
    def test_a_planted_difference_of_half_a_point_is_found(self):
        """Some 40 and 90 of 10,000 images are discordant: z = 4.4 on average, so that 1 run in 100 misses it."""
        rng = np.random.default_rng(1)
        pairs = [compare(networks(rng, 0.02, 0.025), FEW).pairs.iloc[0] for _ in range(20)]
        assert [pair.verdict for pair in pairs] == ["different"] * 20
        assert all(pair.high < 0 for pair in pairs)

    def test_a_planted_null_is_not_found(self, no_collection):
        rng = np.random.default_rng(2)
        found = sum(
            compare(networks(rng, 0.02, 0.02, num_images=2000), FEW).pairs.verdict[0] == "different" for _ in range(200)
        )
        assert found <= 10

    @pytest.mark.parametrize(
        ("low", "high", "p_holm", "expected"),
        [
            (0.1, 0.9, 0.04, "different"),
            (-0.9, -0.1, 0.04, "different"),
            (0.01, 0.19, 0.04, "different"),  # real, though too small to matter
            (0.1, 0.9, 0.05, "undecided"),  # all pairs together could show as much by chance
            (-0.1, 0.9, 0.01, "undecided"),  # other seeds could turn it round
            (-0.19, 0.19, 1.0, "alike"),
            (0.01, 0.19, 0.06, "alike"),
            (-0.2, 0.19, 1.0, "undecided"),
        ],
    )
    def test_it_needs_the_interval_and_the_test(self, low, high, p_holm, expected):
        assert _verdict(low, high, p_holm, rule=FEW) == expected


def test_the_columns_are_those_that_readers_ask_for():
    pairs = compare({"1a": wrong_at([1]), "2a": wrong_at([2])}, FEW).pairs
    assert sorted(pairs.columns) == sorted(COMPARISON_COLUMNS)
