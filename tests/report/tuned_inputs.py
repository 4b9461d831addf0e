"""A made-up search of the tuned protocol, in the formats of the real pipeline."""

import itertools
import json
import shutil

import pandas as pd

from tests.records import MADE_WITH

MODEL = "2b_tuned"
EPOCHS = 6  # of which all trials but the first three train 2
RATES, SHIFTS = (0.02, 0.05, 0.1, 0.2), (0, 1)


def tuned_search(model=MODEL):
    """Return the record and the curves: 8 trials, the errors of which depend on the shift alone; one more failed."""
    trials, rows = [], []
    for number, (shift, rate) in enumerate(itertools.product(reversed(SHIFTS), RATES)):
        epochs = EPOCHS if number < 3 else 2
        errors = [(3.0 if shift else 5.0) - 0.2 * epoch for epoch in range(1, epochs + 1)]
        learned = {"learning_rate": rate, "epochs": EPOCHS, "batch_size": 50, "momentum": 0.9, "schedule": "cosine"}
        ended = {"best_epoch": epochs, "best_validation_error": round(errors[-1], 4)}
        trials.append(
            {"learning_rate": rate, "failure": None, "epochs": epochs, **ended}
            | {"hyperparameters": learned | {"shift": shift}}
        )
        rows += [(number, rate, epoch, round(error, 4), 0) for epoch, error in enumerate(errors, 1)]
    failed = {"learning_rate": 0.3, "failure": "dead", "epochs": 1, "best_epoch": None, "best_validation_error": None}
    trials.append(failed | {"hyperparameters": trials[0]["hyperparameters"] | {"learning_rate": 0.3}})
    rows.append((8, 0.3, 1, 90.0, 0))
    curves = pd.DataFrame(rows, columns=["trial", "learning_rate", "epoch", "validation_error", "best"])
    curves.loc[(curves["trial"] == 1) & (curves["epoch"] == EPOCHS), "best"] = 1
    names = ("trial", "search_error", "validation_errors", "validation_error", "difference")
    finalists = [
        dict(zip(names, values, strict=True))
        for values in (
            (0, 1.8, [2.2, 2.4], 2.3, 0.5),
            (1, 1.8, [1.9, 2.0], 1.95, 0.15),
            (2, 1.8, [1.9, None], None, None),
        )
    ]
    candidates = [
        trials[finalist["trial"]]["hyperparameters"] | {"validation_error": finalist["validation_error"]}
        for finalist in (finalists[1], finalists[0])
    ]
    record = {"model": model, **MADE_WITH, **candidates[0], "trials": trials, "probes": []}
    return record | {"candidates": candidates, "finalists": finalists}, curves


def add_tuned_model(root, model=MODEL):
    """Write what the stages leave of one tuned model beside the results of `write_report_inputs`."""
    record, curves = tuned_search(model)
    (root / f"data/search/{model}.json").write_text(json.dumps(record))
    curves.to_csv(root / f"plots/search/{model}.csv", index=False)
    of_report = model.removesuffix("_tuned")
    shutil.copy(root / f"plots/confusion/{of_report}.csv", root / f"plots/confusion/{model}.csv")
    rows = [f"{epoch},{0.125 * EPOCHS / epoch},0.01,{1.3 * EPOCHS / epoch},0.05\n" for epoch in range(1, EPOCHS + 1)]
    header = "epoch,train_error,train_error_std,test_error,test_error_std\n"
    (root / f"plots/curves/{model}.csv").write_text(header + "".join(rows))
    (root / f"data/models/{model}").mkdir()
    choice = record["candidates"][0] | {"model": model, "failures": []}
    (root / f"data/models/{model}/hyperparameters.json").write_text(json.dumps(choice))
    summary = json.loads((root / "metrics/summary.json").read_text())
    summary[model] = summary[of_report] | record["candidates"][0] | {"test_error": 1.3, "train_error": 0.125}
    (root / "metrics/summary.json").write_text(json.dumps(summary))
    (root / "metrics/tuned_comparisons.csv").write_text(
        "model,other,difference,low,high,only_model_wrong,only_other_wrong,p_value,p_holm,verdict\n"
        f"{model},{of_report},-0.68,-0.8,-0.5,20,90,0.001,0.001,different\n"
    )
    for kind in ("search", "best", "hyperparameters", "curves", "confusion"):
        shutil.copy(root / f"plots/figures/curves_{of_report}.svg", root / f"plots/figures/{kind}_{model}.svg")
