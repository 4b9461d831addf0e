"""The loop layers: worked examples by hand, and agreement of the fast layers with them on shapes drawn at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_core.numpy_nn import layers, losses
from mnist_core.proof import naive


def image(rows):
    return np.array(rows, np.float64)[None, :, :, None]


def test_dense_by_hand():
    layer = naive.Dense(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 20.0]))
    assert layer.forward(np.array([[1.0, 0.0, 2.0]])).tolist() == [[21.0, 34.0]]
    assert layer.backward(np.array([[1.0, -1.0]])).tolist() == [[-1.0, -1.0, -1.0]]
    assert layer.gradients["kernel"].tolist() == [[1.0, -1.0], [0.0, 0.0], [2.0, -2.0]]
    assert layer.gradients["bias"].tolist() == [1.0, -1.0]


def test_convolution_by_hand_does_not_flip_the_kernel():
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None, None]
    layer = naive.Conv2D(kernel, np.array([0.5]), padding="valid")
    assert layer.forward(image([[1, 0, 0], [0, 0, 1]]))[0, :, :, 0].tolist() == [[1.5, 4.5]]
    assert layer.backward(image([[1, 10]]))[0, :, :, 0].tolist() == [[1, 12, 20], [3, 34, 40]]
    assert layer.gradients["kernel"][:, :, 0, 0].tolist() == [[1, 0], [0, 10]]
    assert layer.gradients["bias"].tolist() == [11]


def test_same_padding_of_an_even_kernel_goes_below_and_to_the_right():
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None, None]
    layer = naive.Conv2D(kernel, np.zeros(1))
    assert layer.forward(image([[1, 0], [0, 1]]))[0, :, :, 0].tolist() == [[5, 3], [2, 1]]


def test_strided_convolution_by_hand():
    layer = naive.Conv2D(np.ones((1, 1, 1, 1)), np.zeros(1), stride=2)
    assert layer.forward(image([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))[0, :, :, 0].tolist() == [[1, 3], [7, 9]]
    assert layer.backward(image([[1, 1], [1, 1]]))[0, :, :, 0].tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]


def test_relu_by_hand_has_derivative_zero_at_zero():
    layer = naive.ReLU()
    assert layer.forward(np.array([-1.0, 0.0, 2.0])).tolist() == [0, 0, 2]
    assert layer.backward(np.array([5.0, 5.0, 5.0])).tolist() == [0, 0, 5]


def test_pooling_by_hand_with_a_tie_and_ragged_edges():
    layer = naive.MaxPool2D(2, stride=2)
    pooled = layer.forward(image([[7, 7, -1], [7, 1, -2], [-3, -3, -5]]))
    assert pooled[0, :, :, 0].tolist() == [[7, -1], [-3, -5]]
    assert layer.backward(image([[1, 2], [3, 4]]))[0, :, :, 0].tolist() == [[1, 0, 2], [0, 0, 0], [3, 0, 4]]


def test_overlapping_pooling_windows_add_up():
    layer = naive.MaxPool2D(2, stride=1, padding="valid")
    layer.forward(image([[0, 0, 0], [0, 9, 0], [0, 0, 0]]))
    assert layer.backward(image([[1, 2], [3, 4]]))[0, :, :, 0].tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


def test_flatten_by_hand():
    layer = naive.Flatten()
    flat = layer.forward(np.array([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]]))
    assert flat.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert layer.backward(flat)[0].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_softmax_cross_entropy_by_hand():
    loss, grad = naive.softmax_cross_entropy(np.array([[0.0, np.log(3.0)], [1000.0, 1000.0]]), np.array([0, 1]))
    assert loss == pytest.approx((np.log(4.0) + np.log(2.0)) / 2)
    np.testing.assert_allclose(grad, [[-0.375, 0.375], [0.25, -0.25]], rtol=1e-12)


def assert_same_layer(fast, slow, inputs):
    expected = slow.forward(inputs)
    np.testing.assert_allclose(fast.forward(inputs), expected, rtol=1e-12, atol=1e-12)
    grad_output = np.random.default_rng(1).normal(size=expected.shape)
    np.testing.assert_allclose(fast.backward(grad_output), slow.backward(grad_output), rtol=1e-12, atol=1e-12)
    assert fast.gradients.keys() == slow.gradients.keys()
    for name, gradient in slow.gradients.items():
        np.testing.assert_allclose(fast.gradients[name], gradient, rtol=1e-12, atol=1e-12, err_msg=name)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    height=st.integers(5, 8),
    width=st.integers(5, 8),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    kernel_size=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
)
def test_the_fast_convolution_is_the_naive_one(height, width, channels, filters, kernel_size, stride, padding):
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(kernel_size, kernel_size, channels, filters)), rng.normal(size=filters)
    assert_same_layer(
        layers.Conv2D(*parameters, stride=stride, padding=padding),
        naive.Conv2D(*parameters, stride=stride, padding=padding),
        rng.normal(size=(2, height, width, channels)),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    height=st.integers(3, 8),
    width=st.integers(3, 8),
    pool_size=st.integers(1, 3),
    stride=st.integers(1, 4),
    padding=st.sampled_from(["same", "valid"]),
    largest=st.sampled_from([1, 3, 1000]),
)
def test_the_fast_pooling_is_the_naive_one_with_many_few_and_no_ties(
    height, width, pool_size, stride, padding, largest
):
    assert_same_layer(
        layers.MaxPool2D(pool_size, stride=stride, padding=padding),
        naive.MaxPool2D(pool_size, stride=stride, padding=padding),
        np.random.default_rng(0).integers(-largest, largest, (2, height, width, 2)).astype(np.float64),
    )


def test_the_other_fast_layers_are_the_naive_ones():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    assert_same_layer(layers.Dense(kernel, bias), naive.Dense(kernel, bias), rng.normal(size=(4, 5)))
    assert_same_layer(layers.ReLU(), naive.ReLU(), rng.integers(-2, 3, (4, 5)).astype(np.float64))
    assert_same_layer(layers.Flatten(), naive.Flatten(), rng.normal(size=(2, 3, 4, 5)))
    logits, labels = 5 * rng.normal(size=(4, 10)), rng.integers(0, 10, 4)
    (loss, grad), (slow_loss, slow_grad) = (module.softmax_cross_entropy(logits, labels) for module in (losses, naive))
    assert loss == pytest.approx(slow_loss, rel=1e-12)
    np.testing.assert_allclose(grad, slow_grad, rtol=1e-12, atol=1e-15)
