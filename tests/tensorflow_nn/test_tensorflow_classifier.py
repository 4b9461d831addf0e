"""The TensorFlow networks: shapes, gradients, what an epoch counts, and the same bytes from the same seed."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mnist_core.arrays import IMAGE_SHAPE
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D, Operation
from mnist_core.tensorflow_nn.classifier import TensorFlowClassifier
from tests.weights import drawn

CONVOLUTIONS = tuple(
    layer for _ in range(3) for layer in (Conv2D(16, 3, activation="relu"), MaxPool2D(pool_size=2, stride=2))
)
ARCHITECTURES = {
    "a": (Dense(10),),
    "b": (Dense(128, "relu"), Dense(10)),
    "c": (Dense(256, "relu"), Dense(256, "relu"), Dense(10)),
    "d": (*CONVOLUTIONS, Dense(10)),
}
NUM_PARAMETERS = {"a": 7850, "b": 101770, "c": 269322, "d": 7370}


def classifier(architecture, seed=0, **options):
    weights = drawn(architecture, seed, input_shape=options.get("input_shape", IMAGE_SHAPE))
    return TensorFlowClassifier(architecture, weights, **options)


def some_images(count, shape=(28, 28, 1), dtype="float32"):
    rng = np.random.default_rng(7)
    return rng.random((count, *shape)).astype(dtype), rng.integers(10, size=count)


@pytest.mark.parametrize("letter", "abcd")
class TestEveryArchitecture:
    def test_shapes(self, letter):
        network = classifier(ARCHITECTURES[letter])
        images, labels = some_images(203)
        logits = network.predict_logits(images)
        assert logits.shape == (203, 10)
        assert logits.dtype == np.float32
        assert sum(array.size for array in network.get_weights().values()) == NUM_PARAMETERS[letter]
        _, gradients = network.loss_and_gradients(images[:3], labels[:3])
        shapes = {name: array.shape for name, array in network.get_weights().items()}
        assert {name: array.shape for name, array in gradients.items()} == {**shapes, "input": (3, 28, 28, 1)}

    def test_overfits_twenty_images(self, letter):
        network = classifier(ARCHITECTURES[letter])
        images, labels = some_images(20)
        order = np.arange(20)
        for _ in range(400):
            loss = network.train_epoch(images, labels, order, batch_size=20, learning_rate=0.1)
        assert loss < 0.1
        np.testing.assert_array_equal(network.predict_logits(images).argmax(axis=1), labels)

    def test_weights_move_to_another_network(self, letter):
        first, second = classifier(ARCHITECTURES[letter], seed=1), classifier(ARCHITECTURES[letter], seed=2)
        images, _ = some_images(5)
        assert not np.array_equal(first.predict_logits(images), second.predict_logits(images))
        second.set_weights(first.get_weights())
        np.testing.assert_array_equal(first.predict_logits(images), second.predict_logits(images))


def test_an_epoch_visits_every_row_of_a_ragged_order_once():
    # At learning rate 0 the bias alone gives class 0 the loss 0 and every other class the loss 200.
    network = classifier((Dense(10),), input_shape=(1, 1, 1))
    bias = np.full(10, -200.0)
    bias[0] = 0
    network.set_weights({"dense_1.kernel": np.zeros((1, 10)), "dense_1.bias": bias})
    images, labels = np.zeros((6, 1, 1, 1), "float32"), np.array([0, 1, 0, 0, 1, 1])
    order = np.array([0, 1, 2, 3, 4])
    for batch_size in (1, 2, 3, 4, 5, 200):
        assert network.train_epoch(images, labels, order, batch_size=batch_size, learning_rate=0.0) == pytest.approx(80)


def test_one_epoch_takes_one_step_per_batch_in_the_order_given():
    images, labels = some_images(7, dtype="float64")
    whole, stepwise = (classifier(ARCHITECTURES["b"], dtype="float64") for _ in range(2))
    order = np.array([6, 0, 5, 1, 4])
    whole.train_epoch(images, labels, order, batch_size=2, learning_rate=0.1)
    for rows in ([6, 0], [5, 1], [4]):
        _, gradients = stepwise.loss_and_gradients(images[rows], labels[rows])
        stepwise.set_weights({name: value - 0.1 * gradients[name] for name, value in stepwise.get_weights().items()})
    for name, value in stepwise.get_weights().items():
        np.testing.assert_allclose(whole.get_weights()[name], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_equal_central_differences(padding, stride):
    architecture = (
        Conv2D(3, 3, stride=stride, padding=padding, activation="relu"),
        MaxPool2D(pool_size=2, stride=stride, padding=padding),
        Dense(4, "relu"),
        Dense(10),
    )
    network = classifier(architecture, input_shape=(7, 6, 2), dtype="float64")
    images, labels = some_images(3, (7, 6, 2), "float64")
    _, gradients = network.loss_and_gradients(images, labels)
    point = {**network.get_weights(), "input": images}

    def loss_at(values):
        network.set_weights({name: value for name, value in values.items() if name != "input"})
        return network.loss_and_gradients(values["input"], labels)[0]

    rng = np.random.default_rng(3)
    for name, value in point.items():
        direction = rng.standard_normal(value.shape)
        ahead, behind = (loss_at({**point, name: value + step * direction}) for step in (1e-6, -1e-6))
        numeric, analytic = (ahead - behind) / 2e-6, np.sum(gradients[name] * direction)
        assert abs(analytic) > 1e-4, name
        assert numeric == pytest.approx(analytic, rel=1e-6), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tie_in_pooling_sends_the_gradient_to_the_first_maximum(dtype):
    # The kernel passes the image on, so every 2x2 window ties.
    network = classifier(
        (Conv2D(16, 1), MaxPool2D(pool_size=2, stride=2), Dense(10)), input_shape=(4, 4, 1), dtype=dtype
    )
    network.set_weights({**network.get_weights(), "conv2d_1.kernel": np.ones((1, 1, 1, 16))})
    _, gradients = network.loss_and_gradients(np.ones((1, 4, 4, 1)), np.array([1]))
    first = [[True, False, True, False], [False] * 4] * 2
    np.testing.assert_array_equal(gradients["input"][0, :, :, 0] != 0, first)


def test_pooling_keeps_its_place_when_no_convolution_comes_before_it():
    architecture = (MaxPool2D(pool_size=2, stride=2), MaxPool2D(pool_size=2, stride=2), Dense(10))
    network = classifier(architecture, input_shape=(4, 4, 1))
    network.set_weights({"dense_1.kernel": np.ones((1, 10)), "dense_1.bias": np.zeros(10)})
    images = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(network.predict_logits(images), np.full((1, 10), 15))


def test_convolution_bias_and_relu_after_pooling_give_the_plain_definition():
    network = classifier(
        (Conv2D(1, 1, activation="relu"), MaxPool2D(pool_size=2, stride=2), Dense(10)), input_shape=(2, 4, 1)
    )
    kernel = np.zeros((2, 10))
    kernel[0, 0] = kernel[1, 1] = 1
    network.set_weights(
        {
            "conv2d_1.kernel": np.full((1, 1, 1, 1), -2.0),
            "conv2d_1.bias": np.array([3.0]),
            "dense_1.kernel": kernel,
            "dense_1.bias": np.zeros(10),
        }
    )
    images = np.array([[1, 4, 2, 3], [5, 6, 9, 2]], "float32").reshape(1, 2, 4, 1)
    # -2 x + 3 is largest at the smallest pixel of each window: 1 -> 1, and 2 -> -1, which ReLU cuts to 0.
    np.testing.assert_array_equal(network.predict_logits(images)[0, :2], [1, 0])


class TestSetWeights:
    def test_refuses_another_name_or_shape(self):
        network = classifier(ARCHITECTURES["a"])
        weights = network.get_weights()
        for wrong in (
            {"dense_1.kernel": weights["dense_1.kernel"]},
            {**weights, "dense_2.bias": np.zeros(10)},
            {**weights, "dense_1.bias": np.zeros(9)},
        ):
            with pytest.raises(ValueError, match=r"dense_1\.kernel"):
                network.set_weights(wrong)

    def test_training_changes_neither_the_arrays_set_nor_those_got(self):
        network = classifier(ARCHITECTURES["b"])
        given = {name: np.ascontiguousarray(value) for name, value in network.get_weights().items()}
        kept = {name: value.copy() for name, value in given.items()}
        network.set_weights(given)
        got = network.get_weights()
        images, labels = some_images(4)
        network.train_epoch(images, labels, np.arange(4), batch_size=2, learning_rate=0.1)
        for name, value in kept.items():
            np.testing.assert_array_equal(given[name], value)
            np.testing.assert_array_equal(got[name], value)
            assert not np.array_equal(network.get_weights()[name], value)


def test_a_network_that_does_not_end_in_ten_logits_is_refused():
    with pytest.raises(ValueError, match="10 units"):
        classifier((Dense(9),))


def test_an_operation_that_nobody_has_told_it_of_is_an_error(monkeypatch):
    unknown = Operation("new_1", (3, 3, 1), (3, 3, 1))
    monkeypatch.setattr("mnist_core.tensorflow_nn.classifier.operations", lambda architecture, input_shape: [unknown])
    network = classifier((Dense(10),), input_shape=(3, 3, 1))
    with pytest.raises(TypeError, match="new_1"):
        network.predict_logits(np.zeros((1, 3, 3, 1), np.float32))


PROGRAM = """
import hashlib
import numpy as np
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.initializers import initial_weights
from mnist_core.tensorflow_nn.classifier import TensorFlowClassifier
import tensorflow as tf
rng = np.random.default_rng(5)
images, labels = rng.random((450, 28, 28, 1), dtype=np.float32), rng.integers(10, size=450)
architecture = (Conv2D(16, 3, activation="relu"), MaxPool2D(2, 2), Conv2D(16, 3, activation="relu"), Dense(10))
network = TensorFlowClassifier(architecture, initial_weights(architecture, rng=rng))
loss = network.train_epoch(images, labels, rng.permutation(450), batch_size=200, learning_rate=0.1)
arrays = [*network.get_weights().values(), network.predict_logits(images)]
threads = tf.config.threading
print(threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads())
print(loss.hex(), hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def test_a_fresh_process_gives_the_same_bytes_with_the_threads_asked_for_and_a_quiet_console():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1]
    result, quiet = outputs[0]
    assert result.split()[:2] == ["1", "1"]
    assert len(result.split()) == 4
    assert quiet == ""


START = """
import os, sys
before = dict(os.environ)
import mnist_core.tensorflow_nn
import tensorflow as tf
assert os.environ.get("TF_USE_LEGACY_KERAS") == before.get("TF_USE_LEGACY_KERAS")
assert "keras" not in sys.modules
import keras
assert keras.__version__ >= "3"
assert "TF_USE_LEGACY_KERAS" in before or tf.keras.layers.Dense is keras.layers.Dense
"""


@pytest.mark.parametrize("chosen", [{}, {"TF_USE_LEGACY_KERAS": "1"}])
def test_keras_is_loaded_by_those_alone_who_want_it(chosen):
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"} | chosen
    result = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
