import numpy as np
import pytest

from mnist_core.calibration import NUM_BINS, calibration_scores, precision_and_recall, reliability_bins


def spread(confidence, predicted):
    """Ten probabilities: `confidence` for one class, the rest shared by the nine others."""
    row = np.full(10, (1 - confidence) / 9, np.float32)
    row[predicted] = confidence
    return row


# Seed 1: 0.91 right, 0.91 wrong, 0.55 right. Seed 2: certain of the label each time.
LABELS = np.array([3, 5, 7])
FIRST = np.stack([spread(0.91, 3), spread(0.91, 0), spread(0.55, 7)])
CERTAIN = np.eye(10, dtype=np.float32)[LABELS]
BOTH = np.stack([FIRST, CERTAIN])


def test_the_scores_by_hand():
    scores = calibration_scores(FIRST[np.newaxis], LABELS)
    # -(ln 0.91 + ln 0.01 + ln 0.55) / 3 = (0.094311 + 4.605170 + 0.597837) / 3
    assert scores["negative_log_likelihood"] == 1.7658
    # Right with 0.91: 0.09^2 + 9 * 0.01^2 = 0.009; wrong with 0.91: 0.91^2 + 0.99^2 + 8 * 0.01^2 = 1.809;
    # right with 0.55: 0.45^2 + 9 * 0.05^2 = 0.225. Their mean is 0.681.
    assert scores["brier_score"] == 0.681
    # One bin has both 0.91, half of them right; the other has 0.55, right: (2 * 0.41 + 1 * 0.45) / 3.
    assert scores["expected_calibration_error"] == pytest.approx(42.3333, abs=1e-4)  # float32 has 0.91 to 1e-8


def test_they_are_means_over_the_seeds():
    assert calibration_scores(CERTAIN[np.newaxis], LABELS) == {
        "negative_log_likelihood": 0,
        "brier_score": 0,
        "expected_calibration_error": 0,
    }
    scores = calibration_scores(BOTH, LABELS)
    assert (scores["negative_log_likelihood"], scores["brier_score"]) == (0.8829, 0.3405)
    assert scores["expected_calibration_error"] == pytest.approx(21.1667, abs=1e-4)


def test_a_label_that_got_no_probability_at_all_costs_87_nats_and_not_infinity():
    scores = calibration_scores(np.roll(CERTAIN, 1, axis=1)[np.newaxis], LABELS)
    assert scores["negative_log_likelihood"] == 87.3365  # -ln of 2^-126
    assert scores["brier_score"] == 2


def test_bins_are_closed_above_and_hold_all_seeds():
    bins = reliability_bins(BOTH, LABELS)
    assert NUM_BINS == len(bins) == 15
    filled = {(place.low, place.high): place for place in bins if place.count}
    assert sorted(filled) == [(0.5333, 0.6), (0.8667, 0.9333), (0.9333, 1.0)]
    assert filled[0.8667, 0.9333].model_dump() == {
        "low": 0.8667,
        "high": 0.9333,
        "count": 2,
        "confidence": 0.91,
        "accuracy": 0.5,
    }
    assert filled[0.9333, 1.0].count == 3  # certainty belongs to the last
    assert bins[0].confidence is bins[0].accuracy is None


def test_precision_and_recall_by_hand():
    """Labels 0, 0, 0, 1; predicted 0, 0, 1, 1 with one seed and all right with the other."""
    labels = np.array([0, 0, 0, 1])
    probabilities = np.eye(10, dtype=np.float32)[[[0, 0, 1, 1], [0, 0, 0, 1]]]
    precision, recall = precision_and_recall(probabilities, labels)
    assert precision == (100, 66.6667, *[None] * 8)  # of class 1: 2 of 3
    assert recall == (83.3333, 100, *[None] * 8)  # of class 0: 5 of 6


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 2), 500).astype(np.float32)
    labels = rng.integers(0, 10, 500)
    scores = calibration_scores(probabilities[np.newaxis], labels)
    doubles = probabilities.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)  # it asks for sums of 1 to 1e-8
    expected = metrics.log_loss(labels, doubles)
    assert scores["negative_log_likelihood"] == pytest.approx(expected, abs=1e-4)  # it is rounded to as much
    assert scores["brier_score"] == pytest.approx(metrics.brier_score_loss(labels, doubles), abs=1e-4)
    precision, recall = precision_and_recall(probabilities[np.newaxis], labels)
    theirs = metrics.precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    assert precision == pytest.approx(100 * theirs[0], abs=1e-4)
    assert recall == pytest.approx(100 * theirs[1], abs=1e-4)
