"""Which differences between models are real: intervals that cover seeds and test images, and a test for every pair.

The tests are statsmodels', the bootstrap is scipy's. All read predictions and labels of the test images, after
everything is chosen and trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from mnist_core.arrays import Array
from mnist_core.metrics import percent
from mnist_core.records import ComparisonRule

RULE = ComparisonRule(confidence=0.95, num_resamples=9_999, smallest_difference=0.2)


@dataclass(frozen=True)
class Comparison:
    """Test errors with their intervals, and all pairs: metrics/intervals.csv and metrics/comparisons.csv."""

    intervals: pd.DataFrame
    pairs: pd.DataFrame


def compare(
    mistakes: Mapping[str, Array], rule: ComparisonRule = RULE, pairs: Sequence[tuple[str, str]] = ()
) -> Comparison:
    """Compare models on the same test images and seeds.

    McNemar's test asks of two networks whether they err on different numbers of images, and knows no seeds. It gets
    those of the first seed: they exist and were named before any result was seen. Counting all seeds' predictions
    would take one image for several, and a vote of the seeds would test a committee that errs less than the networks
    do. The interval covers the seeds.

    Args:
        mistakes: two models or more -> bool (S, N), whether it is wrong with seed s about image n.
        rule: how sure to be, and which difference matters.
        pairs: which models to compare with each other; by default every two.

    Returns:
        Errors and differences in percent and points, rounded; the pairs have a `verdict`, see `_verdict`.
    """
    names, pairs = list(mistakes), pairs or list(combinations(mistakes, 2))
    places = np.array([[names.index(model), names.index(other)] for model, other in pairs])
    ends_of_all = _interval_ends(np.stack(list(mistakes.values())), places, rule)
    low, high = ([percent(end) for end in ends] for ends in ends_of_all)
    errors = {name: float(np.mean(wrong)) for name, wrong in mistakes.items()}
    intervals = {
        "model": names,
        "test_error": [percent(error) for error in errors.values()],
        "low": low[: len(names)],
        "high": high[: len(names)],
    }
    low, high = low[len(names) :], high[len(names) :]
    tables = [_disagreements(mistakes[model][0], mistakes[other][0]) for model, other in pairs]
    p_values = np.array([mcnemar(table, exact=True).pvalue for table in tables])
    p_holm = multipletests(p_values, method="holm")[1]
    columns = {
        "model": [model for model, _ in pairs],
        "other": [other for _, other in pairs],
        "difference": [percent(errors[model] - errors[other]) for model, other in pairs],
        "low": low,
        "high": high,
        "only_model_wrong": [int(table[1, 0]) for table in tables],
        "only_other_wrong": [int(table[0, 1]) for table in tables],
        "p_value": [float(f"{p:.4g}") for p in p_values],
        "p_holm": [float(f"{p:.4g}") for p in p_holm],
        "verdict": [_verdict(*row, rule=rule) for row in zip(low, high, p_holm, strict=True)],
    }
    return Comparison(pd.DataFrame(intervals), pd.DataFrame(columns))


def _interval_ends(wrong: Array, pairs: Array, rule: ComparisonRule) -> tuple[Array, Array]:
    """Return the ends (fractions) of the intervals of all errors and, after them, of the pairs' differences.

    Seeds and images are drawn again independently, the same for all models: a seed means the same order of the
    training images to all, and the same initial weights to twins. Owen, "The pigeonhole bootstrap", 2007: such
    intervals are rather too wide than too narrow, since the noise that belongs to no image and no seed counts
    more than once. They are percentile intervals. One seed cannot be drawn again: then they cover images only.

    Args:
        wrong: bool (models, S, N).
        pairs: int (pairs, 2), which models.
        rule: how sure to be.
    """
    num_models, num_seeds, num_images = wrong.shape
    first, second = pairs.T
    # Counts of at most N = 10,000 are whole numbers that float32 holds exactly: no order of adding changes them.
    columns = wrong.reshape(num_models * num_seeds, num_images).T.astype(np.float32)

    def statistics(seeds: Array, images: Array, axis: int) -> Array:
        assert axis == -1
        drawn_seeds, drawn_images = _count(seeds, num_seeds), _count(images, num_images)  # (draws, S), (draws, N)
        totals = (drawn_images.astype(np.float32) @ columns).reshape(-1, num_models, num_seeds)
        errors = np.einsum("dms,ds->md", totals.astype(np.int64), drawn_seeds) / (seeds.shape[-1] * num_images)
        return np.concatenate([errors, errors[first] - errors[second]])

    # scipy asks for two at least; one seed, drawn twice, is that seed.
    seeds = np.arange(num_seeds) if num_seeds > 1 else np.zeros(2, np.int64)
    result = bootstrap(
        (seeds, np.arange(num_images)),
        statistics,
        n_resamples=rule.num_resamples,
        confidence_level=rule.confidence,
        method="percentile",
        batch=200,
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def _count(drawn: Array, size: int) -> Array:
    """Return how often each of 0 ... size - 1 occurs in each row of `drawn`, integers (..., n): int64 (rows, size)."""
    rows = drawn.reshape(-1, drawn.shape[-1])
    places = rows + size * np.arange(len(rows))[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=size * len(rows)).reshape(len(rows), size)


def _disagreements(wrong: Array, other_wrong: Array) -> Array:
    """Count images by who is wrong, bool (N,) each: int64 (2, 2), a row for right and wrong, a column for the other."""
    return np.array(
        [[np.sum((wrong == row) & (other_wrong == column)) for column in (False, True)] for row in (False, True)]
    )


def _verdict(low: float, high: float, p_holm: float, *, rule: ComparisonRule) -> str:
    """Say what the data can carry.

    "different": the interval leaves out zero and McNemar's corrected p is below 1 - confidence. Both, since the one
    covers seeds and the other all pairs. "alike": it is not different, and the whole interval is nearer to zero than
    the smallest difference that matters. "undecided": neither.
    """
    if p_holm < round(1 - rule.confidence, 10) and (low > 0 or high < 0):
        return "different"
    return "alike" if -rule.smallest_difference < low and high < rule.smallest_difference else "undecided"
