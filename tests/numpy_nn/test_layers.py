"""The layers: examples worked out by hand, and properties that any right convolution has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_core.numpy_nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU


def image(rows):
    return np.array(rows, float)[None, :, :, None]


def kernel(rows):
    return np.array(rows, float)[:, :, None, None]


def rows(images):
    return images[0, :, :, 0].tolist()


NINE = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def test_dense_by_hand():
    layer = Dense(np.array([[1.0, 0, -1], [2, 1, 0]]), np.array([1.0, 2, 3]))
    assert layer.forward(np.array([[1.0, 2], [3, 4]])).tolist() == [[6, 4, 2], [12, 6, 0]]
    assert layer.backward(np.array([[1.0, 0, 2], [0, 1, 1]])).tolist() == [[-1, 2], [-1, 1]]
    assert layer.gradients["kernel"].tolist() == [[1, 3, 5], [2, 4, 8]]
    assert layer.gradients["bias"].tolist() == [1, 1, 3]


def test_relu_by_hand():
    layer = ReLU()
    assert layer.forward(np.array([[-2.0, 0, 3]])).tolist() == [[0, 0, 3]]
    assert layer.backward(np.array([[5.0, 6, 7]])).tolist() == [[0, 0, 7]]


def test_flatten_by_hand():
    layer = Flatten()
    images = np.arange(8.0).reshape(1, 2, 2, 2)
    assert layer.forward(images).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]
    np.testing.assert_array_equal(layer.backward(np.arange(8.0)[None]), images)


def test_convolution_by_hand():
    layer = Conv2D(kernel([[1, 2], [0, -1]]), np.array([10.0]), padding="valid")
    assert rows(layer.forward(NINE)) == [[10, 12], [16, 18]]
    assert rows(layer.backward(image([[1, 0], [0, 2]]))) == [[1, 2, 0], [0, 1, 4], [0, 0, -2]]
    assert layer.gradients["kernel"][:, :, 0, 0].tolist() == [[11, 14], [20, 23]]
    assert layer.gradients["bias"].tolist() == [3]


def test_same_padding_surrounds_with_zeros():
    layer = Conv2D(kernel([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), np.zeros(1))
    assert rows(layer.forward(image([[1, 2], [3, 4]]))) == [[77, 67], [47, 37]]
    # The only gradient is at the upper left: pixel (r, c) was seen there through the tap (r + 1, c + 1).
    assert rows(layer.backward(image([[1, 0], [0, 0]]))) == [[5, 6], [8, 9]]
    assert layer.gradients["kernel"][:, :, 0, 0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 3, 4]]


def test_strided_convolution_pads_below_and_to_the_right():
    layer = Conv2D(kernel([[1, 2], [3, 4]]), np.zeros(1), stride=2)
    assert rows(layer.forward(NINE)) == [[37, 21], [23, 9]]
    assert rows(layer.backward(image([[1, 0], [0, 5]]))) == [[1, 2, 0], [3, 4, 0], [0, 0, 5]]


def test_every_filter_sums_over_all_channels():
    layer = Conv2D(np.array([[1.0, 2, 3], [4, 5, 6]])[None, None], np.zeros(3))
    assert layer.forward(np.array([[[[10.0, 1]]]])).tolist() == [[[[14, 25, 36]]]]
    assert layer.backward(np.array([[[[1.0, 0, 2]]]])).tolist() == [[[[7, 16]]]]
    assert layer.gradients["kernel"][0, 0].tolist() == [[10, 0, 20], [1, 0, 2]]


def test_pooling_by_hand_with_a_tie_and_ragged_edges():
    layer = MaxPool2D(2, stride=2)
    assert rows(layer.forward(image([[1, 5, 2], [4, 5, 0], [-7, -8, -9]]))) == [[5, 2], [-7, -9]]
    assert rows(layer.backward(image([[1, 2], [3, 4]]))) == [[0, 1, 2], [0, 0, 0], [3, 0, 4]]


def test_overlapping_pooling_windows_add_up_in_their_common_winner():
    layer = MaxPool2D(2, stride=1, padding="valid")
    assert rows(layer.forward(image([[1, 2, 3], [4, 9, 6]]))) == [[9, 9]]
    assert rows(layer.backward(image([[5, 7]]))) == [[0, 0, 0], [0, 12, 0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_goes_through(dtype):
    images = np.ones((2, 3, 3, 2), dtype)
    convolution = Conv2D(np.ones((3, 3, 2, 4), dtype), np.ones(4, dtype))
    dense = Dense(np.ones((16, 5), dtype), np.ones(5, dtype))
    layers = [convolution, ReLU(), MaxPool2D(2, stride=2), Flatten(), dense]
    outputs = images
    for layer in layers:
        outputs = layer.forward(outputs)
    gradient = outputs
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    assert outputs.shape == (2, 5)
    assert gradient.shape == images.shape
    assert {
        array.dtype for array in (outputs, gradient, *convolution.gradients.values(), *dense.gradients.values())
    } == {np.dtype(dtype)}


sizes = st.integers(1, 9)
convolutions = {
    "height": sizes,
    "width": sizes,
    "kernel_size": st.integers(1, 5),
    "stride": st.integers(1, 3),
    "seed": st.integers(0, 1000),
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**convolutions)
def test_convolution_backward_is_the_adjoint_of_forward(height, width, kernel_size, stride, seed):
    # A linear map L and its adjoint satisfy <L x, g> = <x, L* g>; the same holds for L as a function of the kernel.
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(2, height, width, 3))
    layer = Conv2D(rng.normal(size=(kernel_size, kernel_size, 3, 2)), np.zeros(2), stride=stride)
    outputs = layer.forward(inputs)
    grad_output = rng.normal(size=outputs.shape)
    product = np.sum(outputs * grad_output)
    assert np.sum(inputs * layer.backward(grad_output)) == pytest.approx(product, rel=1e-9, abs=1e-9)
    kernel_product = np.sum(layer.parameters["kernel"] * layer.gradients["kernel"])
    assert kernel_product == pytest.approx(product, rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    down=st.integers(0, 4), right=st.integers(0, 4), kernel_size=st.sampled_from([1, 2, 3, 5]), seed=st.integers(0, 99)
)
def test_a_shifted_image_gives_the_shifted_convolution(down, right, kernel_size, seed):
    rng = np.random.default_rng(seed)
    layer = Conv2D(rng.normal(size=(kernel_size, kernel_size, 2, 3)), rng.normal(size=3))
    images = np.zeros((1, 14, 14, 2))
    images[:, 4:7, 3:8] = rng.normal(size=(1, 3, 5, 2))  # far enough from every edge
    shifted = np.roll(images, (down, right), axis=(1, 2))
    expected = np.roll(layer.forward(images), (down, right), axis=(1, 2))
    np.testing.assert_allclose(layer.forward(shifted), expected, rtol=0, atol=1e-13)
