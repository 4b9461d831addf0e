import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnist_core.numpy_nn.losses import softmax_cross_entropy


def test_two_examples_by_hand():
    # exp gives 1 : 2 : 5, so the right class has probability 5/8; then three equal classes.
    logits = np.array([[0, 0.6931471805599453, 1.6094379124341003], [7, 7, 7]])
    loss, gradient = softmax_cross_entropy(logits, np.array([2, 0]))
    assert loss == pytest.approx((0.47000362924573558 + 1.0986122886681098) / 2, abs=1e-14)
    np.testing.assert_allclose(gradient, [[1 / 16, 2 / 16, -3 / 16], [-1 / 3, 1 / 6, 1 / 6]], rtol=1e-14)


def test_a_label_that_is_not_the_largest_logit_by_hand():
    # exp gives 2 : 4 : 10, so the right class has probability 1/8: the loss is ln 8.
    logits = np.array([[0.6931471805599453, 1.3862943611198906, 2.3025850929940457]])  # ln 2, ln 4, ln 10
    loss, gradient = softmax_cross_entropy(logits, np.array([0]))
    assert loss == pytest.approx(2.0794415416798357, abs=1e-14)
    np.testing.assert_allclose(gradient, [[-7 / 8, 2 / 8, 5 / 8]], rtol=1e-14)


def test_a_loss_of_800_where_the_unfused_pair_breaks():
    loss, gradient = softmax_cross_entropy(np.array([[800.0, 0.0]]), np.array([1]))
    assert (loss, gradient.tolist()) == (800, [[1, -1]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_stay_finite_and_keep_their_dtype(dtype):
    logits = np.array([[1e30, -1e30], [-1e30, 1e30]], dtype)
    loss, gradient = softmax_cross_entropy(logits, np.array([0, 1]))
    assert loss == 0
    assert gradient.dtype == dtype
    assert gradient.tolist() == [[0, 0], [0, 0]]


def test_the_logits_are_left_as_they_were():
    logits = np.array([[1.0, 2.0]])
    softmax_cross_entropy(logits, np.array([0]))
    assert logits.tolist() == [[1, 2]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    logits=arrays(float, (3, 4), elements=st.floats(-20, 20)),
    shift=arrays(float, (3, 1), elements=st.floats(-100, 100)),
)
def test_adding_a_number_to_all_logits_of_an_example_changes_nothing(logits, shift):
    labels = np.array([0, 3, 1])
    loss, gradient = softmax_cross_entropy(logits, labels)
    shifted_loss, shifted_gradient = softmax_cross_entropy(logits + shift, labels)
    assert shifted_loss == pytest.approx(loss, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(shifted_gradient, gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)  # it has no part along that shift
