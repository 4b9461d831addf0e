"""Condenses timings into medians, spreads, ratios and shares of the machine's matrix-product rate."""

from collections.abc import Mapping, Sequence
from math import prod
from statistics import median
from typing import Any

from benchmarks.contenders import GEMM_PRODUCTS, GEMM_SIZE
from benchmarks.measure import Group
from mnist_core.arrays import IMAGE_SHAPE, Shape
from mnist_core.networks.architectures import Architecture, Convolution, Flatten, Linear, operations


def training_flops(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> int:
    """Return the useful floating-point operations of one training step, per image.

    A layer with n multiply-adds forward (dense: inputs x outputs; convolution: output positions x kernel_size^2 x
    channels in x channels out) takes 2n operations forward, 2n for the gradient of its kernel and 2n for that of its
    input, which the first layer does not need. Biases, ReLU, pooling, loss and update are not counted.
    """
    total = 0
    first = True
    for step in operations(architecture, input_shape):
        if isinstance(step, Convolution | Linear):
            positions = prod(step.output_shape[:-1])  # 1 for a dense layer
            total += 2 * positions * prod(step.kernel_shape) * (2 if first else 3)
        first = first and isinstance(step, Flatten)
    return total


def rounded(value: float) -> float:
    """Return four significant digits: timings repeat no better."""
    return float(f"{value:.4g}")


def ratios(epoch_seconds: Mapping[str, Mapping[str, float]], baseline: str) -> dict[str, dict[str, float]]:
    """Divide every contender's medians by those of `baseline`; an architecture the baseline lacks is left out."""
    base = epoch_seconds.get(baseline, {})
    return {
        name: {letter: rounded(value / base[letter]) for letter, value in medians.items() if letter in base}
        for name, medians in epoch_seconds.items()
    }


def summarise(groups: Mapping[str, Group], architectures: Mapping[str, Architecture], *, images: int) -> dict[str, Any]:
    """Return the figures of one number of threads.

    Args:
        groups: letter -> measurements.
        architectures: letter -> network.
        images: training images in an epoch.

    Returns:
        contender -> letter -> value for "epoch_seconds" (medians), "epoch_seconds_spread" ([smallest, largest]),
        "ratio_to_tensorflow", "forward_images_per_second" (of the median), "peak_rss_mb" (MiB, training) and "skipped"
        (reasons); letter -> value for "repeats", "gemm_gflops" (measured rate of large float32 products), "epoch_gflop"
        (useful operations of an epoch) and "gemm_fraction" (the share of that rate that the NumPy epoch reaches).
    """
    seconds = {letter: group.train_seconds for letter, group in groups.items()}
    rates = {
        letter: 2 * GEMM_SIZE**3 * GEMM_PRODUCTS / median(timings["gemm"]) / 1e9 for letter, timings in seconds.items()
    }
    work = {letter: training_flops(architectures[letter]) * images / 1e9 for letter in groups}
    contenders = {letter: {n: s for n, s in timings.items() if n != "gemm"} for letter, timings in seconds.items()}
    epoch_seconds = _by_contender(contenders, lambda values: rounded(median(values)))
    return {
        "epoch_seconds": epoch_seconds,
        "epoch_seconds_spread": _by_contender(contenders, lambda v: [rounded(min(v)), rounded(max(v))]),
        "ratio_to_tensorflow": ratios(epoch_seconds, "tensorflow"),
        "gemm_fraction": {
            letter: rounded(work[letter] / epoch_seconds["numpy"][letter] / rates[letter]) for letter in groups
        },
        "gemm_gflops": {letter: rounded(rate) for letter, rate in rates.items()},
        "epoch_gflop": {letter: rounded(value) for letter, value in work.items()},
        "peak_rss_mb": _by_contender({letter: group.peak_rss_mb for letter, group in groups.items()}, round),
        "forward_images_per_second": _by_contender(
            {letter: group.predict_seconds for letter, group in groups.items()}, lambda v: round(images / median(v))
        ),
        "repeats": {letter: _repeats(timings) for letter, timings in contenders.items()},
        "skipped": _by_contender({letter: group.skipped for letter, group in groups.items()}, str),
    }


def _repeats(timings: Mapping[str, Sequence[float]]) -> int:
    return len(next(iter(timings.values())))


def _by_contender(values: Mapping[str, Mapping[str, Any]], convert: Any) -> dict[str, dict[str, Any]]:
    """Turn letter -> contender -> value into contender -> letter -> converted value, letters in order."""
    turned: dict[str, dict[str, Any]] = {}
    for letter in sorted(values):
        for name, value in values[letter].items():
            turned.setdefault(name, {})[letter] = convert(value)
    return turned
