import hashlib
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mnist_core.candidates import Choice, FailedCandidate, Search, Trial
from mnist_core.data.params import CLASS_NAMES
from mnist_core.models import MODELS
from mnist_core.report import plotting
from tests.records import MADE_WITH


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


def test_curves_tell_train_from_test_by_colour_and_by_line_style_and_name_them_at_their_ends():
    axes = plotting.draw_curves(curves([5.0, 1.25], [6.0, 2.5])).axes[0]
    lines = lines_by_label(axes)
    test, train = lines["test 2.50 %"], lines["train 1.25 %"]
    assert list(train.get_ydata()) == [5.0, 1.25]
    assert list(test.get_ydata()) == [6.0, 2.5]
    assert train.get_color() != test.get_color()
    assert train.get_linestyle() != test.get_linestyle()
    assert {text.get_text(): text.xy for text in axes.texts} == {"test 2.50 %": (2.0, 2.5), "train 1.25 %": (2.0, 1.25)}
    assert axes.get_xlabel() == "epoch"
    assert axes.get_ylabel() == "error (%), logarithmic"


def test_the_band_is_one_deviation_each_side_never_below_zero_and_not_cut():
    axes = plotting.draw_curves(curves([4.0, 0.0], [4.0, 3.0], std=0.5)).axes[0]
    test, train = (band.get_paths()[0].vertices[:, 1] for band in axes.collections)
    assert (test.min(), test.max()) == (2.5, 4.5)
    assert (train.min(), train.max()) == (0.0, 4.5)
    assert axes.get_ylim()[0] <= 0
    assert axes.get_ylim()[1] >= 4.5


def test_a_band_that_reaches_zero_is_shown_whole():
    axes = plotting.draw_curves(curves([9.0, 3.0], [9.0, 3.0], std=4.0)).axes[0]  # 3 - 4 < 0: the band starts at 0
    bottom, top = axes.get_ylim()
    assert bottom <= 0
    assert top >= 13


def test_many_epochs_are_logarithmic_and_few_are_whole_numbers():
    few = plotting.draw_curves(curves([5.0] * 4, [6.0] * 4)).axes[0]
    assert few.get_xscale() == "linear"
    assert all(float(tick).is_integer() for tick in few.get_xticks())
    many = plotting.draw_curves(curves([5.0] * 500, [6.0] * 500)).axes[0]
    assert many.get_xscale() == "log"
    assert many.get_xlim() == (1, 500)
    assert many.get_xlabel() == "epoch, logarithmic"


@pytest.mark.parametrize(
    ("train", "scale"),
    [([7.5, 7.0], "linear"), ([9.0, 0.5], "log"), ([9.0, 0.0], "symlog"), ([0.0, 0.0], "symlog")],
)
def test_the_error_axis_shows_zero_where_there_is_one(train, scale):
    axes = plotting.draw_curves(curves(train, [8.0, 7.8])).axes[0]
    assert axes.get_yscale() == scale
    bottom, top = axes.get_ylim()
    assert bottom <= min(train)
    assert top >= max(train)


def test_one_epoch_and_no_error_at_all_can_be_drawn():
    axes = plotting.draw_curves(curves([0.0], [0.0])).axes[0]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 0


BEST = {"learning_rate": 0.1, "epochs": 3, "validation_error": 1.5}
SHORTER = {"learning_rate": 0.1, "epochs": 2, "validation_error": 2.0}
SEARCH = Search(
    model="2d",
    candidates=[BEST, SHORTER],
    probes=[],
    trials=[
        Trial(learning_rate=0.1, failure=None, epochs=3, best_epoch=3, best_validation_error=1.5),
        Trial(learning_rate=1.0, failure="dead", epochs=1, best_epoch=None, best_validation_error=None),
    ],
    **MADE_WITH,
    **BEST,
)
CHOICE = Choice(model="2d", failures=[], **BEST)
TRIALS = pd.DataFrame(
    {
        "learning_rate": [0.1, 0.1, 0.1, 1.0],
        "epoch": [1, 2, 3, 1],
        "validation_error": [9.0, 2.0, 1.5, 88.0],
    }
)


def test_search_draws_a_line_for_each_rate_and_marks_the_pair_that_was_chosen():
    axes = plotting.draw_search(TRIALS, SEARCH, CHOICE).axes[0]
    lines = lines_by_label(axes)
    assert list(lines) == ["rate 1 (dead)", "rate 0.1", "chosen: 1.50 % after 3 epochs at 0.1"]
    assert list(lines["rate 0.1"].get_ydata()) == [9.0, 2.0, 1.5]
    assert list(lines["rate 1 (dead)"].get_ydata()) == [88.0]
    assert lines["chosen: 1.50 % after 3 epochs at 0.1"].get_xydata().tolist() == [[3.0, 1.5]]


def test_a_lower_error_that_was_not_chosen_is_marked_as_rejected_with_the_reason():
    failed = FailedCandidate(learning_rate=0.1, epochs=3, seed=4, failure="spiked", epoch=3)
    figure = plotting.draw_search(TRIALS, SEARCH, Choice(model="2d", failures=[failed], **SHORTER))
    lines = lines_by_label(figure.axes[0])
    assert lines["chosen: 2.00 % after 2 epochs at 0.1"].get_xydata().tolist() == [[2.0, 2.0]]
    rejected = lines["rejected: 1.50 % after 3 epochs at 0.1; spiked with seed 4"]
    assert rejected.get_xydata().tolist() == [[3.0, 1.5]]
    assert rejected.get_marker() != lines["chosen: 2.00 % after 2 epochs at 0.1"].get_marker()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(lines)


def test_a_trial_that_failed_in_its_first_epoch_has_a_label_and_no_points():
    axes = plotting.draw_search(TRIALS[TRIALS["learning_rate"] == 0.1], SEARCH, CHOICE).axes[0]
    assert len(lines_by_label(axes)["rate 1 (dead)"].get_ydata()) == 0


DIGITS = tuple("0123456789")


def confusion():
    matrix = np.eye(10, dtype=int) * 99
    matrix[4, 9] = 8
    matrix[9, 4] = 1
    return matrix


def test_confusion_writes_counts_and_colours_only_errors():
    figure = plotting.draw_confusion(confusion(), DIGITS)
    axes = figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts if text.get_text().isdigit()}
    assert written[(9, 4)] == "8"  # actual 4 (row, downwards) taken for 9 (column)
    assert written[(4, 9)] == "1"
    assert written[(0, 0)] == "99"
    assert len(written) == 12  # zeros are left out
    image = axes.images[0]
    assert image.get_array().mask.diagonal().all()
    assert image.get_clim() == (0, 8)  # not 99: the diagonal does not drown the errors
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "actual class")


def test_confusion_gives_recall_for_every_class():
    axes = plotting.draw_confusion(confusion(), DIGITS).axes[0]
    right = axes.child_axes[0]
    recall = [label.get_text() for label in right.get_yticklabels()]
    assert recall == ["100.0", "100.0", "100.0", "100.0", "92.5", "100.0", "100.0", "100.0", "100.0", "99.0"]


def test_confusion_without_errors_and_with_an_absent_class_can_be_drawn():
    counts = np.diag([99, 99, 99, 0, 99, 99, 99, 99, 99, 99])
    axes = plotting.draw_confusion(counts, DIGITS).axes[0]
    recall = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]
    assert recall == ["100.0", "100.0", "100.0", "0.0", *["100.0"] * 6]


def test_confusion_writes_names_of_classes_on_both_axes():
    names = CLASS_NAMES["fashion_mnist"]
    axes = plotting.draw_confusion(confusion(), names).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(names)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(names)


@pytest.mark.parametrize("name", ["$x_$", r"$\frac$", "$5 or $6", r"a\$b"])
def test_dollars_in_names_of_classes_make_no_formula(name, tmp_path):
    figure = plotting.draw_confusion(confusion(), (name, *DIGITS[1:]))
    plotting.save_figure(figure, tmp_path / "confusion_1a")
    axes = figure.axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert labels[0].get_text() == name
        assert not any(label.get_parse_math() for label in labels)
    assert f"<!-- {name} -->" in (tmp_path / "confusion_1a.svg").read_text()


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


def test_labels_of_lines_that_end_together_do_not_overlap_and_stay_in_order():
    # All but one end at 2 %, as twins do.
    rows = [{"model": m, "epoch": e, "test_error": (1.0 if m == "2d" else 2.0) * 4 / e} for m in MODELS for e in (1, 4)]
    figure = plotting.draw_test_errors(pd.DataFrame(rows))
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    assert sorted(text.get_text()[:2] for text in texts) == list(MODELS)
    # Of each text alone: a label's own extent has its leader too.
    boxes = sorted((mpl.text.Text.get_window_extent(text) for text in texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in pairwise(boxes))
    assert min(texts, key=lambda text: text.get_position()[1]).get_text() == "2d 1.00 %"


def test_parity_draws_one_twin_as_a_line_and_the_other_as_dots():
    rows = [
        (letter, framework, epoch, 8.0 / epoch)
        for letter in "abcd"
        for framework in ("tensorflow", "numpy")
        for epoch in (1, 2)
    ]
    figure = plotting.draw_parity(pd.DataFrame(rows, columns=["letter", "framework", "epoch", "test_error"]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["network a", "network b", "network c", "network d"]
    lines = lines_by_label(figure.axes[3])
    assert lines["TensorFlow"].get_xydata().tolist() == lines["NumPy"].get_xydata().tolist() == [[1.0, 8.0], [2.0, 4.0]]
    assert (lines["TensorFlow"].get_linestyle(), lines["TensorFlow"].get_marker()) == ("-", "None")
    assert (lines["NumPy"].get_linestyle(), lines["NumPy"].get_marker()) == ("None", "o")


@pytest.mark.parametrize("letters", ["a", "abc", "abcde"])
def test_parity_draws_however_many_networks_there_are(letters):
    rows = [(letter, framework, 1, 8.0) for letter in letters for framework in ("tensorflow", "numpy")]
    figure = plotting.draw_parity(pd.DataFrame(rows, columns=["letter", "framework", "epoch", "test_error"]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"network {letter}" for letter in letters]


def test_no_text_is_smaller_than_eight_points():
    figures = [
        plotting.draw_curves(curves([5.0, 1.0], [6.0, 2.0])),
        plotting.draw_search(TRIALS, SEARCH, CHOICE),
        plotting.draw_confusion(confusion(), DIGITS),
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
        plotting.save_figure(plotting.draw_confusion(confusion(), DIGITS), tmp_path / run / "confusion_1a")
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
