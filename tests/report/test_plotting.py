import hashlib

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mnist_core.models import MODELS
from mnist_core.report import plotting


@pytest.fixture(autouse=True)
def style():
    with plotting.figure_style():
        yield


def curves(train, test, std=0.0):
    epochs = np.arange(1, len(train) + 1)
    return pd.DataFrame(
        {"epoch": epochs, "train_error": train, "train_error_std": std, "test_error": test, "test_error_std": std}
    )


def lines_by_label(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_curves_tell_train_from_test_by_colour_and_by_line_style():
    axes = plotting.draw_curves(curves([5.0, 1.25], [6.0, 2.5]), "2b").axes[0]
    lines = lines_by_label(axes)
    test, train = lines["test: 2.50 % at the end"], lines["train: 1.25 % at the end"]
    assert list(train.get_ydata()) == [5.0, 1.25]
    assert list(test.get_ydata()) == [6.0, 2.5]
    assert train.get_color() != test.get_color()
    assert train.get_linestyle() != test.get_linestyle()
    assert axes.get_title(loc="left") == "Model 2b (NumPy): train and test error"
    assert axes.get_xlabel() == "epoch"
    assert axes.get_ylabel() == "error (%), logarithmic"


def test_the_band_is_one_deviation_each_side_and_never_below_zero():
    axes = plotting.draw_curves(curves([4.0, 0.0], [4.0, 3.0], std=0.5), "1c").axes[0]
    test, train = (band.get_paths()[0].vertices[:, 1] for band in axes.collections)
    assert (test.min(), test.max()) == (2.5, 4.5)
    assert (train.min(), train.max()) == (0.0, 4.5)


@pytest.mark.parametrize(
    ("train", "scale"),
    [([7.5, 7.0], "linear"), ([9.0, 0.5], "log"), ([9.0, 0.0], "symlog"), ([0.0, 0.0], "symlog")],
)
def test_the_error_axis_shows_zero_where_there_is_one(train, scale):
    axes = plotting.draw_curves(curves(train, [8.0, 7.8]), "1a").axes[0]
    assert axes.get_yscale() == scale
    bottom, top = axes.get_ylim()
    assert bottom <= min(train)
    assert top >= max(train)


def test_one_epoch_and_no_error_at_all_can_be_drawn():
    axes = plotting.draw_curves(curves([0.0], [0.0]), "1a").axes[0]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 0


SEARCH = {
    "model": "2d",
    "learning_rate": 0.1,
    "epochs": 3,
    "validation_error": 1.5,
    "trials": [
        {"learning_rate": 0.1, "diverged": False, "best_epoch": 3, "best_validation_error": 1.5, "epochs": 3},
        {"learning_rate": 1.0, "diverged": True, "best_epoch": None, "best_validation_error": None, "epochs": 1},
    ],
}
TRIALS = pd.DataFrame(
    {
        "learning_rate": [0.1, 0.1, 0.1, 1.0],
        "epoch": [1, 2, 3, 1],
        "validation_error": [9.0, 2.0, 1.5, 88.0],
    }
)


def test_search_draws_a_line_for_each_rate_and_marks_the_best_point():
    axes = plotting.draw_search(TRIALS, SEARCH).axes[0]
    lines = lines_by_label(axes)
    assert list(lines) == ["1 (diverged)", "0.1", "best: 1.50 % at epoch 3"]
    assert list(lines["0.1"].get_ydata()) == [9.0, 2.0, 1.5]
    assert list(lines["1 (diverged)"].get_ydata()) == [88.0]
    assert lines["best: 1.50 % at epoch 3"].get_xydata().tolist() == [[3.0, 1.5]]


def test_a_trial_that_diverged_in_its_first_epoch_has_a_label_and_no_points():
    search = SEARCH | {"trials": [SEARCH["trials"][0], SEARCH["trials"][1] | {"epochs": 0}]}
    axes = plotting.draw_search(TRIALS[TRIALS["learning_rate"] == 0.1], search).axes[0]
    assert len(lines_by_label(axes)["1 (diverged)"].get_ydata()) == 0


def confusion():
    matrix = np.eye(10, dtype=int) * 99
    matrix[4, 9] = 8
    matrix[9, 4] = 1
    return pd.DataFrame(
        [(actual, predicted, count) for (actual, predicted), count in np.ndenumerate(matrix)],
        columns=["actual", "predicted", "count"],
    )


def test_confusion_writes_counts_and_colours_only_errors():
    figure = plotting.draw_confusion(confusion(), "1a")
    axes = figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts if text.get_text().isdigit()}
    assert written[(9, 4)] == "8"  # actual 4 (row, downwards) taken for 9 (column)
    assert written[(4, 9)] == "1"
    assert written[(0, 0)] == "99"
    assert len(written) == 12  # zeros are left out
    image = axes.images[0]
    assert image.get_array().mask.diagonal().all()
    assert image.get_clim() == (0, 8)  # not 99: the diagonal does not drown the errors
    assert axes.get_title() == "Model 1a (TensorFlow): 9 errors on 999 test images"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "actual class")


def test_confusion_gives_recall_for_every_digit():
    axes = plotting.draw_confusion(confusion(), "1a").axes[0]
    right = axes.child_axes[0]
    recall = [label.get_text() for label in right.get_yticklabels()]
    assert recall == ["100.0", "100.0", "100.0", "100.0", "92.5", "100.0", "100.0", "100.0", "100.0", "99.0"]


def test_confusion_without_errors_and_with_an_absent_digit_can_be_drawn():
    counts = confusion()
    counts.loc[counts["actual"] != counts["predicted"], "count"] = 0
    counts.loc[counts["actual"] == 3, "count"] = 0
    axes = plotting.draw_confusion(counts, "2a").axes[0]
    assert axes.get_title() == "Model 2a (NumPy): 0 errors on 891 test images"


def error_curves():
    return pd.DataFrame([{"model": m, "epoch": e, "test_error": 4 / e} for m in MODELS for e in (1, 2)])


def test_twins_share_a_colour_and_differ_in_line_style():
    figure = plotting.draw_test_errors(error_curves())
    lines = {label[:2]: line for label, line in lines_by_label(figure.axes[0]).items()}
    assert list(lines) == list(MODELS)
    for letter in "abcd":
        assert lines[f"1{letter}"].get_color() == lines[f"2{letter}"].get_color()
        assert lines[f"1{letter}"].get_linestyle() == "-"
        assert lines[f"2{letter}"].get_linestyle() == "--"
    assert {to_hex(line.get_color()) for line in lines.values()} == {"#0072b2", "#e69f00", "#009e73", "#cc79a7"}


def test_no_text_is_smaller_than_eight_points():
    figures = [
        plotting.draw_curves(curves([5.0, 1.0], [6.0, 2.0]), "2b"),
        plotting.draw_search(TRIALS, SEARCH),
        plotting.draw_confusion(confusion(), "1a"),
        plotting.draw_test_errors(error_curves()),
    ]
    sizes = [
        text.get_fontsize() for figure in figures for text in figure.findobj(mpl.text.Text) if text.get_text().strip()
    ]
    assert min(sizes) == 8


def test_saved_bytes_are_the_same_each_time_and_carry_no_date(tmp_path):
    digests = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        plotting.save_figure(plotting.draw_confusion(confusion(), "1a"), tmp_path / run / "confusion_1a")
        digests.append(
            [hashlib.sha256((tmp_path / run / f"confusion_1a.{kind}").read_bytes()).digest() for kind in ("svg", "png")]
        )
    assert digests[0] == digests[1]
    svg = (tmp_path / "first" / "confusion_1a.svg").read_text()
    assert "<dc:date>" not in svg
    png = (tmp_path / "first" / "confusion_1a.png").read_bytes()
    assert b"Software" not in png
    assert b"tEXt" not in png


def test_style_ignores_and_restores_the_users_settings():
    with mpl.rc_context({"font.size": 30}):
        with plotting.figure_style():
            assert mpl.rcParams["font.size"] == 9
        assert mpl.rcParams["font.size"] == 30
