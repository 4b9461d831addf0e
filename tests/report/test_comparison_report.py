import json

import matplotlib as mpl
import pytest

from mnist_core.errors import UserError
from mnist_core.models import MODELS
from mnist_core.report.comparison_figure import (
    draw_differences,
    draw_intervals,
    draw_reliability,
    write_comparison_figures,
)
from mnist_core.report.comparison_text import comparison_paragraph
from mnist_core.report.plotting import figure_style
from tests.report.comparison_inputs import DETAILS, INTERVALS, RULE, TWINS, comparisons, write_comparison_inputs


class TestParagraph:
    def test_it_says_how_pairs_were_judged_and_what_came_out(self):
        text = comparison_paragraph(comparisons(**TWINS, v1b_1c="undecided"), DETAILS)
        assert "trained with 3 seeds and scored on 10,000 test images. The 95 % intervals cover test images and" in text
        assert "predictions of seed 1, with Holm's correction over all 28 pairs, gives p < 0.05" in text
        assert "within ±0.2 points" in text
        assert "23 of 28 pairs differ: 1a and 1b, 1c, 1d, 2b, 2c, 2d; 1b and 1d, 2a, 2c, 2d; 1c and 1d, 2a, " in text
        assert "4 pairs are alike: 1a and 2a; 1b and 2b; 1c and 2c; 1d and 2d." in text
        assert "1 pair is undecided: 1b and 1c." in text
        assert "are expected not to differ. No twins do. Alike are 1a and 2a (−0.04 points, interval −0.14 to" in text

    def test_twins_that_differ_are_told(self):
        text = comparison_paragraph(comparisons(**TWINS | {"v1b_2b": "different", "v1d_2d": "undecided"}), DETAILS)
        assert "not to differ. 1b and 2b do: +1.00 points, interval +0.90 to +1.10. Alike are" in text
        assert "No twins do" not in text
        assert text.endswith("The data cannot decide about 1d and 2d (−0.04 points, interval −0.14 to +0.06).")

    def test_nothing_alike_and_one_seed(self):
        text = comparison_paragraph(comparisons(), DETAILS.model_copy(update={"seeds": (7,)}))
        assert "with 1 seed and" in text
        assert "cover test images, not seeds, since there is one only." in text
        assert "No pairs are alike. No pairs are undecided." in text


class TestFigures:
    @pytest.fixture(autouse=True)
    def style(self):
        with figure_style():
            yield

    def test_every_pair_has_a_row_with_its_interval_and_verdict(self):
        axes = draw_differences(comparisons(**TWINS), RULE).axes[0]
        labels = axes.get_yticklabels()
        assert [label.get_text() for label in labels][:4] == ["1a − 1b", "1a − 1c", "1a − 1d", "1a − 2a"]
        assert [label.get_text() for label in labels if label.get_fontweight() == "bold"] == [
            f"1{letter} − 2{letter}" for letter in "abcd"
        ]
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["different: 24", "undecided: 0", "alike: 4"]
        ends = [tuple(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 2]
        assert ends[1:] == [(0.9, 1.1)] * 3 + [(-0.14, pytest.approx(0.06))] + ends[5:]  # the first line is at zero
        markers = {line.get_marker() for line in axes.get_lines() if len(line.get_xdata()) == 1}
        assert markers == {"s", "o"}  # told apart without colour

    def test_every_model_has_a_row(self):
        axes = draw_intervals(INTERVALS, DETAILS).axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["1a TensorFlow", "1b TensorFlow"]
        assert axes.get_xlabel() == "test error (%), mean of 3 seeds, 95 % interval"
        assert axes.get_xlim()[0] == 0

    def test_empty_bins_are_left_out_and_small_ones_hollow(self):
        figure = draw_reliability(DETAILS)
        assert [axes.get_title(loc="left") for axes in figure.axes] == list(MODELS)
        _, line = figure.axes[0].get_lines()
        (dots,) = figure.axes[0].collections
        assert line.get_xydata().tolist() == dots.get_offsets().tolist() == [[0.6, 0.4], [0.9, 0.8]]
        assert dots.get_facecolor().tolist() == [list(mpl.colors.to_rgba(colour)) for colour in ("white", "#D55E00")]

    @pytest.mark.parametrize("count", [1, 1000])
    def test_panels_have_room_whether_all_bins_are_full_or_none(self, count):
        models = {
            name: model.model_copy(
                update={"reliability": tuple(place.model_copy(update={"count": count}) for place in model.reliability)}
            )
            for name, model in DETAILS.models.items()
        }
        figure = draw_reliability(DETAILS.model_copy(update={"models": models}))
        figure.draw_without_rendering()
        assert min(axes.get_position().width for axes in figure.axes) > 0.15

    def test_no_text_is_smaller_than_eight_points(self):
        figures = [draw_intervals(INTERVALS, DETAILS), draw_differences(comparisons(), RULE), draw_reliability(DETAILS)]
        texts = [text for figure in figures for text in figure.findobj(mpl.text.Text) if text.get_text().strip()]
        assert min(text.get_fontsize() for text in texts) == 8


def test_three_figures_are_written_as_svg_and_png_the_same_each_time(tmp_path):
    write_comparison_inputs(tmp_path)
    contents = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_comparison_figures(tmp_path, tmp_path / name)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    names = [f"{name}.{suffix}" for name in ("differences", "intervals", "reliability") for suffix in ("png", "svg")]
    assert sorted(contents[0]) == names
    assert contents[0] == contents[1]


def test_a_record_that_lacks_a_key_is_one_line(tmp_path):
    write_comparison_inputs(tmp_path)
    record = json.loads(DETAILS.model_dump_json())
    del record["models"]["1b"]["optimism"]
    (tmp_path / "details.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"details\.json: models\.1b\.optimism: missing; run `dvc repro`"):
        write_comparison_figures(tmp_path, tmp_path)
