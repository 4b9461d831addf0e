"""A model of the tuned protocol, from its search to its scores, in a small project."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from mnist_core.candidates import read_search
from mnist_core.networks.model_file import load_model
from stages import evaluate, train, tuning


def run(command, *arguments):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("model", ["1a_tuned", "2b_tuned"])
def test_search_training_and_evaluation(small_project, shared_cluster, model):
    output = run(tuning.main, "--model", model)
    assert output.startswith(f"{model}: learning rate ")
    search = read_search(small_project / f"data/search/{model}.json", model)
    assert len(search.trials) == 3
    assert [len(finalist.validation_errors) for finalist in search.finalists] == [1] * 3
    curves = pd.read_csv(small_project / f"plots/search/{model}.csv")
    assert curves.columns.tolist() == ["trial", "learning_rate", "epoch", "validation_error", "best"]
    assert curves["best"].sum() == 1

    run(train.main, "--model", model)
    best = search.candidates[0]
    of_seed = small_project / f"data/models/{model}/seed_1.npz"
    known = best.hyperparameters.model_dump()
    assert load_model(of_seed, {"model": model, **known})

    run(evaluate.main, "--model", model)
    scores = json.loads((small_project / f"data/scores/{model}.json").read_text())
    assert scores["learning_rate"] == best.learning_rate
    assert scores["batch_size"] == best.batch_size
    assert 0 <= scores["test_error"] <= 100


def test_a_search_again_gives_the_same_bytes(small_project, shared_cluster):
    written = []
    for _ in range(2):
        run(tuning.main, "--model", "2b_tuned")
        written.append([(small_project / name).read_bytes() for name in FILES])
    assert written[0] == written[1]


FILES = ("data/search/2b_tuned.json", "plots/search/2b_tuned.csv")


def test_a_model_of_the_reports_protocol_is_refused():
    result = CliRunner().invoke(tuning.main, ["--model", "2b"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: 2b: not a model of the tuned protocol; use one of 1a_tuned, ")
