import numpy as np
import pytest

from mnist_core.evaluation import Evaluation, confusion_frame, evaluate, probabilities, summarise
from mnist_core.networks.architectures import Dense

LINEAR = (Dense(10),)
ALWAYS_FOUR = {
    "dense_1.kernel": np.zeros((784, 10), "float32"),
    "dense_1.bias": np.eye(10, dtype="float32")[4],
}


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_a_model_that_always_says_four(framework, prepared):
    evaluation = evaluate(framework, LINEAR, ALWAYS_FOUR, prepared)
    errors = (evaluation.train_error, evaluation.final_validation_error, evaluation.test_error)
    assert errors == (0.9, 0.9, 0.9)  # the classes are equally frequent
    np.testing.assert_array_equal(evaluation.test_logits, np.tile(ALWAYS_FOUR["dense_1.bias"], (40, 1)))
    assert evaluation.test_logits.dtype == np.float32


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
