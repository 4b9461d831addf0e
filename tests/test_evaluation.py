from dataclasses import replace

import numpy as np
import pytest

from mnist_core.data.dataset import load_dataset
from mnist_core.errors import UserError
from mnist_core.evaluation import Evaluation, confusion_frame, evaluate_model, probabilities, summarise
from mnist_core.networks.architectures import Dense
from mnist_core.networks.model_file import Provenance, save_model

LINEAR = (Dense(10),)
ALWAYS_FOUR = {
    "dense_1.kernel": np.zeros((784, 10), "float32"),
    "dense_1.bias": np.eye(10, dtype="float32")[4],
}


@pytest.fixture
def dataset(prepared):
    return load_dataset(prepared)


@pytest.fixture
def saved(tmp_path, dataset):
    """Save a model that always says 4 under a name and a seed; return its file."""

    def save(model, seed=1):
        path = tmp_path / "seed_1.npz"
        hyperparameters = {"learning_rate": 0.1, "epochs": 3, "batch_size": 20}
        provenance = Provenance(model=model, seed=seed, data_sha256=dataset.sha256, **hyperparameters)
        save_model(path, LINEAR, ALWAYS_FOUR, provenance)
        return path

    return save


@pytest.mark.parametrize("model", ["1a", "2a"])
def test_a_model_that_always_says_four(model, dataset, saved):
    evaluation = evaluate_model(saved(model), dataset, {"model": model, "seed": 1, "architecture": LINEAR})
    errors = (evaluation.train_error, evaluation.final_validation_error, evaluation.test_error)
    assert errors == (0.9, 0.9, 0.9)  # the classes are equally frequent
    np.testing.assert_array_equal(evaluation.test_logits, np.tile(ALWAYS_FOUR["dense_1.bias"], (40, 1)))
    assert evaluation.test_logits.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "1a"}, r"another model \(2a, not 1a\)"),
        ({"seed": 2}, r"another seed \(1, not 2\)"),
        ({"architecture": (Dense(5, "relu"), Dense(10))}, "another architecture"),
        ({"learning_rate": 0.01}, r"another learning_rate \(0.1, not 0.01\)"),
    ],
)
def test_a_model_under_the_name_of_another_is_not_scored(changes, message, dataset, saved):
    asked = {"model": "2a", "seed": 1, "architecture": LINEAR} | changes
    with pytest.raises(UserError, match=rf"seed_1\.npz: it is a network of {message}"):
        evaluate_model(saved("2a"), dataset, asked)


def test_a_model_that_learned_from_other_data_is_not_scored(dataset, saved):
    with pytest.raises(UserError, match="another data_sha256"):
        evaluate_model(saved("2a"), replace(dataset, sha256="0"), {"model": "2a"})


def example(train_error, logits):
    return Evaluation(train_error, 0.04, 0.02, np.array(logits, np.float32))


def test_a_summary_is_in_percent_with_the_spread_over_seeds():
    assert summarise([example(0.01, [[0.0]]), example(0.03, [[0.0]])]) == {
        "train_error": 2.0,
        "train_error_std": 1.4142,
        "test_error": 2.0,
        "test_error_std": 0.0,
        "final_validation_error": 4.0,
        "final_validation_error_std": 0.0,
    }


def test_probabilities_are_those_of_every_seed():
    first, second = np.zeros((1, 10)), np.zeros((1, 10))
    second[0, 3] = 1
    found = probabilities([example(0.0, first), example(0.0, second)])
    assert (found.shape, found.dtype) == ((2, 1, 10), np.float32)
    np.testing.assert_allclose(found[:, 0, 3], [0.1, 0.2319690], rtol=1e-5)  # e of 9 + e


def test_a_confusion_frame_counts_every_pair():
    frame = confusion_frame(example(0.0, np.eye(10)[[1, 1, 2]]), np.array([1, 2, 2]))
    assert frame.columns.tolist() == ["actual", "predicted", "count"]
    assert len(frame) == 100
    assert frame[frame["count"] > 0].values.tolist() == [[1, 1, 1], [2, 1, 1], [2, 2, 1]]
