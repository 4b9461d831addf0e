"""The fused block computes what convolution, ReLU and pooling compute in turn, on every kind of shape."""

import numpy as np
import pytest

from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.fused import ConvReLUPool, SwapImagesAndChannels


def run(chain, inputs, grad_output=None):
    """Return copies of the outputs and, if a gradient is given, of the input's gradient."""
    outputs = inputs
    for layer in chain:
        outputs = layer.forward(outputs)
    outputs = outputs.copy()
    if grad_output is None:
        return outputs
    gradient = grad_output
    for layer in reversed(chain):
        gradient = layer.backward(gradient)
    return outputs, gradient.copy()


def draw(shape, rng, ties):
    values = rng.normal(size=shape)
    return np.round(values) if ties else values


def both_chains(kernel, bias):
    plain = [layers.Conv2D(kernel, bias), layers.ReLU(), layers.MaxPool2D(2, stride=2)]
    return plain, [SwapImagesAndChannels(), ConvReLUPool(kernel, bias), SwapImagesAndChannels()]


def assert_same(plain, fused, inputs, rng, ties):
    grad_output = draw(run(plain, inputs).shape, rng, ties)
    outputs, gradient = run(plain, inputs, grad_output)
    fused_outputs, fused_gradient = run(fused, inputs, grad_output)
    np.testing.assert_allclose(fused_outputs, outputs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fused_gradient, gradient, rtol=0, atol=1e-11)
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(fused[1].gradients[name], plain[0].gradients[name], rtol=0, atol=1e-10)


SIZES = [(28, 28), (14, 14), (7, 7), (5, 8), (6, 3), (2, 2), (1, 1), (3, 1), (1, 4)]


@pytest.mark.parametrize("ties", [False, True], ids=["no_ties", "ties"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_equals_the_plain_layers(size, kernel_size, ties):
    rng = np.random.default_rng(0)
    for channels, filters in ((1, 2), (3, 4), (4, 1)):
        kernel, bias = draw((kernel_size, kernel_size, channels, filters), rng, ties), draw(filters, rng, ties)
        plain, fused = both_chains(kernel, bias)
        for num_images in (1, 5):
            for _ in range(2):  # the second time on used buffers
                assert_same(plain, fused, draw((num_images, *size, channels), rng, ties), rng, ties)


def test_shapes_may_alternate_and_parameters_may_change():
    rng = np.random.default_rng(1)
    plain, fused = both_chains(rng.normal(size=(3, 3, 2, 3)), rng.normal(size=3))
    for _ in range(3):
        for shape in ((4, 6, 6, 2), (2, 5, 7, 2), (1, 6, 6, 2)):
            assert_same(plain, fused, rng.normal(size=shape), rng, ties=False)
        fused[1].parameters["kernel"] -= 0.5  # in place, as the optimizer does; both chains share the array


def test_all_equal_pixels_give_the_gradient_to_the_first():
    fused = [SwapImagesAndChannels(), ConvReLUPool(np.ones((1, 1, 1, 1)), np.zeros(1)), SwapImagesAndChannels()]
    _, gradient = run(fused, np.ones((1, 2, 4, 1)), np.array([5.0, 7.0]).reshape(1, 1, 2, 1))
    assert gradient[0, :, :, 0].tolist() == [[5, 0, 7, 0], [0, 0, 0, 0]]


def test_float32_stays():
    block = ConvReLUPool(np.ones((3, 3, 1, 2), "float32"), np.zeros(2, "float32"))
    outputs = block.forward(np.ones((1, 4, 4, 3), "float32"))
    gradient = block.backward(outputs.copy())
    arrays = [outputs, gradient, *block.gradients.values()]
    assert [array.dtype for array in arrays] == [np.dtype("float32")] * 4


def test_parameter_gradients_need_no_input_gradient():
    rng = np.random.default_rng(2)
    block = ConvReLUPool(rng.normal(size=(3, 3, 2, 3)), rng.normal(size=3))
    inputs, grad_output = rng.normal(size=(2, 5, 6, 4)), rng.normal(size=(3, 3, 3, 4))
    block.forward(inputs)
    block.backward(grad_output)
    expected = block.gradients
    block.forward(inputs)
    block.backward_parameters(grad_output)
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(block.gradients[name], expected[name])
        assert block.gradients[name] is not expected[name]


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd, not 2"):
        ConvReLUPool(np.ones((2, 2, 1, 1)), np.zeros(1))
