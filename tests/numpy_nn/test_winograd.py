"""Winograd's convolution by hand; tests/numpy_nn/test_fused.py holds it to the plain layers on every kind of shape."""

import numpy as np
import pytest

from mnist_core.numpy_nn.fused import ConvReLUPool, DirectConvolution
from mnist_core.numpy_nn.winograd import WinogradConvolution


def test_a_column_by_hand():
    kernel = np.zeros((3, 3, 1, 1))
    kernel[:, 1, 0, 0] = 1, 10, 100
    convolution = WinogradConvolution((4, 1, 1, 1), kernel, True)
    convolution.start(np.array([1.0, 2, 3, 4]).reshape(4, 1, 1, 1), kernel)
    outputs = []
    for i in range(2):
        convolution.forward(i)
        outputs += convolution.windows[:, 0, 0, 0, 0].tolist()  # the left output of the upper and the lower row
    assert outputs == [210, 321, 432, 43]


def test_a_tie_of_equal_rows_stays_a_tie_in_float32():
    # Every window but those at the border sees equal pixels: whatever the kernel, its first output must win.
    rng = np.random.default_rng(0)
    kernel = rng.uniform(0.1, 1, (3, 3, 4, 2)).astype("float32")
    block = ConvReLUPool(kernel, np.zeros(2, "float32"), WinogradConvolution)
    block.forward(np.full((8, 8, 4, 3), 0.3, "float32"))
    pooling = block._current[1]
    assert pooling._left_won[1:-1, :, 1:-1].all()
    assert pooling._upper_won[1:-1, 1:-1].all()


@pytest.mark.parametrize("convolution", [DirectConvolution, WinogradConvolution])
def test_a_prediction_in_between_does_not_disturb_the_backward_pass(convolution):
    rng = np.random.default_rng(1)
    block = ConvReLUPool(rng.normal(size=(3, 3, 2, 3)), rng.normal(size=3), convolution)
    inputs, grad_output = rng.normal(size=(5, 6, 2, 4)), rng.normal(size=(3, 3, 3, 4))
    block.forward(inputs)
    expected = block.backward(grad_output).copy()
    block.forward(inputs)
    block.predict(rng.normal(size=inputs.shape))
    block.predict(rng.normal(size=(2, 2, 2, 1)))
    np.testing.assert_array_equal(block.backward(grad_output), expected)
