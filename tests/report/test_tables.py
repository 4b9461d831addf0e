import json
import re

import pytest

from mnist_core.errors import UserError
from mnist_core.models import MODELS
from mnist_core.report import tables
from tests.records import SCORES, model_scores

REFERENCE = tables.load_reference("mnist")

# Made-up numbers, one digit of each telling the model.
RESULTS = {
    model: {
        "train_error": 6 + place / 10,
        "train_error_std": 0.0123,
        "test_error": 7 + place / 10,
        "test_error_std": 0.056,
    }
    for place, model in enumerate(("1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d"), start=1)
}


def test_reference_holds_the_published_error_table():
    assert [REFERENCE[model]["train_error"] for model in MODELS] == [
        6.973, 0.169, 0.0, 0.707, 6.604, 4.887, 3.933, None,
    ]  # fmt: skip
    assert [REFERENCE[model]["test_error"] for model in MODELS] == [7.62, 2.14, 1.89, 1.4, 7.3, 6.15, 5.55, None]
    assert [REFERENCE[model]["epochs"] for model in MODELS] == [85, 83, 86, 53, 107, 281, 175, None]
    assert [REFERENCE[model]["learning_rate"] for model in MODELS] == [
        0.1, 0.1, 0.1, 0.1, 0.001, 0.0001, 0.0001, None,
    ]  # fmt: skip


def test_csv_holds_every_digit_and_a_dash_where_the_report_has_none():
    assert tables.error_table_frame(RESULTS, REFERENCE).to_csv(index=False, lineterminator="\n") == (
        "percent,P1:a,P1:b,P1:c,P1:d,P2:b,P2:c,P2:d,P2:e\n"
        "train_error_mean,6.1,6.2,6.3,6.4,6.5,6.6,6.7,6.8\n"
        "train_error_std,0.0123,0.0123,0.0123,0.0123,0.0123,0.0123,0.0123,0.0123\n"
        "train_error_report,6.973,0.169,0.0,0.707,6.604,4.887,3.933,-\n"
        "test_error_mean,7.1,7.2,7.3,7.4,7.5,7.6,7.7,7.8\n"
        "test_error_std,0.056,0.056,0.056,0.056,0.056,0.056,0.056,0.056\n"
        "test_error_report,7.62,2.14,1.89,1.4,7.3,6.15,5.55,-\n"
    )


def test_markdown_puts_ours_above_the_report():
    ours_train = " | ".join(f"6.{n}00 ± 0.012" for n in range(1, 9))
    ours_test = " | ".join(f"7.{n}0 ± 0.06" for n in range(1, 9))
    assert tables.error_table_markdown(RESULTS, REFERENCE).splitlines() == [
        "| Error rate (%) | P1:a | P1:b | P1:c | P1:d | P2:b | P2:c | P2:d | P2:e |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| Model | 1a | 1b | 1c | 1d | 2a | 2b | 2c | 2d |",
        f"| Training error, ours | {ours_train} |",
        "| Training error, 2017 report | 6.973 | 0.169 | 0.000 | 0.707 | 6.604 | 4.887 | 3.933 | - |",
        f"| Test error, ours | {ours_test} |",
        "| Test error, 2017 report | 7.62 | 2.14 | 1.89 | 1.40 | 7.30 | 6.15 | 5.55 | - |",
    ]


def test_latex_is_a_booktabs_tabular():
    assert tables.error_table_latex(RESULTS, REFERENCE) == (
        r"""% Needs \usepackage{booktabs}.
\begin{tabular}{@{}l*{8}{r}@{}}
\toprule
Error rate (\%) & P1:a & P1:b & P1:c & P1:d & P2:b & P2:c & P2:d & P2:e \\
Model & 1a & 1b & 1c & 1d & 2a & 2b & 2c & 2d \\
\midrule
Training, mean & 6.100 & 6.200 & 6.300 & 6.400 & 6.500 & 6.600 & 6.700 & 6.800 \\
Training, standard deviation & 0.012 & 0.012 & 0.012 & 0.012 & 0.012 & 0.012 & 0.012 & 0.012 \\
Training, 2017 report & 6.973 & 0.169 & 0.000 & 0.707 & 6.604 & 4.887 & 3.933 & -- \\
\midrule
Test, mean & 7.10 & 7.20 & 7.30 & 7.40 & 7.50 & 7.60 & 7.70 & 7.80 \\
Test, standard deviation & 0.06 & 0.06 & 0.06 & 0.06 & 0.06 & 0.06 & 0.06 & 0.06 \\
Test, 2017 report & 7.62 & 2.14 & 1.89 & 1.40 & 7.30 & 6.15 & 5.55 & -- \\
\bottomrule
\end{tabular}
"""
    )


def test_latex_escapes():
    assert tables.escape_latex(r"5 % of a_b & {c} \d ~ ^") == (
        r"5 \% of a\_b \& \{c\} \textbackslash{}d \textasciitilde{} \textasciicircum{}"
    )


def test_another_data_set_than_mnist_has_no_published_values():
    assert tables.load_reference("fashion_mnist") is None


def test_without_published_values_their_rows_are_left_out():
    assert tables.error_table_frame(RESULTS, None)["percent"].to_list() == [
        "train_error_mean", "train_error_std", "test_error_mean", "test_error_std",
    ]  # fmt: skip
    markdown = tables.error_table_markdown(RESULTS, None).splitlines()
    assert [line.split(" | ")[0] for line in markdown[3:]] == ["| Training error, ours", "| Test error, ours"]
    latex = tables.error_table_latex(RESULTS, None)
    assert "report" not in latex
    assert latex.count(" & 6.100 & ") == latex.count(" & 7.10 & ") == 1


def write_metrics(directory):
    """One file for each model; test errors 2.0 for 1a, 3.0 for 1b and so on."""
    for place, model in enumerate(MODELS):
        scores = {"train_error": 1.0, "train_error_std": 0.5, "test_error": 2.0 + place, "test_error_std": 0.25}
        pair = {"learning_rate": 0.1, "epochs": 2, "validation_error": 3.0}
        (directory / f"{model}.json").write_text(json.dumps(model_scores(model, "ab", **scores, **pair)))


def test_the_summary_gathers_the_metrics_of_every_model(tmp_path):
    write_metrics(tmp_path)
    summary = tables.read_all_scores(tmp_path, "ab")
    assert list(summary) == ["1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d"]
    assert [summary[model]["test_error"] for model in summary] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert summary["2d"] == SCORES | {
        "learning_rate": 0.1,
        "epochs": 2,
        "validation_error": 3.0,
        "train_error": 1.0,
        "train_error_std": 0.5,
        "test_error": 9.0,
        "test_error_std": 0.25,
    }


def test_a_metric_that_is_no_number_is_one_line(tmp_path):
    write_metrics(tmp_path)
    path = tmp_path / "1c.json"
    path.write_text(path.read_text().replace('"test_error": 4.0', '"test_error": NaN'))
    message = f"{path}: test_error: Input should be a finite number (found nan); run `dvc repro` to write it again"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        tables.read_all_scores(tmp_path, "ab")


def test_test_errors_of_all_models_stand_in_one_table(tmp_path):
    write_metrics(tmp_path)
    for place, model in enumerate(MODELS):
        (tmp_path / f"{model}.csv").write_text(
            "epoch,train_error,train_error_std,test_error,test_error_std\n"
            f"1,4.0,0.1,{5 + place}.5,0.1\n2,1.0,0.5,{2 + place}.0,0.25\n"
        )
    frame = tables.gather_test_errors(tmp_path, tables.read_all_scores(tmp_path, "ab"), 10_000)
    assert frame.columns.to_list() == ["model", "epoch", "test_error"]
    assert len(frame) == 16
    assert frame.iloc[:3].to_numpy().tolist() == [["1a", 1, 5.5], ["1a", 2, 2.0], ["1b", 1, 6.5]]
    assert frame.iloc[-1].to_list() == ["2d", 2, 9.0]
