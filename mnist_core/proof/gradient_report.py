"""Runs the gradient checks of the NumPy networks against TensorFlow and condenses them into one record."""

import json
import logging
from typing import Any

import numpy as np

from mnist_core.errors import UserError
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.networks.classifier import Classifier
from mnist_core.networks.initializers import initial_weights
from mnist_core.proof.gradcheck import Case, Discrepancy, check_case, layer_cases, network_cases
from mnist_core.registry import build_classifier


def check_gradients(
    architectures: dict[str, Architecture], *, seeds: tuple[int, ...], tolerance: float
) -> dict[str, Any]:
    """Check every layer type and the given networks in float64; see `proof.gradcheck` for how.

    Args:
        architectures: letter -> network, on 28x28x1 images.
        seeds: each draws its own weights, images, labels and directions.
        tolerance: the largest relative error that passes.

    Returns:
        {"layers": {type: {tensor: {method: error}}}, "networks": {letter: {tensor: {method: error}}}, "largest": ...,
        "tolerance": ...}; every error is the largest over cases and seeds, rounded to two significant digits.

    Raises:
        UserError: an error is above the tolerance; names the tensor and both numbers.
    """
    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns of many graphs; here every case needs its own
    checked = {
        "layers": _check(layer_cases(), seeds, tolerance),
        "networks": _check(network_cases(architectures), seeds, tolerance),
    }
    largest = max(found.error for worst in checked.values() for found in worst.values())
    return {
        **{part: _as_record(worst) for part, worst in checked.items()},
        "largest": _rounded(largest),
        "tolerance": tolerance,
    }


def to_json(record: dict[str, Any]) -> str:
    """Return the record as JSON that ends in a newline."""
    return json.dumps(record, indent=2) + "\n"


def _check(cases: list[Case], seeds: tuple[int, ...], tolerance: float) -> dict[tuple[str, str, str], Discrepancy]:
    worst: dict[tuple[str, str, str], Discrepancy] = {}
    for case in cases:
        classifier, reference = _build("numpy", case), _build("tensorflow", case)
        for seed in seeds:
            for found in check_case(case, seed=seed, classifier=classifier, reference=reference):
                if not found.error <= tolerance:
                    raise UserError(f"gradient of {found}, above the tolerance {tolerance:g}: see {case}")
                key = (found.subject, found.tensor, found.method)
                if key not in worst or found.error > worst[key].error:
                    worst[key] = found
    return worst


def _build(framework: Framework, case: Case) -> Classifier:
    # Any weights will do: the check draws its own.
    weights = initial_weights(
        case.architecture, rng=np.random.default_rng(0), input_shape=case.input_shape, dtype="float64"
    )
    return build_classifier(framework, case.architecture, weights, input_shape=case.input_shape, dtype="float64")


def _as_record(worst: dict[tuple[str, str, str], Discrepancy]) -> dict[str, dict[str, dict[str, float]]]:
    record: dict[str, dict[str, dict[str, float]]] = {}
    for (subject, tensor, method), found in worst.items():
        record.setdefault(subject, {}).setdefault(tensor, {})[method] = _rounded(found.error)
    return record


def _rounded(value: float) -> float:
    return float(f"{value:.1e}")
