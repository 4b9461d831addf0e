import numpy as np
import pytest

from mnist_core.networks.architectures import Conv2D, Dense
from mnist_core.networks.initializers import fans, glorot_uniform, he_normal, initial_weights


@pytest.mark.parametrize(("shape", "expected"), [((784, 10), (784, 10)), ((3, 3, 2, 16), (18, 144))])
def test_fans(shape, expected):
    assert fans(shape) == expected


def test_he_normal_has_variance_two_over_fan_in():
    draws = he_normal((5, 5, 2, 4000), rng=np.random.default_rng(0))
    assert draws.shape == (5, 5, 2, 4000)
    assert draws.std() == pytest.approx(0.2, rel=0.01)  # sqrt(2 / 50)
    assert draws.mean() == pytest.approx(0, abs=0.002)
    assert np.mean(np.abs(draws) < 0.2) == pytest.approx(0.6827, abs=0.01)  # of a normal distribution


def test_glorot_uniform_fills_its_interval_evenly():
    draws = glorot_uniform((400, 200), rng=np.random.default_rng(0))
    assert 0.0999 < draws.max() < 0.1  # sqrt(6 / 600)
    assert -0.1 < draws.min() < -0.0999
    assert np.mean(np.abs(draws) < 0.05) == pytest.approx(0.5, abs=0.01)


def test_layers_before_relu_start_he_normal_and_linear_ones_glorot_uniform():
    weights = initial_weights(
        (Conv2D(8, 5, activation="relu"), Dense(10)), rng=np.random.default_rng(0), input_shape=(4, 4, 50)
    )
    assert weights["conv2d_1.kernel"].std() == pytest.approx(0.04, rel=0.03)  # sqrt(2 / 1250)
    assert np.abs(weights["conv2d_1.kernel"]).max() > 0.12  # beyond three standard deviations: no uniform draw
    assert 0.20 < np.abs(weights["dense_1.kernel"]).max() < 0.208514  # sqrt(6 / 138)
    assert not weights["conv2d_1.bias"].any()
    assert not weights["dense_1.bias"].any()


def test_the_draws_are_those_of_the_stream_given():
    def draw(seed):
        return initial_weights((Dense(3, "relu"), Dense(10)), rng=np.random.default_rng(seed), input_shape=(2, 2, 1))

    assert draw(1)["dense_1.kernel"].tolist() == draw(1)["dense_1.kernel"].tolist()
    assert draw(1)["dense_1.kernel"].tolist() != draw(2)["dense_1.kernel"].tolist()


def test_float32_weights_are_those_of_float64_rounded():
    narrow, wide = (
        initial_weights((Dense(3, "relu"), Dense(10)), rng=np.random.default_rng(1), dtype=dtype)
        for dtype in ("float32", "float64")
    )
    assert {array.dtype for array in narrow.values()} == {np.dtype("float32")}
    for name, array in wide.items():
        np.testing.assert_array_equal(narrow[name], array.astype("float32"))


@pytest.mark.parametrize(("variance", "expected"), [(2 / 256, 1), (1 / 256, 1 / 1024)])
def test_ten_layers_keep_or_lose_the_mean_square_as_the_derivations_say(variance, expected):
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((2000, 256))
    for _ in range(10):
        kernel = he_normal((256, 256), rng=rng) * np.sqrt(variance / (2 / 256))
        outputs = np.maximum(outputs @ kernel, 0)
    assert np.mean(outputs**2) == pytest.approx(expected, rel=0.25)  # so much hangs on the numbers drawn
