"""What is shown of the tuned protocol: the page's section, metrics/tuned.md, the figures and the study for Optuna."""

import json
from dataclasses import replace

import numpy as np
import pytest
from optuna.trial import TrialState

from mnist_core.candidates import Search
from mnist_core.errors import UserError
from mnist_core.params import load_params
from mnist_core.records import read_summary
from mnist_core.report.page import build_report
from mnist_core.report.plotting import figure_style
from mnist_core.report.study import first_rung, importances, study_trials
from mnist_core.report.tuned_section import tuned_markdown, tuned_models
from mnist_core.report.tuning_figure import best_so_far, draw_hyperparameters, draw_trials, write_tuned_figures
from tests.report.report_inputs import report_sources, write_report_inputs
from tests.report.tuned_inputs import MODEL, add_tuned_model, tuned_search


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tuned")
    write_report_inputs(root)
    add_tuned_model(root)
    return root


@pytest.fixture(scope="module")
def models(root):
    sources, params = report_sources(root), load_params(root / "params.yaml")
    return tuned_models(sources, params, read_summary(sources.summary))


def searched():
    record, curves = tuned_search()
    return Search(**record), curves


def test_the_choice_stands_beside_the_search_and_the_reports_protocol(root, models):
    (model,) = models
    assert (model.name, model.finalist.trial, model.batch_size) == ("2b", 1, 50)
    # 3 trials of 6 epochs, 5 of 2, one of 1, and 3 finalists with 2 seeds.
    assert model.search_epochs == 29 + 6 * 6


def test_the_markdown_has_the_numbers_of_the_files(models):
    text = tuned_markdown(models)
    assert "| 2b | 0.05 | 50 | 0.9 | 0 | cosine | 1 | 6 |" in text
    assert "| 2b | 1.80 | 1.95 | +0.15 | 0.125 | 1.30 ± 0.05 | 1.98 |" in text
    assert (
        tuned_markdown([]) == "No model of the tuned protocol has these images, layers and seeds: run `make tuned`.\n"
    )


def test_the_error_of_a_trial_that_was_left_out_is_of_another_epoch(models):
    """Trial 1 trained all 6 epochs of the search, trial 3 two of them."""
    (model,) = models
    assert (model.search_error, model.difference) == ("1.80", "+0.15")
    left_out = replace(model, finalist=model.finalist.model_copy(update={"trial": 3}))
    assert (left_out.search_error, left_out.difference) == ("1.80 (epoch 2)", "-")
    assert "| 2b | 1.80 (epoch 2) | 1.95 | - | 0.125 |" in tuned_markdown([left_out])


def test_the_page_has_a_section_if_there_is_something_to_show(root, models):
    params, sources = load_params(root / "params.yaml"), report_sources(root)
    page = build_report(params, sources, models, page_directory=root / "plots")
    assert 'id="tuned"' in page
    assert '<th scope="row">2b tuned – 2b</th><td>-0.68</td>' in page
    assert 'id="tuned"' not in build_report(params, sources, page_directory=root / "plots")


def test_a_model_that_no_finalist_is_gets_one_line(tmp_path):
    write_report_inputs(tmp_path)
    add_tuned_model(tmp_path)
    path = tmp_path / f"data/search/{MODEL}.json"
    search = json.loads(path.read_text())
    path.write_text(json.dumps(search | {"finalists": search["finalists"][:1]}))
    sources, params = report_sources(tmp_path), load_params(tmp_path / "params.yaml")
    with pytest.raises(UserError, match=r"2b_tuned\.json: candidates are not what trials and finalists found; run"):
        tuned_models(sources, params, read_summary(sources.summary))


def test_every_tuned_model_has_its_figures(root, tmp_path):
    write_tuned_figures(root / "plots", root / "metrics", root / "data/search", tmp_path)
    kinds = ("curves", "search", "best", "hyperparameters")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{kind}_{MODEL}.{suffix}" for kind in kinds for suffix in ("svg", "png")
    )
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_tuned_figures(root / "plots", root / "metrics", root / "data/search", tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_search_of_one_epoch_is_drawn_without_a_warning():
    search, curves = searched()
    trials = [trial.model_copy(update={"epochs": 1}) for trial in search.trials]
    figure = draw_trials(curves[curves["epoch"] == 1], search.model_copy(update={"trials": trials}))
    assert figure.axes[0].get_xlim() == (1, 2)


def test_what_the_errors_hang_on_is_what_matters():
    search, curves = searched()
    assert first_rung(search) == 2
    found = importances(search, curves)
    assert next(iter(found)) == "shift"
    assert set(found) == {"shift", "learning_rate"}  # nothing else varies
    assert sum(one.share for one in found.values()) == pytest.approx(1, abs=1e-3)
    assert found["shift"].chance < 0.1  # 4 of 8 trials are better: 2 deals in 70 give shift as much
    assert importances(search, curves) == found  # the deals are the same ones


def with_hyperparameters(search, changes):
    trials = [
        trial.model_copy(
            update={"hyperparameters": trial.hyperparameters.model_copy(update=change)}
            | {name: value for name, value in change.items() if name == "learning_rate"}
        )
        for trial, change in zip(search.trials, changes, strict=True)
    ]
    return search.model_copy(update={"trials": trials})


def test_where_one_hyperparameter_varies_or_no_half_is_better_nothing_is_said():
    search, curves = searched()
    assert importances(search, curves.assign(validation_error=4.0)) == {}
    assert importances(with_hyperparameters(search, [{"shift": 1}] * len(search.trials)), curves) == {}


@pytest.mark.parametrize(("low", "high"), [(0.0001, 0.9), (0.009, 0.5), (0.033, 0.06), (0.1, 0.1)])
def test_every_range_of_rates_has_two_ticks_at_least_and_six_at_most(low, high):
    search, curves = searched()
    rates = np.geomspace(low, high, len(search.trials))
    with figure_style():
        moved = with_hyperparameters(search, [{"learning_rate": float(rate)} for rate in rates])
        axes = draw_hyperparameters(curves, moved).axes[0]
    left, right = axes.get_xlim()
    assert 2 <= sum(left <= tick <= right for tick in axes.xaxis.get_majorticklocs()) <= 6


def test_errors_that_hang_on_nothing_give_shares_that_chance_gives_too():
    search, curves = searched()
    errors = curves.copy()
    rung = errors["epoch"] == first_rung(search)
    errors.loc[rung, "validation_error"] = [3.0, 4.0, 4.0, 3.0, 4.0, 3.0, 3.0, 4.0]  # neither of rate nor of shift
    assert all(one.chance > 0.2 for one in importances(search, errors).values())


def test_a_study_has_every_trial_as_it_ended():
    trials = study_trials(*searched())
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3 + [TrialState.PRUNED] * 5 + [TrialState.FAIL]
    assert trials[0].value == 1.8
    assert trials[3].intermediate_values == {1: 2.8, 2: 2.6}
    assert trials[0].params["shift"] == 1


def test_the_best_so_far_never_rises():
    _, curves = searched()
    best = best_so_far(curves)
    assert best["trained"].tolist() == list(range(1, len(curves) + 1))
    assert best["validation_error"].tolist()[:7] == [2.8, 2.6, 2.4, 2.2, 2.0, 1.8, 1.8]
    assert best["validation_error"].min() == best["validation_error"].iloc[-1]
