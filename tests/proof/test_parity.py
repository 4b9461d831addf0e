"""The twins on synthetic images: equal weights must give equal logits, gradients and training, up to rounding."""

import re
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.dataset import Dataset, Split
from mnist_core.errors import UserError
from mnist_core.networks.initializers import initial_weights
from mnist_core.networks.model_file import load_model
from mnist_core.params import ParityParams, load_params
from mnist_core.proof.parity import build_twins, compare_predictions, compare_training, compare_twins, cross_load
from mnist_core.training.run import initial_rng

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
ARCHITECTURES = {letter: PARAMS.architecture(f"2{letter}") for letter in "abcd"}


def synthetic_split(num_images, seed):
    """One bright square for each class on a black background, at a place of its own, with some noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, num_images)
    images = np.zeros((num_images, 28, 28, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 + 10 * (label // 5), 3 + 5 * (label % 5)
        image[row : row + 6, column : column + 4, 0] = rng.uniform(0.3, 1, (6, 4))
    return Split(images, labels)


@pytest.fixture(scope="module")
def dataset():
    return Dataset(synthetic_split(130, 1), synthetic_split(10, 2), synthetic_split(50, 3))


def settings(**changes):
    return ParityParams(**{"seed": 1, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01} | changes)


@pytest.mark.parametrize("letter", "abcd")
def test_twins_start_from_the_weights_that_training_with_their_seed_starts_from(letter):
    drawn = initial_weights(ARCHITECTURES[letter], rng=initial_rng(5))
    for twin in build_twins(ARCHITECTURES[letter], seed=5, dtype="float32"):
        np.testing.assert_equal(twin.get_weights(), drawn)


@pytest.mark.parametrize("letter", "abcd")
def test_equal_weights_give_equal_logits_loss_and_gradients(letter, dataset):
    twins = build_twins(ARCHITECTURES[letter], seed=5, dtype="float32")
    images, labels = dataset.train.images, dataset.train.labels
    logits = [twin.predict_logits(images) for twin in twins]
    assert logits[0].dtype == logits[1].dtype == np.float32
    assert np.abs(logits[0]).max() > 0.1
    np.testing.assert_allclose(logits[0], logits[1], rtol=0, atol=2e-6)

    (loss, gradients), (other_loss, other_gradients) = (twin.loss_and_gradients(images, labels) for twin in twins)
    assert loss == pytest.approx(other_loss, abs=1e-6)
    assert gradients.keys() == other_gradients.keys() == {*twins[0].get_weights(), "input"}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, other_gradients[name], rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("letter", "abcd")
def test_ten_float64_steps_from_equal_weights_end_in_equal_weights(letter, dataset):
    twins = build_twins(ARCHITECTURES[letter], seed=5, dtype="float64")
    before = twins[0].get_weights()
    order = np.random.default_rng(0).permutation(130)[:119]  # ten batches, the last one shorter
    losses = [
        twin.train_epoch(dataset.train.images, dataset.train.labels, order, batch_size=12, learning_rate=0.1)
        for twin in twins
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    after = [twin.get_weights() for twin in twins]
    for name, weights in after[0].items():
        assert np.abs(weights - before[name]).max() > 1e-3, f"{name} was not trained"
        np.testing.assert_allclose(weights, after[1][name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("letter", "ad")
def test_training_is_compared_at_the_asked_steps_within_and_across_epochs(letter, dataset):
    params = settings(batch_size=40, steps=(1, 6), epochs=2)
    record, curves = compare_training(ARCHITECTURES[letter], dataset.train, dataset.test, params)
    assert record["same_start"] is True
    assert {step: value < 1e-5 for step, value in record["logit_difference"].items()} == {"1": True, "6": True}
    assert max(record["logit_difference_float64"].values()) < 1e-13
    assert max(record["logit_difference_momentum_float64"].values()) < 1e-12  # momentum makes ten steps of one
    assert 0 < record["logit_difference_one_rounding"]["6"] < 1e-4
    assert record["largest_error_gap"] <= 2  # one of 50 images
    assert record["cross_loaded"]["predictions"] == 100
    assert record["cross_loaded"]["unexplained"] == 0
    assert curves["framework"].tolist() == ["tensorflow", "numpy"] * 2
    assert curves["epoch"].tolist() == [1, 1, 2, 2]


def test_several_twins_share_one_table(client, prepared):
    params = settings(batch_size=65, steps=(2,), epochs=1)
    records, curves = compare_twins(client, {"a": ARCHITECTURES["a"], "b": ARCHITECTURES["b"]}, prepared, params)
    assert list(records) == ["a", "b"]
    assert curves.columns.tolist() == ["letter", "framework", "epoch", "test_error"]
    assert curves["letter"].tolist() == ["a", "a", "b", "b"]


def test_where_few_images_make_few_steps_the_later_ones_are_left_out(dataset):
    def compare(*steps):
        params = settings(batch_size=40, steps=steps, epochs=2)
        return compare_training(ARCHITECTURES["a"], dataset.train, dataset.test, params)

    (record, curves), (expected, expected_curves) = compare(1, 8, 9, 999), compare(1, 8)
    assert list(record["logit_difference"]) == list(record["logit_difference_momentum_float64"]) == ["1", "8"]
    assert record == expected
    assert curves.equals(expected_curves)


def test_steps_that_all_come_after_the_last_epoch_are_refused(dataset):
    message = (
        "params.yaml: parity.steps of the active profile: all come after the last step of its parity.epochs; add a "
        "lower one, such as 1"
    )
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        compare_training(ARCHITECTURES["a"], dataset.train, dataset.test, settings(batch_size=40, steps=(9,), epochs=2))


@pytest.mark.parametrize("letter", "bd")
def test_training_that_diverges_names_the_learning_rate(letter, dataset):
    message = "params.yaml: parity.learning_rate of the active profile: training diverges at 1e+06; lower it"
    params = settings(batch_size=40, steps=(1, 6), epochs=2, learning_rate=1e6)
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):  # and no RuntimeWarning, which would be an error
        compare_training(ARCHITECTURES[letter], dataset.train, dataset.test, params)


def test_weights_saved_by_one_framework_predict_the_same_in_the_other(dataset):
    twins = build_twins(ARCHITECTURES["d"], seed=2, dtype="float32")
    twins[1].train_epoch(
        dataset.train.images, dataset.train.labels, np.arange(130), batch_size=10, learning_rate=0.1
    )  # now the two directions carry different weights
    result = cross_load(twins, dataset.test.images)
    assert result["predictions"] == 100
    assert result["disagreements"] == 0
    assert result["logit_difference"] <= result["rounding"]


def test_cross_loading_notices_weights_that_changed_on_the_way(dataset, monkeypatch):
    def load_flipped(path):
        architecture, weights = load_model(path)
        return architecture, {name: -value for name, value in weights.items()}

    monkeypatch.setattr("mnist_core.proof.parity.load_model", load_flipped)
    result = cross_load(build_twins(ARCHITECTURES["a"], seed=2, dtype="float32"), dataset.test.images)
    assert result["unexplained"] > 50


def test_a_near_tie_explains_a_disagreement_and_a_clear_margin_does_not():
    first = np.array([[8.0, 1.0, 0.0], [5.0, 5.00002, 0.0], [3.0, 2.0, 0.0], [4.0, 3.99999, 0.0]], np.float32)
    second = np.array([[8.0, 1.0, 0.0], [5.00001, 5.0, 0.0], [2.0, 3.0, 0.0], [4.0, 3.99999, 0.0]], np.float32)
    assert compare_predictions(first, second) == {
        "predictions": 4,
        "disagreements": 2,
        "near_ties": 2,
        "unexplained": 1,
        "logit_difference": 1.0,
        "rounding": 3.1e-05,  # 8 / 2**18
    }
