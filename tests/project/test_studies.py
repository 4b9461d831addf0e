"""The searches of the tuned protocol as studies for optuna-dashboard."""

import json

import optuna
from click.testing import CliRunner

from tests.report.tuned_inputs import MODEL, tuned_search
from tools import studies


def test_a_study_for_each_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(studies.main)
    assert result.output == "Error: data/search: no search of the tuned protocol; run `make tuned` first\n"
    (tmp_path / "data/search").mkdir(parents=True)
    (tmp_path / "plots/search").mkdir(parents=True)
    record, curves = tuned_search()
    (tmp_path / f"data/search/{MODEL}.json").write_text(json.dumps(record))
    curves.to_csv(tmp_path / f"plots/search/{MODEL}.csv", index=False)
    for _ in range(2):  # the second time in place of the first
        assert CliRunner().invoke(studies.main, catch_exceptions=False).output == f"dvc_plots/studies.db: {MODEL}\n"
    storage = optuna.storages.RDBStorage("sqlite:///dvc_plots/studies.db")
    study = optuna.load_study(study_name=MODEL, storage=storage)
    assert len(study.trials) == len(record["trials"])
    assert study.best_value == 1.8
    storage.engine.dispose()
