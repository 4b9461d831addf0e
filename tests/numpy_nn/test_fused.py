"""The fused block computes what convolution, ReLU and pooling compute in turn, on every kind of shape."""

import numpy as np
import pytest

from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.fused import ConvReLUPool, DirectConvolution
from mnist_core.numpy_nn.layout import HWCNToNHWC, NHWCToHWCN
from mnist_core.numpy_nn.winograd import WinogradConvolution

CONVOLUTIONS = [(1, DirectConvolution), (3, DirectConvolution), (3, WinogradConvolution), (5, DirectConvolution)]


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


def both_chains(kernel, bias, convolution):
    plain = [layers.Conv2D(kernel, bias), layers.ReLU(), layers.MaxPool2D(2, stride=2)]
    return plain, [NHWCToHWCN(), ConvReLUPool(kernel, bias, convolution), HWCNToNHWC()]


def assert_same(plain, fused, inputs, rng, ties):
    grad_output = draw(run(plain, inputs).shape, rng, ties)
    outputs, gradient = run(plain, inputs, grad_output)
    fused_outputs, fused_gradient = run(fused, inputs, grad_output)
    np.testing.assert_allclose(fused_outputs, outputs, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fused_gradient, gradient, rtol=0, atol=1e-11)
    prediction = HWCNToNHWC().forward(fused[1].predict(NHWCToHWCN().forward(inputs)))
    np.testing.assert_array_equal(prediction, fused_outputs)
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(fused[1].gradients[name], plain[0].gradients[name], rtol=0, atol=1e-10)


SIZES = [(28, 28), (14, 14), (7, 7), (5, 8), (6, 3), (2, 2), (1, 1), (3, 1), (1, 4)]


@pytest.mark.parametrize("ties", [False, True], ids=["no_ties", "ties"])
@pytest.mark.parametrize(("kernel_size", "convolution"), CONVOLUTIONS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_equals_the_plain_layers(size, kernel_size, convolution, ties):
    rng = np.random.default_rng(0)
    for channels, filters in ((1, 2), (3, 4), (4, 1)):
        kernel, bias = draw((kernel_size, kernel_size, channels, filters), rng, ties), draw(filters, rng, ties)
        plain, fused = both_chains(kernel, bias, convolution)
        for num_images in (1, 5):
            for _ in range(2):  # the second time on used buffers
                assert_same(plain, fused, draw((num_images, *size, channels), rng, ties), rng, ties)


@pytest.mark.parametrize("convolution", [DirectConvolution, WinogradConvolution])
def test_shapes_may_alternate_and_parameters_may_change(convolution):
    rng = np.random.default_rng(1)
    plain, fused = both_chains(rng.normal(size=(3, 3, 2, 3)), rng.normal(size=3), convolution)
    for _ in range(3):
        for shape in ((4, 6, 6, 2), (2, 5, 7, 2), (1, 6, 6, 2)):
            assert_same(plain, fused, rng.normal(size=shape), rng, ties=False)
        fused[1].parameters["kernel"] -= 0.5  # in place, as the optimizer does; both chains share the array


def test_all_equal_pixels_give_the_gradient_to_the_first():
    block = ConvReLUPool(np.ones((1, 1, 1, 1)), np.zeros(1), DirectConvolution)
    fused = [NHWCToHWCN(), block, HWCNToNHWC()]
    _, gradient = run(fused, np.ones((1, 2, 4, 1)), np.array([5.0, 7.0]).reshape(1, 1, 2, 1))
    assert gradient[0, :, :, 0].tolist() == [[5, 0, 7, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("convolution", [DirectConvolution, WinogradConvolution])
def test_float32_stays(convolution):
    block = ConvReLUPool(np.ones((3, 3, 1, 2), "float32"), np.zeros(2, "float32"), convolution)
    outputs = block.forward(np.ones((4, 4, 1, 3), "float32"))
    gradient = block.backward(outputs.copy())
    arrays = [outputs, gradient, *block.gradients.values()]
    assert [array.dtype for array in arrays] == [np.dtype("float32")] * 4


@pytest.mark.parametrize("convolution", [DirectConvolution, WinogradConvolution])
def test_parameter_gradients_need_no_input_gradient(convolution):
    rng = np.random.default_rng(2)
    block = ConvReLUPool(rng.normal(size=(3, 3, 2, 3)), rng.normal(size=3), convolution)
    inputs, grad_output = rng.normal(size=(5, 6, 2, 4)), rng.normal(size=(3, 3, 3, 4))
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
        ConvReLUPool(np.ones((2, 2, 1, 1)), np.zeros(1), DirectConvolution)
