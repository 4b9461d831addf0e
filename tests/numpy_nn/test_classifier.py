"""The NumPy classifier: every image once an epoch, one step a batch, and the same bytes on any number of threads."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_core.arrays import IMAGE_SHAPE
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D, Operation
from mnist_core.numpy_nn.build import layer_of
from mnist_core.numpy_nn.classifier import NumPyClassifier
from mnist_core.numpy_nn.optimizers import SGD
from mnist_core.numpy_nn.sequential import Network
from mnist_core.numpy_nn.threads import SWITCH_INTERVAL
from tests.weights import drawn

POOLING = MaxPool2D(pool_size=2, stride=2)
BLOCK = (Conv2D(16, 3, activation="relu"), POOLING)
CNN = (*BLOCK, *BLOCK, *BLOCK, Dense(10))
LINEAR = (Dense(10),)


def classifier(architecture, seed=0, **options):
    weights = drawn(architecture, seed, input_shape=options.get("input_shape", IMAGE_SHAPE))
    return NumPyClassifier(architecture, weights, **options)


def some_images(count, shape=(28, 28, 1), dtype="float32"):
    rng = np.random.default_rng(7)
    return rng.random((count, *shape)).astype(dtype), rng.integers(10, size=count)


def train(network, images, labels, batch_size, learning_rate=0.1):
    order = np.random.default_rng(3).permutation(len(labels))
    return network.train_epoch(images, labels, order, batch_size=batch_size, learning_rate=learning_rate)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    count=st.integers(1, 130),
    batch_size=st.integers(1, 150),
    architecture=st.sampled_from([LINEAR, (*BLOCK, Dense(10))]),
    seed=st.integers(0, 99),
)
def test_the_batches_partition_an_epoch(count, batch_size, architecture, seed):
    visited = []
    forward = Network.forward

    def spy(network, images):
        visited.append(images.reshape(len(images), -1)[:, 0].astype(int).tolist())
        return forward(network, images)

    network = classifier(architecture, input_shape=(1, 1, 1), num_threads=1)
    order = np.random.default_rng(seed).permutation(count)
    images = np.arange(1, count + 1, dtype="float32").reshape(-1, 1, 1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "forward", spy)
        network.train_epoch(images, np.zeros(count, int), order, batch_size=batch_size, learning_rate=0)
    assert [index - 1 for chunk in visited for index in chunk] == order.tolist()


@pytest.mark.parametrize("architecture", [LINEAR, CNN], ids=["dense", "chunks"])
def test_one_epoch_takes_one_step_per_batch_with_the_mean_gradient(architecture):
    images, labels = some_images(130, dtype="float64")
    whole, stepwise = (classifier(architecture, dtype="float64", num_threads=2) for _ in range(2))
    order = np.random.default_rng(0).permutation(130)[:115]
    mean_loss = whole.train_epoch(images, labels, order, batch_size=60, learning_rate=0.1)
    losses = []
    for rows in (order[:60], order[60:]):
        loss, gradients = stepwise.loss_and_gradients(images[rows], labels[rows])
        losses.append(loss)
        stepwise.set_weights({name: value - 0.1 * gradients[name] for name, value in stepwise.get_weights().items()})
    assert mean_loss == pytest.approx((60 * losses[0] + 55 * losses[1]) / 115, rel=1e-12)
    for name, value in stepwise.get_weights().items():
        np.testing.assert_allclose(whole.get_weights()[name], value, rtol=0, atol=1e-13)


def trained_bytes(**options):
    images, labels = some_images(230)
    network = classifier(CNN, **options)
    losses = [train(network, images, labels, batch_size=110) for _ in range(2)]
    arrays = [*network.get_weights().values(), network.predict_logits(images), np.array(losses)]
    return [array.tobytes() for array in arrays]


def test_the_number_of_threads_does_not_change_a_single_bit():
    assert trained_bytes(num_threads=1) == trained_bytes(num_threads=2) == trained_bytes(num_threads=3)


@pytest.mark.parametrize("size", [28, 13])
def test_fusing_changes_nothing_but_rounding(size):
    architecture = (*BLOCK, Conv2D(4, 3, activation="relu"), *BLOCK, MaxPool2D(2, stride=1), Dense(10))
    images, labels = some_images(30, (size, size, 1), "float64")
    fused, plain = (
        classifier(architecture, input_shape=(size, size, 1), dtype="float64", fast=fast) for fast in (True, False)
    )
    for _ in range(3):
        train(fused, images, labels, batch_size=13)
        train(plain, images, labels, batch_size=13)
    np.testing.assert_allclose(fused.predict_logits(images), plain.predict_logits(images), rtol=0, atol=1e-12)
    (_, gradients), (_, plain_gradients) = (network.loss_and_gradients(images, labels) for network in (fused, plain))
    assert gradients.keys() == plain_gradients.keys()
    for name, gradient in plain_gradients.items():
        assert np.abs(gradient).max() > 1e-6
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("architecture", [LINEAR, CNN], ids=["dense", "convolutions"])
def test_predictions_do_not_depend_on_the_images_beside_them(architecture):
    network = classifier(architecture, dtype="float64")
    images, _ = some_images(1003, dtype="float64")
    one_by_one = np.concatenate([network.predict_logits(images[i : i + 1]) for i in (0, 24, 25, 999, 1000, 1002)])
    together = network.predict_logits(images)[[0, 24, 25, 999, 1000, 1002]]
    np.testing.assert_allclose(one_by_one, together, rtol=0, atol=1e-13)


def test_pythons_switch_interval_is_left_as_it_was(monkeypatch):
    """By a failure too; dense networks do not touch it."""
    before, during = sys.getswitchinterval(), []
    step = SGD.step
    monkeypatch.setattr(SGD, "step", lambda *arguments: during.append(sys.getswitchinterval()) or step(*arguments))
    images, labels = some_images(4)
    train(classifier(CNN), images, labels, 4)
    train(classifier(LINEAR), images, labels, 4)
    assert during == pytest.approx([SWITCH_INTERVAL, before])
    with pytest.raises(IndexError):
        train(classifier(CNN), images, labels + 10, 4)
    assert sys.getswitchinterval() == before


def test_a_network_that_does_not_end_in_ten_logits_is_refused():
    with pytest.raises(ValueError, match="10 units"):
        classifier((Dense(9),))


def test_an_operation_that_nobody_has_told_it_of_is_an_error():
    with pytest.raises(TypeError, match="new_1"):
        layer_of(Operation("new_1", (28, 28, 1), (28, 28, 1)), {})


@pytest.mark.parametrize("shape", [(14, 14, 1), (28, 28, 2), (784,)])
@pytest.mark.parametrize("architecture", [LINEAR, CNN], ids=["dense", "convolutions"])
def test_images_of_another_size_are_refused(architecture, shape):
    network = classifier(architecture)
    images, labels = some_images(4, shape)
    refused = pytest.raises(ValueError, match=r"in a network for \(28, 28, 1\)")
    with refused:
        network.predict_logits(images)
    with refused:
        network.loss_and_gradients(images, labels)
    with refused:
        train(network, images, labels, batch_size=2)


def test_weights_that_do_not_fit_are_refused():
    network = classifier(LINEAR)
    weights = network.get_weights()
    for wrong in (
        {"dense_1.kernel": weights["dense_1.kernel"]},
        {**weights, "dense_2.bias": np.zeros(10)},
        {**weights, "dense_1.bias": np.zeros(9)},
        {**weights, "dense_1.bias": np.zeros((1, 10))},
    ):
        with pytest.raises(ValueError, match=r"dense_1\.kernel"):
            network.set_weights(wrong)
    np.testing.assert_equal(network.get_weights(), weights)


def test_training_changes_neither_the_arrays_set_nor_those_got():
    network = classifier((*BLOCK, Dense(10)))
    given_weights = network.get_weights()
    kept = {name: value.copy() for name, value in given_weights.items()}
    network.set_weights(given_weights)
    got = network.get_weights()
    images, labels = some_images(4)
    train(network, images, labels, batch_size=2)
    for name, value in kept.items():
        np.testing.assert_array_equal(given_weights[name], value)
        np.testing.assert_array_equal(got[name], value)
        assert not np.array_equal(network.get_weights()[name], value)
