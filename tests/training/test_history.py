import pytest

from mnist_core.files.writing import write_csv
from mnist_core.training.history import EpochRecord, curves_frame, history_frame

FIRST = [EpochRecord(1, 2.30258509, {"train": 0.5, "test": 0.25}), EpochRecord(2, 1.0, {"train": 0.1, "test": 0.2})]
SECOND = [EpochRecord(1, 2.0, {"train": 0.6, "test": 0.27}), EpochRecord(2, 0.5, {"train": 0.1, "test": 0.24})]


def test_a_history_is_written_in_percent(tmp_path):
    path = tmp_path / "seed_1.csv"
    write_csv(history_frame(FIRST), path)
    assert path.read_bytes() == (b"epoch,loss,train_error,test_error\n1,2.302585,50.0,25.0\n2,1.0,10.0,20.0\n")


def test_curves_have_mean_and_spread_over_seeds(tmp_path):
    write_csv(curves_frame([FIRST, SECOND]), tmp_path / "1a.csv")
    assert (tmp_path / "1a.csv").read_text().splitlines() == [
        "epoch,train_error,train_error_std,test_error,test_error_std",
        "1,55.0,7.0711,26.0,1.4142",
        "2,10.0,0.0,22.0,2.8284",
    ]


def test_histories_of_different_length_are_not_averaged():
    with pytest.raises(ValueError, match="shorter"):
        curves_frame([FIRST, SECOND[:1]])
