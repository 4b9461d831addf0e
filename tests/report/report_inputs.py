"""Made-up results of all eight models, in the formats of the real pipeline, for the tests of the report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from mnist_core.data.dataset import load_manifest, save_dataset
from mnist_core.models import MODELS
from mnist_core.networks.architectures import parameter_shapes
from mnist_core.networks.model_file import Provenance, save_model
from mnist_core.params import load_params
from mnist_core.report.sections import ReportSources
from tests.records import MADE_WITH, write_predictions
from tests.report.comparison_inputs import DETAILS, write_comparison_inputs

ROOT = Path(__file__).parents[2]
EPOCHS = {"a": 60, "b": 40, "c": 12, "d": 25}
TEST_ERRORS = {"1a": 7.51, "1b": 2.02, "1c": 1.83, "1d": 1.08, "2a": 7.4, "2b": 1.98, "2c": 1.71, "2d": 1.04}
NUM_TEST = 400
PASSED_OVER = "2c"  # the model that died in final training at the best learning rate of the search
SHORTENED = "2d"  # the model whose loss spiked there before the best number of epochs

# What matplotlib writes: prolog, metadata, a style sheet, identifiers that are the same in every figure.
FIGURE = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="320pt" height="160pt" viewBox="0 0 320 160"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round; stroke-linecap: butt}</style></defs>
 <g id="figure_1">
  <defs><path id="m1" d="M 0 0 L 0 3"/></defs>
  <g clip-path="url(#p1)"><path id="line" style="fill: none; stroke: #0072b2" d="M 9 9 L 300 150"/></g>
  <use xlink:href="#m1" x="20" y="150"/>
 </g>
 <defs><clipPath id="p1"><rect x="0" y="0" width="320" height="160"/></clipPath></defs>
</svg>
"""


def write_report_inputs(root: Path) -> None:
    """Write every file that the report reads below `root`, and a copy of params.yaml."""
    rng = np.random.default_rng(5)
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    params = load_params(root / "params.yaml")
    for directory in (
        "data/search",
        "data/models",
        "data/predictions",
        "data/prepared",
        "metrics",
        "plots/curves",
        "plots/confusion",
        "plots/search",
        "plots/figures",
        "docs",
    ):
        (root / directory).mkdir(parents=True)
    labels = (np.arange(NUM_TEST) % 10).astype(np.uint8)
    images = rng.integers(0, 256, (NUM_TEST, 28, 28)).astype(np.uint8)
    some = 255 - images  # the report shows no other images than those of the test split
    splits = {"train": (some[:10], labels[:10]), "validation": (some[10:20], labels[10:20]), "test": (images, labels)}
    save_dataset(root / "data/prepared", splits)
    data_sha256 = load_manifest(root / "data/prepared").sha256

    summary = {}
    for model, (framework, letter) in MODELS.items():
        error, epochs = TEST_ERRORS[model], EPOCHS[letter]
        architecture = params.architecture(model)
        weights = {
            name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in parameter_shapes(architecture).items()
        }
        provenance = Provenance(
            model=model, seed=1, learning_rate=0.1, epochs=epochs, batch_size=20, data_sha256=data_sha256
        )
        save_model(root / f"data/models/{model}/seed_1.npz", architecture, weights, provenance)
        summary[model] = {
            "train_error": error / 2,
            "train_error_std": 0.0123,
            "test_error": error,
            "test_error_std": 0.0456,
            "learning_rate": 0.1,
            "epochs": epochs,
            "validation_error": error + 0.1,
            "final_validation_error": error - 0.1,
            "final_validation_error_std": 0.0321,
            "negative_log_likelihood": 0.0567,
            "brier_score": 0.0234,
            "expected_calibration_error": 0.789,
        }
        trials = [
            {
                "learning_rate": rate,
                "failure": None,
                "best_epoch": epochs,
                "best_validation_error": error + 0.1 + place,
                "epochs": 100,
            }
            for place, rate in enumerate((0.1, 0.01, 0.001))
        ]
        probes = []
        if framework == "numpy":
            failed = {"failure": "non-finite", "best_epoch": None, "best_validation_error": None, "epochs": 3}
            trials.insert(0, {"learning_rate": 1.0} | failed)
            probes = [{"learning_rate": 10.0, "learns": False}, {"learning_rate": 1.0, "learns": True}]
        candidates = [
            {"learning_rate": 0.1, "epochs": epochs, "validation_error": error + 0.1},
            {"learning_rate": 0.1, "epochs": epochs - 5, "validation_error": error + 0.2},
            {"learning_rate": 0.01, "epochs": epochs, "validation_error": error + 1.1},
        ]
        choice, failures = candidates[0], []
        if model == PASSED_OVER:
            choice = candidates[2]
            failures = [pair | {"seed": 4, "failure": "dead", "epoch": 2} for pair in candidates[:2]]
        if model == SHORTENED:
            choice = candidates[1]
            failures = [candidates[0] | {"seed": 3, "failure": "spiked", "epoch": epochs - 1}]
        for failed in failures:
            del failed["validation_error"]
        summary[model] |= choice
        record = {"model": model} | MADE_WITH | candidates[0]
        record |= {"candidates": candidates, "trials": trials, "probes": probes}
        _write_json(root / f"data/search/{model}.json", record)
        _write_json(root / f"data/models/{model}/hyperparameters.json", choice | {"model": model, "failures": failures})
        written = {(found["learning_rate"], found["epochs"]): found["validation_error"] for found in candidates}
        written |= {(trial["learning_rate"], trial["best_epoch"]): trial["best_validation_error"] for trial in trials}
        search_rows = [
            (rate, epoch, written.get((rate, epoch), error + 3 + 20 / epoch))
            for rate, epochs_tried in [(trial["learning_rate"], trial["epochs"]) for trial in trials]
            for epoch in range(1, epochs_tried + 1)
        ]
        pd.DataFrame(search_rows, columns=["learning_rate", "epoch", "validation_error"]).to_csv(
            root / f"plots/search/{model}.csv", index=False
        )
        epoch = np.arange(1, choice["epochs"] + 1)
        test_curve = np.round(error + 12 / epoch - 12 / choice["epochs"], 4)
        pd.DataFrame(
            {
                "epoch": epoch,
                "train_error": np.round(test_curve / 2, 4),
                "train_error_std": 0.0123,
                "test_error": test_curve,
                "test_error_std": 0.0456,
            }
        ).to_csv(root / f"plots/curves/{model}.csv", index=False)

        probabilities = np.full((NUM_TEST, 10), 0.01, np.float32)
        predictions = labels.copy()
        predictions[:80] = (labels[:80] + 3) % 10  # the first 80 are wrong, with falling confidence
        probabilities[np.arange(NUM_TEST), predictions] = 0.91 - np.arange(NUM_TEST) / 1000
        probabilities[np.arange(NUM_TEST), labels] += np.arange(NUM_TEST, dtype=np.float32) / 1000
        write_predictions(root / f"data/predictions/{model}.npz", model, data_sha256, probabilities[None])
        counts = np.zeros((10, 10), int)
        np.add.at(counts, (labels, predictions), 1)
        pd.DataFrame(
            [(actual, predicted, counts[actual, predicted]) for actual in range(10) for predicted in range(10)],
            columns=["actual", "predicted", "count"],
        ).to_csv(root / f"plots/confusion/{model}.csv", index=False)
        (root / f"data/models/{model}/seed_1.csv").write_text("epoch,test_error\n1,20.0\n")
        for kind in ("curves", "confusion", "search"):
            (root / f"plots/figures/{kind}_{model}.svg").write_text(FIGURE)
    write_comparison_inputs(root / "metrics", NUM_TEST)
    details = DETAILS.model_copy(update={"num_images": NUM_TEST, "disputed_images": (94,)})
    (root / "metrics/details.json").write_text(details.model_dump_json())
    for name in ("test_errors", "parity", "intervals", "differences", "reliability"):
        (root / f"plots/figures/{name}.svg").write_text(FIGURE)
    _write_json(root / "metrics/summary.json", summary)
    kinds = {"finite_difference": 3.2e-9, "tensorflow": 4.1e-15, "naive": 2.2e-16}
    gradients = {
        "layers": {
            "dense": {"kernel": kinds, "bias": kinds, "input": kinds},
            "max_pool2d": {"input": {"tensorflow": 0.0, "naive": 0.0}},
        },
        "networks": {letter: {"dense_1.kernel": kinds, "input": kinds} for letter in "abcd"},
        "largest": 3.2e-9,
        "tolerance": 1e-6,
    }
    _write_json(root / "metrics/gradients.json", gradients)
    parity = {
        letter: {
            "same_start": True,
            "logit_difference": {"1": 4.8e-7, "10": 1.1e-6, "40": 1.2e-6, "275": 3.3e-4},
            "logit_difference_float64": {"1": 8.9e-16, "10": 2.7e-15, "40": 2.8e-15, "275": 6.1e-13},
            "logit_difference_momentum_float64": {"1": 8.9e-16, "10": 3.7e-15, "40": 4.8e-15, "275": 8.1e-13},
            "logit_difference_one_rounding": {"1": 5.8e-7, "10": 1e-6, "40": 1e-6, "275": 4e-4},
            "largest_error_gap": 0.0312,
            "cross_loaded": {
                "predictions": 20000,
                "disagreements": 1,
                "near_ties": 2,
                "unexplained": 0,
                "logit_difference": 1e-6,
                "rounding": 3e-5,
            },
        }
        for letter in "abcd"
    }
    _write_json(root / "metrics/parity.json", parity)
    (root / "docs/derivations.md").write_text(
        "# Title of the document\n\n## One & two\n\nInline $x_n$, a [method](../mnist_core/numpy_nn/layers.py) and "
        "[below](#last-part).\n\n$$a = \\sum_{i=1}^N b_i = \\frac{1}{2}$$\n\n"
        "### Last part\n\n| a | b |\n| --- | --- |\n| $1$ | 2 |\n"
    )


def report_sources(root: Path) -> ReportSources:
    """Return where `write_report_inputs` put the files."""
    return ReportSources(
        summary=root / "metrics/summary.json",
        gradients=root / "metrics/gradients.json",
        parity=root / "metrics/parity.json",
        comparisons=root / "metrics/comparisons.csv",
        details=root / "metrics/details.json",
        derivations=root / "docs/derivations.md",
        tuned_comparisons=root / "metrics/tuned_comparisons.csv",
        search=root / "data/search",
        trials=root / "plots/search",
        curves=root / "plots/curves",
        confusion=root / "plots/confusion",
        figures=root / "plots/figures",
        predictions=root / "data/predictions",
        models=root / "data/models",
        prepared=root / "data/prepared",
    )


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
