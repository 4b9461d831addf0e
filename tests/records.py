"""Records for tests, such as stages write."""

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


def search_record(model, candidates):
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
    return {"model": model, **candidates[0], "trials": trials, "probes": [], "candidates": candidates}
