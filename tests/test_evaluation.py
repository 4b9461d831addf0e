import numpy as np
import pytest

from mnist_core.data.dataset import load_dataset
from mnist_core.errors import UserError
from mnist_core.evaluation import Evaluation, evaluate_model, summarise
from mnist_core.networks.architectures import Dense
from mnist_core.networks.model_file import save_model

ALWAYS_FOUR = {
    "dense_1.kernel": np.zeros((784, 10), "float32"),
    "dense_1.bias": np.eye(10, dtype="float32")[4],
}


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_a_model_that_always_says_four(framework, prepared, tmp_path):
    save_model(tmp_path / "four.npz", (Dense(10),), ALWAYS_FOUR)
    evaluation = evaluate_model(framework, tmp_path / "four.npz", load_dataset(prepared))
    assert (evaluation.train_error, evaluation.test_error) == (0.9, 0.9)  # the classes are equally frequent
    np.testing.assert_array_equal(evaluation.test_logits, np.tile(ALWAYS_FOUR["dense_1.bias"], (40, 1)))
    assert evaluation.test_logits.dtype == np.float32


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_weights_of_another_network_are_refused(framework, prepared, tmp_path):
    save_model(tmp_path / "mixed.npz", (Dense(5, "relu"), Dense(10)), ALWAYS_FOUR)
    with pytest.raises(UserError, match=r"mixed\.npz: .*dense_2\.kernel.*; train it again"):
        evaluate_model(framework, tmp_path / "mixed.npz", load_dataset(prepared))


def test_a_summary_is_in_percent_with_the_spread_over_seeds():
    logits = np.zeros((1, 10))
    assert summarise([Evaluation(0.01, 0.02, logits), Evaluation(0.03, 0.02, logits)]) == {
        "train_error": 2.0,
        "train_error_std": 1.4142,
        "test_error": 2.0,
        "test_error_std": 0.0,
    }
