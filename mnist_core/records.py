"""What one stage writes and another reads: the keys and columns of the small files in metrics/, plots/ and data/."""

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")
SEARCH_KEYS = ("model", "learning_rate", "epochs", "validation_error", "trials")
CURVE_COLUMNS = ("epoch", *ERROR_KEYS)
CONFUSION_COLUMNS = ("actual", "predicted", "count")
