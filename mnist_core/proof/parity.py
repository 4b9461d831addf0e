"""Are the twins twins? Models 1x and 2x are trained side by side from equal weights on equal batches, and compared.

The two networks compute the same formulas and differ only in the order of additions, so only rounding may separate
them. `ROUNDING` says how much that is for one forward pass; docs/derivations.md has the argument for training.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_core.arrays import Array, Weights
from mnist_core.data.dataset import Split
from mnist_core.errors import UserError
from mnist_core.files.writing import scratch_directory
from mnist_core.metrics import error_rate, percent
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.networks.classifier import Classifier
from mnist_core.networks.initializers import initial_weights
from mnist_core.networks.model_file import load_model, save_model
from mnist_core.params import ParityParams
from mnist_core.registry import build_classifier
from mnist_core.training.jobs import Cluster, Jobs
from mnist_core.training.loop import cached_split
from mnist_core.training.run import initial_rng, shuffling_rng

FRAMEWORKS: tuple[Framework, Framework] = ("tensorflow", "numpy")

ROUNDING = 2.0**-18
"""How far float32 rounding may move the logits of equal networks, as a fraction of the largest absolute logit.

An operation in float32 is off by at most u = 2**-24 = 6e-8 of its result. Two sums of the same n products, added in
different orders, then differ by about sqrt(n) u of the sum's size when the roundings are independent: 28 u for n = 784,
the longest sum here. Two or three layers and a margin make 64 u = 2**-18 = 3.8e-6.
"""


def compare_twins(
    cluster: Cluster, architectures: dict[str, Architecture], data_directory: Path, params: ParityParams
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Apply `compare_training` to several architectures, each a job on one thread so that rounding is repeatable.

    Args:
        cluster: see `cluster.open_cluster`.
        architectures: letter -> layers.
        data_directory: prepared data, as an absolute path.
        params: see `compare_training`.

    Returns:
        letter -> record, and the test errors as columns letter, framework, epoch, test_error (percent).
    """
    letters = list(architectures)
    waiting = list(range(len(letters)))
    found: dict[int, tuple[dict[str, Any], pd.DataFrame]] = {}
    jobs = Jobs(cluster, data_directory)
    while waiting or len(jobs):
        while waiting and jobs.num_free:
            index = waiting.pop()  # the longest job, d, goes first
            jobs.submit(index, _compare_on_directory, architectures[letters[index]], data_directory, params)
        found.update(jobs.completed())
    records, curves = {}, []
    for index, letter in enumerate(letters):
        records[letter], errors = found[index]
        errors.insert(0, "letter", letter)
        curves.append(errors)
    return records, pd.concat(curves, ignore_index=True)


def _compare_on_directory(
    architecture: Architecture, data_directory: Path, params: ParityParams
) -> tuple[dict[str, Any], pd.DataFrame]:
    train, test = (cached_split(data_directory, name) for name in ("train", "test"))
    return compare_training(architecture, train, test, params)


@np.errstate(over="ignore", invalid="ignore")  # divergence is an error, and no reason for warnings
def compare_training(
    architecture: Architecture, train: Split, test: Split, params: ParityParams
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train the TensorFlow and the NumPy network of one architecture side by side.

    Both start from the weights that training with this seed starts from, and visit the same batches. Three more
    comparisons say what a difference means. The same in float64, where rounding is 2**29 = 5e8 times finer: a
    difference in the formulas would stay. In float64 again with the optimizer of the tuned protocol. And NumPy beside
    itself in float32, started from weights that are one rounding larger: what rounding alone can do.

    Args:
        architecture: the layers.
        train: what they learn from.
        test: what they are compared on.
        params: seed, learning rate, batch size, momentum and weight decay of both; the steps, counted through the
            epochs, after which the logits of all test images are compared; how many epochs both train in float32.
            Steps that come after the last epoch, as they do where there are few images, are left out.

    Returns:
        A record with "same_start" (whether the first weights are equal bit for bit), "logit_difference",
        "logit_difference_float64", "logit_difference_momentum_float64" and "logit_difference_one_rounding" (each steps
        -> largest absolute difference), "largest_error_gap" (between the test errors after each epoch, percentage
        points) and "cross_loaded" (see `cross_load`); and the test errors as columns framework, epoch, test_error
        (percent).

    Raises:
        UserError: all of the steps come after the last epoch, or a network diverges.
    """
    steps_per_epoch = -(-len(train.labels) // params.batch_size)
    last_step = params.epochs * steps_per_epoch
    compared = _compared_steps(params, len(train.labels))
    ends = range(steps_per_epoch, last_step + 1, steps_per_epoch)
    twins = build_twins(architecture, seed=params.seed, dtype="float32")
    same_start = _equal(*(twin.get_weights() for twin in twins))
    differences, rows = {}, []
    for step, logits in _train_pair(twins, train, test, params, stops={*compared, *ends}):
        if step in compared:
            differences[str(step)] = _largest_difference(*logits)
        if step in ends:
            rows += _error_rows(ends.index(step) + 1, logits, test.labels)
    curves = pd.DataFrame(rows)

    def difference_of(pair: list[Classifier], **optimizer: float) -> dict[str, float]:
        trained = _train_pair(pair, train, test, params, stops=compared, **optimizer)
        return {str(step): _largest_difference(*logits) for step, logits in trained if step in compared}

    return {
        "same_start": same_start,
        "logit_difference": differences,
        "logit_difference_float64": difference_of(build_twins(architecture, seed=params.seed, dtype="float64")),
        "logit_difference_momentum_float64": difference_of(
            build_twins(architecture, seed=params.seed, dtype="float64"),
            momentum=params.momentum,
            weight_decay=params.weight_decay,
        ),
        "logit_difference_one_rounding": difference_of(_one_rounding_apart(architecture, params.seed)),
        "largest_error_gap": _largest_gap(curves),
        "cross_loaded": cross_load(twins, test.images),
    }, curves


def _compared_steps(params: ParityParams, num_images: int) -> set[int]:
    if steps := params.steps_within(num_images):
        return {*steps}
    raise UserError(
        "params.yaml: parity.steps of the active profile: all come after the last step of its parity.epochs; add a"
        " lower one, such as 1"
    )


def _train_pair(
    pair: list[Classifier], train: Split, test: Split, params: ParityParams, *, stops: set[int], **optimizer: float
) -> Iterator[tuple[int, list[Array]]]:
    """Train both; stop after the given steps and yield the step and both networks' test logits.

    Raises:
        UserError: a logit or a weight is infinite or not a number.
    """
    velocities = [{name: np.zeros_like(array) for name, array in network.get_weights().items()} for network in pair]
    rng = shuffling_rng(params.seed, epoch=1)
    for step, rows in _parts(len(train.labels), params.batch_size, sorted(stops), rng):
        for network, velocity in zip(pair, velocities, strict=True):
            network.train_epoch(
                train.images,
                train.labels,
                rows,
                batch_size=params.batch_size,
                learning_rate=params.learning_rate,
                velocity=velocity,
                **optimizer,
            )
        logits = [network.predict_logits(test.images) for network in pair]
        for network, values in zip(pair, logits, strict=True):
            if not all(np.isfinite(array).all() for array in (values, *network.get_weights().values())):
                raise UserError(
                    "params.yaml: parity.learning_rate of the active profile: training diverges at"
                    f" {params.learning_rate:g}; lower it"
                )
        yield step, logits


def _error_rows(epoch: int, logits: list[Array], labels: Array) -> list[dict[str, Any]]:
    return [
        {"framework": framework, "epoch": epoch, "test_error": percent(error_rate(values.argmax(axis=1), labels))}
        for framework, values in zip(FRAMEWORKS, logits, strict=True)
    ]


def _largest_gap(curves: pd.DataFrame) -> float:
    errors = curves.pivot_table(index="epoch", columns="framework", values="test_error")
    return round(float((errors[FRAMEWORKS[0]] - errors[FRAMEWORKS[1]]).abs().max()), 4)


def build_twins(architecture: Architecture, *, seed: int, dtype: str) -> list[Classifier]:
    """Build the networks of `FRAMEWORKS` as training with this seed does, on images of 28x28x1."""
    weights = initial_weights(architecture, rng=initial_rng(seed), dtype=dtype)
    return [build_classifier(framework, architecture, weights, dtype=dtype) for framework in FRAMEWORKS]


def _one_rounding_apart(architecture: Architecture, seed: int) -> list[Classifier]:
    weights = initial_weights(architecture, rng=initial_rng(seed))
    larger = {
        name: np.where(value == 0, value, np.nextafter(value, np.float32(np.inf)))  # biases start at exactly 0
        for name, value in weights.items()
    }
    return [build_classifier("numpy", architecture, start) for start in (weights, larger)]


def _equal(first: Weights, second: Weights) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def cross_load(twins: list[Classifier], images: Array) -> dict[str, Any]:
    """Save each trained network, load it in the other framework and compare the predictions before and after.

    Args:
        twins: the float32 networks of `FRAMEWORKS`.
        images: float32 (N, 28, 28, 1).

    Returns:
        `compare_predictions` of both directions together, 2 N predictions.
    """
    before, after = [], []
    with scratch_directory() as directory:
        for twin, other in zip(twins, reversed(FRAMEWORKS), strict=True):
            path = directory / "model.npz"
            save_model(path, twin.architecture, twin.get_weights())
            architecture, weights = load_model(path)
            before.append(twin.predict_logits(images))
            after.append(build_classifier(other, architecture, weights).predict_logits(images))
    return compare_predictions(np.concatenate(before), np.concatenate(after))


def compare_predictions(first: Array, second: Array) -> dict[str, Any]:
    """Compare the classes that two arrays of logits (N, classes) predict.

    If every logit may be off by e, the prediction can change only where the two largest are less than 2 e apart: such a
    near-tie is decided by rounding.

    Returns:
        "predictions" (N), "disagreements" (classes that differ), "near_ties" (closer than 2 e in either array, where
        e is `ROUNDING` times the largest absolute logit), "unexplained" (disagreements that are no near-tie),
        "logit_difference" (the largest) and "rounding" (e).
    """
    rounding = ROUNDING * float(max(np.abs(first).max(), np.abs(second).max()))
    near_ties = np.minimum(_margins(first), _margins(second)) < 2 * rounding
    disagreements = first.argmax(axis=1) != second.argmax(axis=1)
    return {
        "predictions": len(first),
        "disagreements": int(disagreements.sum()),
        "near_ties": int(near_ties.sum()),
        "unexplained": int((disagreements & ~near_ties).sum()),
        "logit_difference": _largest_difference(first, second),
        "rounding": _rounded(rounding),
    }


def _parts(num_images: int, batch_size: int, stops: list[int], rng: np.random.Generator) -> Iterator[tuple[int, Array]]:
    """Cut a fresh order of the images for each epoch at the given steps; yield each part and the step it ends with."""
    steps_per_epoch = -(-num_images // batch_size)
    for first in range(0, stops[-1], steps_per_epoch):
        order = rng.permutation(num_images)
        inside = [step - first for step in stops if first < step < first + steps_per_epoch]
        last = min(steps_per_epoch, stops[-1] - first)
        for begin, end in pairwise([0, *inside, last]):
            if end > begin:
                yield first + end, order[begin * batch_size : end * batch_size]


def _margins(logits: Array) -> Array:
    """Return by how much the largest logit of each row exceeds the second largest."""
    ordered = np.sort(logits.astype(np.float64), axis=1)
    margins: Array = ordered[:, -1] - ordered[:, -2]
    return margins


def _largest_difference(first: Array, second: Array) -> float:
    return _rounded(float(np.abs(first.astype(np.float64) - second).max()))


def _rounded(value: float) -> float:
    return float(f"{value:.1e}")
