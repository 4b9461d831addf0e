"""Records for tests, such as stages write."""

import numpy as np

from mnist_core.files.writing import write_arrays

MADE_WITH = {"data_sha256": "0" * 64, "architecture": [{"units": 10, "activation": "linear", "type": "dense"}]}
SCORES = {
    "learning_rate": 0.1,
    "epochs": 3,
    "validation_error": 1.5,
    "train_error": 1.0,
    "train_error_std": 0.1,
    "test_error": 2.0,
    "test_error_std": 0.2,
    "final_validation_error": 1.75,
    "final_validation_error_std": 0.1,
    "negative_log_likelihood": 0.1,
    "brier_score": 0.02,
    "expected_calibration_error": 0.5,
}


def model_scores(model, data_sha256, **changes):
    """What stage evaluate writes of a model's scores."""
    networks = {"architecture": MADE_WITH["architecture"], "seeds": [1, 2]}
    return {"model": model, "data_sha256": data_sha256} | networks | SCORES | changes


def write_predictions(path, model, data_sha256, probabilities, seeds=(1,)):
    """Write what stage evaluate writes of a model's predictions (S, N, 10); None leaves an array out."""
    arrays = {"model": model, "data_sha256": data_sha256, "probabilities": probabilities, "seeds": seeds}
    write_arrays(
        path,
        {
            name: np.array(array.encode() if isinstance(array, str) else array)
            for name, array in arrays.items()
            if array is not None
        },
    )


def search_record(model, candidates, made_with=MADE_WITH):
    """What stage search writes if it found these candidates, the best first."""
    trials = [
        {
            "learning_rate": found["learning_rate"],
            "failure": None,
            "epochs": found["epochs"],
            "best_epoch": found["epochs"],
            "best_validation_error": found["validation_error"],
        }
        for found in candidates
    ]
    return {"model": model, **made_with, **candidates[0], "trials": trials, "probes": [], "candidates": candidates}
