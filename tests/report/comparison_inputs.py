"""A made-up comparison of all eight models, in the formats of stage compare, for the tests of what is made of it."""

import itertools

import pandas as pd

from mnist_core.models import MODELS
from mnist_core.records import ComparisonRule, Details, ModelDetails, ReliabilityBin

RULE = ComparisonRule(confidence=0.95, num_resamples=99, smallest_difference=0.2)
BINS = (
    ReliabilityBin(low=0.0, high=0.5, count=0, confidence=None, accuracy=None),
    ReliabilityBin(low=0.5, high=0.75, count=19, confidence=0.6, accuracy=0.4),
    ReliabilityBin(low=0.75, high=1.0, count=20, confidence=0.9, accuracy=0.8),
)
MODEL = ModelDetails(
    first_half_error=2.9,
    second_half_error=1.2,
    error_without_disputed=2.0,
    validation_error=1.84,
    final_validation_error=1.97,
    optimism=0.13,
    precision=(98.0,) * 10,
    recall=(98.0,) * 10,
    reliability=BINS,
)
DETAILS = Details(
    seeds=(1, 2, 3),
    num_images=10_000,
    rule=RULE,
    disputed_images=(947,),
    models=dict.fromkeys(MODELS, MODEL),
)
INTERVALS = pd.DataFrame([(model, 2.0, 1.5, 2.5) for model in MODELS], columns=["model", "test_error", "low", "high"])


def comparisons(**verdicts):
    """All pairs of models: different by a point, but for the pairs in `verdicts`, such as v1a_2a="alike"."""
    rows = []
    for model, other in itertools.combinations(MODELS, 2):
        verdict = verdicts.get(f"v{model}_{other}", "different")
        difference = 1.0 if verdict == "different" else -0.04
        row = {"model": model, "other": other, "difference": difference, "verdict": verdict}
        row |= {"low": difference - 0.1, "high": difference + 0.1}
        rows.append(row | {"only_model_wrong": 9, "only_other_wrong": 3, "p_value": 0.01, "p_holm": 0.02})
    return pd.DataFrame(rows)


TWINS = {"v1a_2a": "alike", "v1b_2b": "alike", "v1c_2c": "alike", "v1d_2d": "alike"}


def write_comparison_inputs(metrics, num_images=DETAILS.num_images):
    """Write what stage compare writes into a directory of metrics, about so many test images."""
    INTERVALS.to_csv(metrics / "intervals.csv", index=False)
    comparisons().to_csv(metrics / "comparisons.csv", index=False)
    (metrics / "details.json").write_text(DETAILS.model_copy(update={"num_images": num_images}).model_dump_json())
