import numpy as np
import pytest

from mnist_core.metrics import confusion_matrix, cross_entropy, error_rate, is_constant, mean_and_std, percent, softmax


def test_error_rate_is_a_fraction():
    assert error_rate(np.array([3, 1, 4, 1]), np.array([3, 1, 5, 1])) == 0.25


@pytest.mark.parametrize(("predictions", "expected"), [([3, 3, 3], True), ([3, 3, 1], False), ([3], True)])
def test_predictions_are_constant_if_all_are_the_same(predictions, expected):
    assert is_constant(np.array(predictions)) is expected


def test_confusion_matrix_has_a_row_for_each_label():
    matrix = confusion_matrix(np.array([1, 1, 2, 0, 1]), np.array([0, 0, 2, 0, 1]), num_classes=4)
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_cross_entropy_by_hand():
    # The right classes have probability 5/8 and 1/2.
    logits = np.array([[0, 0.6931471805599453, 1.6094379124341003], [1000, 1000, -1000]])
    assert cross_entropy(logits, np.array([2, 1])) == pytest.approx((0.4700036292457356 + 0.6931471805599453) / 2)


def test_cross_entropy_of_a_label_that_is_not_the_largest_logit():
    # exp gives 2 : 4 : 10, so the right class has probability 1/8: ln 8.
    logits = np.array([[0.6931471805599453, 1.3862943611198906, 2.3025850929940457]])
    assert cross_entropy(logits, np.array([0])) == pytest.approx(2.0794415416798357, abs=1e-14)


def test_softmax_by_hand():
    probabilities = softmax(np.array([[0, 0.6931471805599453, 1.6094379124341003], [1e30, -1e30, -1e30]]))
    np.testing.assert_allclose(probabilities, [[0.125, 0.25, 0.625], [1, 0, 0]], rtol=1e-14)
    assert softmax(np.zeros((1, 10), "float32")).dtype == np.float32
    by_seed = np.log([[[1.0, 3.0]], [[1.0, 1.0]]])  # two seeds, one image
    np.testing.assert_allclose(softmax(by_seed), [[[0.25, 0.75]], [[0.5, 0.5]]], rtol=1e-14)


def test_percent_is_rounded():
    assert percent(0.01 / 3) == 0.3333
    assert percent(0.0762) == 7.62


def test_mean_and_sample_standard_deviation():
    assert mean_and_std([1.0, 2.0, 6.0]) == (3.0, pytest.approx(2.6457513))  # sqrt(14 / 2)
    assert mean_and_std([0.25]) == (0.25, 0.0)
