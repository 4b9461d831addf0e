"""Leaving out black pixels changes nothing but rounding, and no pixel ends up in another's place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnist_core.networks.architectures import Dense, MaxPool2D
from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.classifier import NumPyClassifier
from mnist_core.numpy_nn.pixels import DenseOnLeadingColumns, sort_pixels
from tests.weights import drawn

SHAPE = (4, 3, 1)
ARCHITECTURE = (Dense(8, "relu"), Dense(10))


def sparse_images(count, seed=0):
    """Pixel i is black in all images for i = 0, 5 and 11, else ever more often; so is every seventh image."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((count, 12)) * (rng.random((count, 12)) < np.linspace(0.9, 0.02, 12))
    pixels[:, [0, 5, 11]] = 0
    pixels[::7] = 0
    return pixels.reshape(count, *SHAPE), rng.integers(10, size=count)


def classifier(architecture=ARCHITECTURE, **options):
    weights = drawn(architecture, 1, input_shape=SHAPE)
    return NumPyClassifier(architecture, weights, input_shape=SHAPE, dtype="float64", **options)


def train(network, images, labels, batch_size=6):
    order = np.random.default_rng(2).permutation(len(labels))
    return network.train_epoch(images, labels, order, batch_size=batch_size, learning_rate=0.1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.float32, (5, 2, 3, 1), elements=st.sampled_from([0.0, -0.0, 0.5, 1.0])))
def test_the_most_used_pixels_come_first_and_only_zeros_are_dropped(images):
    pixels = sort_pixels(images)
    rows = images.reshape(5, 6)
    assert sorted(pixels.order) == list(range(6))
    np.testing.assert_array_equal(pixels.images, rows[:, pixels.order])
    used_by = (pixels.images != 0).sum(axis=0)
    assert used_by.tolist() == sorted(used_by, reverse=True)
    for chosen in ([0], [4, 1], [0, 1, 2, 3, 4]):
        batch = pixels.batch(np.array(chosen))
        length = batch.shape[1]
        np.testing.assert_array_equal(batch, pixels.images[chosen, :length])
        assert not pixels.images[chosen, length:].any()
        assert length == 0 or batch[:, -1].any()


@pytest.mark.parametrize("batch_size", [6, 1])  # with 1, some batches are all black
@pytest.mark.parametrize("architecture", [ARCHITECTURE, (MaxPool2D(2, stride=1), *ARCHITECTURE)])
def test_training_differs_by_rounding_alone(architecture, batch_size):
    (mirrored, labels), second = sparse_images(45), sparse_images(31, seed=3)
    first = mirrored[:, :, ::-1], labels  # not contiguous
    sorting, plain = (classifier(architecture, fast=fast) for fast in (True, False))
    for images, labels in (first, first, second, first):
        loss, plain_loss = (train(network, images, labels, batch_size) for network in (sorting, plain))
        assert loss == pytest.approx(plain_loss, rel=1e-12)
    for name, weight in plain.get_weights().items():
        np.testing.assert_allclose(sorting.get_weights()[name], weight, rtol=0, atol=1e-13)
    np.testing.assert_allclose(sorting.predict_logits(images), plain.predict_logits(images), rtol=0, atol=1e-12)


def test_the_batches_are_narrower_than_the_images(monkeypatch):
    widths = []
    forward = DenseOnLeadingColumns.forward
    monkeypatch.setattr(
        DenseOnLeadingColumns, "forward", lambda layer, inputs: widths.append(inputs.shape[1]) or forward(layer, inputs)
    )
    train(classifier((Dense(10),)), *sparse_images(45))
    assert len(widths) == 8
    assert max(widths) <= 9
    assert min(widths) < 9


def test_the_kernel_is_in_the_images_order_again_after_a_failure():
    images, labels = sparse_images(45)
    labels[np.random.default_rng(2).permutation(45)[-1]] = 10  # the last one visited is of no class
    network = classifier()
    before = network.get_weights()["dense_1.kernel"]
    with pytest.raises(IndexError):
        train(network, images, labels)
    changed = (network.get_weights()["dense_1.kernel"] != before).any(axis=1)
    assert changed.tolist() == (images != 0).any(axis=0).ravel().tolist()


def test_the_backward_pass_of_narrow_inputs_is_that_of_wide_ones_with_zeros():
    rng = np.random.default_rng(0)
    kernel, bias, narrow, grad_output = (rng.normal(size=shape) for shape in ((5, 3), (3,), (4, 2), (4, 3)))
    wide = np.hstack([narrow, np.zeros((4, 3))])
    layer, reference = DenseOnLeadingColumns(kernel, bias), layers.Dense(kernel, bias)
    np.testing.assert_allclose(layer.forward(narrow), reference.forward(wide), rtol=1e-14)
    np.testing.assert_allclose(layer.backward(grad_output), reference.backward(grad_output)[:, :2], rtol=1e-14)
    np.testing.assert_allclose(layer.gradients["kernel"], reference.gradients["kernel"][:2], rtol=1e-14)
    np.testing.assert_allclose(layer.gradients["bias"], reference.gradients["bias"], rtol=1e-14)
    assert not reference.gradients["kernel"][2:].any()
