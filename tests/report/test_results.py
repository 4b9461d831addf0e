"""Tables of another model, or cut short, are refused: by the figures and by the page, which read them alike."""

import json
import shutil

import pandas as pd
import pytest

from mnist_core.candidates import MAX_TRIAL_EPOCHS, Candidate, SearchResult, Trial, read_search
from mnist_core.errors import UserError
from mnist_core.files.reading import read_csv
from mnist_core.files.writing import write_csv, write_json
from mnist_core.models import ALL_MODELS, MODELS, tuned_pairs
from mnist_core.params import load_params
from mnist_core.records import TEST_ERROR_COLUMNS, read_summary
from mnist_core.report.page import build_report
from mnist_core.report.results import (
    read_comparisons,
    read_curves,
    read_first_confusion,
    read_intervals,
    read_parity,
    read_test_errors,
    read_trials,
)
from mnist_core.report.tuned_section import tuned_models
from tests.projects import ROOT
from tests.records import MADE_WITH
from tests.report.report_inputs import NUM_TEST, report_sources, write_report_inputs
from tests.report.tuned_inputs import MODEL, add_tuned_model

SUMMARY = read_summary(ROOT / "metrics/summary.json")
METRICS, PLOTS = ROOT / "metrics", ROOT / "plots"


@pytest.fixture
def root(tmp_path):
    write_report_inputs(tmp_path)
    add_tuned_model(tmp_path)
    return tmp_path


def replace(path, old, new=""):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def trials_of(root, model):
    return read_trials(root / f"plots/search/{model}.csv", read_search(root / f"data/search/{model}.json", model))


@pytest.mark.parametrize("model", ["1a", "2c", MODEL])
def test_a_search_has_its_own_trials(root, model):
    search = read_search(root / f"data/search/{model}.json", model)
    assert len(trials_of(root, model)) == sum(trial.epochs for trial in search.trials)


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        ("1a", "\n0.1,1,", "\n0.3,1,"),  # another rate
        ("1a", "\n0.1,2,", "\n0.1,3,"),  # another epoch
        ("1a", "\n0.01,60,8.61", "\n0.01,60,8.6"),  # another error
        ("1a", "\n0.01,60,8.61", ""),  # a row less
        ("2c", "\n1.0,3,", "\n0.1,3,"),  # a trial that failed
        (MODEL, "\n1,0.05,1,", "\n2,0.05,1,"),  # another trial
        (MODEL, "\n3,0.2,2,2.6,", "\n3,0.2,2,2.7,"),
        (MODEL, "6,1.8,1", "6,1.8,0"),  # no winner
        (MODEL, "6,1.8,0", "6,1.8,1"),  # two
    ],
)
def test_other_trials_are_refused(root, model, old, new):
    replace(root / f"plots/search/{model}.csv", old, new)
    with pytest.raises(UserError, match=rf"{model}\.csv: its trials, epochs or errors are not those of the search of"):
        trials_of(root, model)


def test_trials_of_another_model_or_of_a_record_that_counts_billions_are_refused(root):
    shutil.copy(root / "plots/search/1b.csv", root / "plots/search/1a.csv")
    with pytest.raises(UserError, match=r"1a\.csv: its trials, epochs or errors are not those of the search of 1a"):
        trials_of(root, "1a")
    path = root / "data/search/1b.json"
    path.write_text(path.read_text().replace('"epochs": 100', f'"epochs": {10**30}'))
    with pytest.raises(UserError, match=r"1b\.csv: its trials, epochs or errors"):
        trials_of(root, "1b")


def test_the_committed_tables_fit_the_summary():
    for model in ALL_MODELS:
        read_curves(PLOTS / f"curves/{model}.csv", SUMMARY[model], 10_000)
    assert set(read_test_errors(PLOTS / "test_errors.csv", SUMMARY, 10_000)["model"]) == set(MODELS)
    assert len(read_intervals(METRICS / "intervals.csv")) == 8
    assert len(read_comparisons(METRICS / "comparisons.csv")) == 28
    assert len(read_comparisons(METRICS / "tuned_comparisons.csv", tuned_pairs(ALL_MODELS))) == 12
    assert len(read_parity(PLOTS / "parity.csv")) > 8


ALIKE = {"1c", "2c"}  # twins, trained for as long, whose errors are nearer to each other than near ties may bring them


@pytest.mark.parametrize("model", MODELS)
def test_curves_of_another_model_are_refused(model):
    for other in ALL_MODELS:
        if model != other and {model, other} != ALIKE:
            with pytest.raises(UserError, match=rf"{other}\.csv: (its epochs are not|test_error ends at)"):
                read_curves(PLOTS / f"curves/{other}.csv", SUMMARY[model], 10_000)


def test_curves_end_at_the_scores_but_for_near_ties(root):
    path, summary = root / "plots/curves/2b.csv", read_summary(root / "metrics/summary.json")
    replace(path, "\n40,0.99,0.0123,1.98,", "\n40,0.99,0.0123,2.0,")  # two of 10,000 images
    read_curves(path, summary["2b"], 10_000)
    with pytest.raises(UserError, match=r"2b\.csv: test_error ends at 2, and the saved models have 1\.98; run `dvc"):
        read_curves(path, summary["2b"], 13_000)


@pytest.mark.parametrize(("error", "fits"), [("20.0", True), ("20.5", True), ("20.7", False), ("7.4", False)])
def test_counts_are_those_of_the_first_seeds_network(root, error, fits):
    path, history = root / "plots/confusion/2b.csv", root / "data/models/2b/seed_1.csv"
    history.write_text(f"epoch,test_error\n1,{error}\n")
    if fits:
        assert read_first_confusion(path, history, NUM_TEST).sum() == NUM_TEST
    else:
        with pytest.raises(UserError, match=rf"2b\.csv: 80 errors on 400 images, and .*seed_1\.csv ends at {error:.4}"):
            read_first_confusion(path, history, NUM_TEST)
    with pytest.raises(UserError, match=r"2b\.csv: 80 errors on 400 images, and .* of 401; run"):
        read_first_confusion(path, history, NUM_TEST + 1)


@pytest.mark.parametrize(
    ("name", "reader", "what"),
    [("intervals", read_intervals, "8 models"), ("comparisons", read_comparisons, "28 pairs of models")],
)
def test_comparisons_have_every_model_and_every_pair(tmp_path, name, reader, what):
    path = tmp_path / f"{name}.csv"
    lines = (METRICS / path.name).read_text().splitlines(keepends=True)
    for kept in (lines[:2], lines[:-1], [*lines, lines[1]], [lines[0], *lines[:0:-1]]):
        path.write_text("".join(kept))
        with pytest.raises(UserError, match=rf"{name}\.csv: not a row for each of the {what}, in their order; run"):
            reader(path)


def build(root):
    sources, params = report_sources(root), load_params(root / "params.yaml")
    tuned = tuned_models(sources, params, read_summary(sources.summary))
    return build_report(params, sources, tuned, page_directory=root / "plots")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("plots/curves/1a.csv", "plots/curves/1b.csv"),
        ("plots/confusion/1a.csv", None),
        (f"plots/search/{MODEL}.csv", None),
        ("metrics/comparisons.csv", "metrics/tuned_comparisons.csv"),
        ("metrics/tuned_comparisons.csv", "metrics/comparisons.csv"),
    ],
)
def test_the_page_refuses_them_too(root, name, other):
    if other:
        shutil.copy(root / other, root / name)
    elif "confusion" in name:
        replace(root / name, "0,0,", "0,0,9")
    else:
        replace(root / name, "\n0,0.02,1,", "\n0,0.03,1,")
    with pytest.raises(UserError, match=rf"{name}: .*; run `dvc repro`"):
        build(root)


def test_details_without_seeds_or_images_are_refused(root):
    path = root / "metrics/details.json"
    for key, value in (("seeds", []), ("num_images", 0)):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {key: value}))
        with pytest.raises(UserError, match=rf"details\.json: {key}: "):
            build(root)
        path.write_text(json.dumps(content))


def test_the_longest_searches_that_params_allow_can_be_read(tmp_path):
    """Numbers as long as they can be; of all searches together stand the curves of the chosen epochs in one table."""
    rate, error = 0.000123456789, 98.7654
    epochs = range(1, MAX_TRIAL_EPOCHS + 1)
    candidate = Candidate(learning_rate=rate, epochs=1, validation_error=error)
    result = SearchResult(
        candidates=tuple(candidate.model_copy(update={"epochs": epoch}) for epoch in epochs),
        trials=(
            Trial(
                learning_rate=rate,
                failure=None,
                epochs=MAX_TRIAL_EPOCHS,
                best_epoch=1,
                best_validation_error=error,
            ),
        ),
        curves=pd.DataFrame({"learning_rate": rate, "epoch": epochs, "validation_error": error, "best": 0}),
    )
    write_json(tmp_path / "1d.json", {"model": "1d"} | MADE_WITH | result.to_json())
    write_csv(result.curves, tmp_path / "1d.csv")
    assert len(read_trials(tmp_path / "1d.csv", read_search(tmp_path / "1d.json", "1d"))) == MAX_TRIAL_EPOCHS
    curves = [pd.DataFrame({"model": model, "epoch": epochs, "test_error": error}) for model in ALL_MODELS]
    write_csv(pd.concat(curves), tmp_path / "test_errors.csv")
    assert len(read_csv(tmp_path / "test_errors.csv", TEST_ERROR_COLUMNS)) == len(ALL_MODELS) * MAX_TRIAL_EPOCHS
