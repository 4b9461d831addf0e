"""The gradient check passes what is right and sees every fault that is planted."""

import numpy as np
import pytest

from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.numpy_nn import classifier as network
from mnist_core.numpy_nn import fused, layers
from mnist_core.numpy_nn.classifier import NumPyClassifier
from mnist_core.numpy_nn.winograd import WinogradConvolution
from mnist_core.proof.gradcheck import (
    Case,
    check_case,
    finite_difference_check,
    layer_cases,
    network_cases,
    relative_errors,
)
from tests.weights import drawn

TOLERANCE = 1e-6

HEAD = Dense(10)
POOL = MaxPool2D(2, 2, "same")

DENSE = Case("dense", (Dense(12), HEAD), (2, 3, 2), "dense_1")  # 12 features in and out: a transpose fits
TWO_UNITS = Case("dense", (Dense(2), HEAD), (2, 3, 2), "dense_1")  # as many as images: a sum over rows fits
RELU = Case("relu", (Dense(9, "relu"), HEAD), (2, 3, 2), "")
CONV = Case("conv2d", (Conv2D(3, 3), HEAD), (7, 6, 3), "conv2d_1")
POOLING = Case("max_pool2d", (POOL, HEAD), (7, 6, 2), "")
POOLING_TIES = Case("max_pool2d", (POOL, HEAD), (7, 6, 2), "", ties=True)
FUSED = Case("conv_relu_pool", (Conv2D(3, 3, activation="relu"), POOL, HEAD), (7, 6, 3), "conv2d_1")
FUSED_TIES = Case("conv_relu_pool", FUSED.architecture, (7, 6, 3), "conv2d_1", ties=True)
WINOGRAD = Case("conv_relu_pool", FUSED.architecture, (7, 6, 4), "conv2d_1")
WINOGRAD_TIES = Case("conv_relu_pool", FUSED.architecture, (7, 6, 4), "conv2d_1", ties=True)


def build(case):
    weights = drawn(case.architecture, input_shape=case.input_shape)
    return NumPyClassifier(case.architecture, weights, input_shape=case.input_shape, dtype="float64")


def faults(case, methods=("finite_difference", "naive")):
    """Return the tensors that the check reports, by any of the methods that do not need TensorFlow."""
    classifier = build(case)
    found = check_case(case, seed=1, classifier=classifier, reference=classifier)
    return {item.tensor for item in found if item.method in methods and item.error > TOLERANCE}


# Each fault replaces one backward pass, given the right one, as a slip of the pen would have left it.


def dense_with_wrong_sign(backward):
    return lambda layer, grad: -backward(layer, grad)


def dense_without_transpose(backward):
    def broken(layer, grad):
        backward(layer, grad)
        kernel = layer.parameters["kernel"]
        return grad @ (kernel if kernel.shape[0] == kernel.shape[1] else kernel.T)

    return broken


def dense_with_bias_summed_over_features(backward_parameters):
    def broken(layer, grad):
        backward_parameters(layer, grad)
        if grad.shape[0] == grad.shape[1]:
            layer.gradients["bias"] = grad.sum(axis=1)

    return broken


def relu_open_everywhere(backward):
    return lambda layer, grad: grad


def conv_with_shifted_tap(backward_parameters):
    def broken(layer, grad):
        backward_parameters(layer, grad)
        layer.gradients["kernel"] = np.roll(layer.gradients["kernel"], 1, axis=0)

    return broken


def conv_with_flipped_kernel(backward):
    def broken(layer, grad):
        kernel = layer.parameters["kernel"]
        layer.parameters["kernel"] = kernel[::-1, ::-1]
        grad_input = backward(layer, grad)
        layer.parameters["kernel"] = kernel
        return grad_input

    return broken


def conv_shifted_by_a_pixel(backward):
    return lambda layer, grad: np.roll(backward(layer, grad), 1, axis=2)


def pooling_that_shares_a_tie(backward):
    def broken(layer, grad):
        # Half of each gradient moves to the other inputs of the window with the same value.
        size, windows = layer._pool_size, layer._windows
        candidates = windows.view(layer.padded).reshape(*grad.shape, -1)
        is_maximum = candidates == candidates.max(axis=-1, keepdims=True)
        shares = grad[..., None] * is_maximum / is_maximum.sum(axis=-1, keepdims=True)
        return windows.scatter_add(np.moveaxis(shares.reshape(*grad.shape, size, size), 3, 5))

    return broken


def pooling_that_averages(backward):
    def broken(layer, grad):
        size = layer._pool_size
        shares = np.broadcast_to(grad[:, :, :, None, None] / size**2, (*grad.shape[:3], size, size, grad.shape[3]))
        return layer._windows.scatter_add(shares)

    return broken


def fused_with_transposed_taps(grad_kernel):
    return lambda convolution: grad_kernel(convolution).swapaxes(0, 1)


def fused_with_last_winner(forward):
    def broken(pooling, i, windows):
        forward(pooling, i, windows)
        left, right = windows[:, 0], windows[:, 1]
        upper, lower = np.maximum(left, right)
        pooling._left_won[i], pooling._upper_won[i] = left > right, upper > lower

    return broken


def loss_without_batch_mean(softmax_cross_entropy):
    def broken(logits, labels):
        loss, grad = softmax_cross_entropy(logits, labels)
        return loss, grad * len(labels)

    return broken


PLANTED = {
    # Two dense layers: the two wrong signs of the input's gradient cancel.
    "dense, sign": (layers.Dense, "backward", dense_with_wrong_sign, DENSE, {"kernel", "bias"}),
    "dense, transpose": (layers.Dense, "backward", dense_without_transpose, DENSE, {"input"}),
    "dense, bias over the wrong axis": (
        layers.Dense,
        "backward_parameters",
        dense_with_bias_summed_over_features,
        TWO_UNITS,
        {"bias"},
    ),
    "relu, mask forgotten": (layers.ReLU, "backward", relu_open_everywhere, RELU, {"input"}),
    "conv2d, shifted tap": (layers.Conv2D, "backward_parameters", conv_with_shifted_tap, CONV, {"kernel"}),
    "conv2d, flipped kernel": (layers.Conv2D, "backward", conv_with_flipped_kernel, CONV, {"input"}),
    "conv2d, shifted pixel": (layers.Conv2D, "backward", conv_shifted_by_a_pixel, CONV, {"input"}),
    "max_pool2d, average": (layers.MaxPool2D, "backward", pooling_that_averages, POOLING, {"input"}),
    "fused, rows for columns": (fused.DirectConvolution, "grad_kernel", fused_with_transposed_taps, FUSED, {"kernel"}),
    "fused, rows for columns in Winograd's": (
        WinogradConvolution,
        "grad_kernel",
        fused_with_transposed_taps,
        WINOGRAD,
        {"kernel"},
    ),
    "loss, batch mean": (network, "softmax_cross_entropy", loss_without_batch_mean, DENSE, {"kernel", "bias", "input"}),
}


@pytest.mark.parametrize(
    "case", [DENSE, TWO_UNITS, RELU, CONV, POOLING, POOLING_TIES, FUSED, FUSED_TIES, WINOGRAD, WINOGRAD_TIES], ids=str
)
def test_the_right_backward_passes(case):
    assert faults(case) == set()


@pytest.mark.parametrize("method", ["finite_difference", "naive"])
@pytest.mark.parametrize("fault", PLANTED)
def test_each_method_sees_a_planted_fault(fault, method, monkeypatch):
    owner, name, plant, case, tensors = PLANTED[fault]
    monkeypatch.setattr(owner, name, plant(getattr(owner, name)))
    assert faults(case, [method]) == tensors


def test_pooling_that_shares_a_tie_is_seen_where_there_are_ties_only(monkeypatch):
    forward = layers.MaxPool2D.forward

    def remembering(layer, inputs):
        outputs = forward(layer, inputs)
        layer.padded = layer._windows.pad(inputs, -np.inf)
        return outputs

    monkeypatch.setattr(layers.MaxPool2D, "forward", remembering)
    monkeypatch.setattr(layers.MaxPool2D, "backward", pooling_that_shares_a_tie(layers.MaxPool2D.backward))
    assert faults(POOLING) == set()
    assert faults(POOLING_TIES) == {"input"}


def test_a_fused_tie_given_to_the_last_winner_is_seen_where_there_are_ties_only(monkeypatch):
    monkeypatch.setattr(fused._Pooling, "forward", fused_with_last_winner(fused._Pooling.forward))
    assert faults(FUSED) == faults(WINOGRAD) == set()
    assert faults(FUSED_TIES) == faults(WINOGRAD_TIES) == {"kernel", "input"}


def test_the_reference_is_compared_too():
    reference = build(DENSE)
    right = reference.loss_and_gradients
    reference.loss_and_gradients = lambda images, labels: (
        0.0,
        {k: 1.001 * v for k, v in right(images, labels)[1].items()},
    )
    found = check_case(DENSE, seed=1, classifier=build(DENSE), reference=reference)
    errors = {item.tensor: item.error for item in found if item.method == "tensorflow"}
    assert errors == pytest.approx({"kernel": 0.001, "bias": 0.001, "input": 0.001}, rel=0.01)


def test_a_discrepancy_names_tensor_place_and_both_numbers(monkeypatch):
    monkeypatch.setattr(layers.Dense, "backward", dense_with_wrong_sign(layers.Dense.backward))
    classifier = build(DENSE)
    found = {
        (item.tensor, item.method): item
        for item in check_case(DENSE, seed=1, classifier=classifier, reference=classifier)
    }
    item = found["bias", "naive"]
    assert item.ours == pytest.approx(-item.other, rel=1e-12)
    assert str(item) == (
        f"dense bias {item.place}: {item.ours:.12g}, but {item.other:.12g} by naive (relative error 2)"
    )
    assert item.place.startswith("[")


def test_a_gradient_that_is_not_a_number_is_an_infinite_error():
    errors = relative_errors(np.array([np.nan, 1.0, 0.0]), np.array([1.0, 1.0, 0.0]), floor=0.0)
    assert errors.tolist() == [np.inf, 0.0, 0.0]


def test_relative_errors_by_hand():
    errors = relative_errors(np.array([1.0, -2.0, 0.001]), np.array([1.5, 2.0, 0.002]), floor=0.5)
    np.testing.assert_allclose(errors, [1 / 3, 2, 0.002], rtol=1e-12)


def test_a_gradient_of_another_shape_is_an_infinite_error():
    classifier, reference = build(DENSE), build(DENSE)
    right = classifier.loss_and_gradients
    reference.loss_and_gradients = lambda images, labels: (0.0, {k: v.T for k, v in right(images, labels)[1].items()})
    found = check_case(DENSE, seed=1, classifier=classifier, reference=reference)
    assert {item.tensor for item in found if item.error == np.inf} == {"input"}  # the kernel is square


def test_probes_keep_away_from_kinks_even_where_many_are_near():
    case = Case("d", (Conv2D(8, 3, activation="relu"), POOL, HEAD), (20, 20, 1))
    for seed in range(5):
        found = finite_difference_check(case, rng=np.random.default_rng(seed), classifier=build(case))
        assert max(item.error for item in found) < 1e-7


def test_a_loss_with_kinks_everywhere_is_refused(monkeypatch):
    steps = iter(range(10**6))
    monkeypatch.setattr("mnist_core.proof.gradcheck._branches", lambda *_: [str(next(steps)).encode()])
    with pytest.raises(RuntimeError, match="every draw comes within 1e-05 of a kink"):
        finite_difference_check(DENSE, rng=np.random.default_rng(0), classifier=build(DENSE))


def test_the_cases_cover_what_they_promise():
    cases = layer_cases()
    convolutions = [case for case in cases if case.subject == "conv2d"]
    combinations = {
        (layer.kernel_size, layer.stride, layer.padding, case.input_shape[2])
        for case in convolutions
        for layer in case.architecture[:1]
    }
    assert len(combinations) == 3 * 2 * 2 * 2
    assert {size % 2 for case in convolutions for size in case.input_shape[:2]} == {0, 1}
    subjects = ["dense", "conv2d", "relu", "max_pool2d", "flatten", "softmax_cross_entropy", "conv_relu_pool"]
    assert {case.subject for case in cases} == set(subjects)
    for subject in ("max_pool2d", "relu", "conv_relu_pool"):
        assert {case.ties for case in cases if case.subject == subject} == {False, True}


def test_the_fused_cases_run_the_fused_block():
    for case in layer_cases():
        blocks = [layer for _, layer in build(case)._networks[0]._named_layers if isinstance(layer, fused.ConvReLUPool)]
        assert len(blocks) == (case.subject == "conv_relu_pool")


def test_a_whole_network_compares_every_parameter_and_the_input():
    (case,) = network_cases({"b": (Dense(5, "relu"), HEAD)})
    classifier = build(case)
    found = check_case(case, seed=3, classifier=classifier, reference=classifier)
    names = {"dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias", "input"}
    assert {item.subject for item in found} == {"b"}
    assert {item.tensor for item in found} == names
    assert len(found) == 3 * len(names)
    assert max(item.error for item in found) < TOLERANCE
