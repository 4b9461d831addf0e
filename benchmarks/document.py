"""Writes the measured figures as Markdown tables into a marked section of a page; the rest of the page is by hand."""

from collections.abc import Callable, Mapping
from typing import Any

from mnist_core.errors import UserError

BEGIN = "<!-- written by `make bench`: begin -->"
END = "<!-- written by `make bench`: end -->"

NAMES = {
    "numpy": "NumPy (ours)",
    "tensorflow": "TensorFlow (ours)",
    "keras_fit": "Keras `fit`",
    "pytorch": "PyTorch",
    "sklearn": "scikit-learn",
}

# (contender, compared with, largest ratio by architecture with all cores, the same with one thread)
_PROMISES: tuple[tuple[str, str, dict[str, float], dict[str, float]], ...] = (
    ("numpy", "tensorflow", {"a": 0.85, "b": 0.85, "c": 0.85, "d": 1.25}, {"d": 1.5}),
    ("numpy", "sklearn", {"b": 0.65, "c": 0.65}, {}),
    ("numpy", "pytorch", {"d": 1.1}, {}),
    ("tensorflow", "keras_fit", {"a": 0.35, "b": 0.35, "c": 0.5, "d": 0.8}, {}),
)
_LARGEST_NUMPY_PEAK = 1024  # MiB


def replace_section(page: str, section: str) -> str:
    """Return the page with the text between the markers replaced.

    Raises:
        UserError: the page does not hold both markers, once each and in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise UserError(f"the benchmark page must hold the line {BEGIN!r} and, after it, {END!r}; put them back")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{section.strip()}\n\n{END}{after}"


def section(results: Mapping[str, Any]) -> str:
    """Return the tables of `results` (see `__main__`) as Markdown."""
    machine, settings, one = results["machine"], results["settings"], results["one_thread"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        f"Machine: {machine['cpu']}, {machine['cores']} cores; OpenBLAS kernel {machine['blas_kernel']}; {versions}.",
        f"Epochs of {settings['images']:,} images ({settings['data']}), batches of {settings['batch_size']}.",
    ]
    for title, figures in ((f"All {machine['cores']} cores", results), ("One thread each", one)):
        parts += [f"### {title}", *_figures(figures)]
    parts += ["### What the project aims at", _promises(results, one)]
    reasons = sorted(
        f"- {NAMES[name]}, {letter}: {reason}."
        for name, letters in results["skipped"].items()
        for letter, reason in letters.items()
    )
    if reasons:
        parts += ["### Not measured", "\n".join(reasons)]
    return "\n\n".join(parts)


def _figures(figures: Mapping[str, Any]) -> list[str]:
    ratio, spread = figures["ratio_to_tensorflow"], figures["epoch_seconds_spread"]

    def epoch(name: str, letter: str, value: float) -> str:
        smallest, largest = spread[name][letter]
        relative = f"; **{ratio[name][letter]:.2f}**" if letter in ratio[name] else ""
        return f"{value:.3g} ({smallest:.3g} to {largest:.3g}){relative}"

    letters = sorted(figures["gemm_fraction"])
    repeats = ", ".join(f"{figures['repeats'][letter]} ({letter})" for letter in letters)
    shares = [
        "| | " + " | ".join(letters) + " |",
        "| --- |" + " ---: |" * len(letters),
        "| useful GFLOP in an epoch | " + " | ".join(f"{figures['epoch_gflop'][x]:.3g}" for x in letters) + " |",
        "| measured GFLOP/s of large products | "
        + " | ".join(f"{figures['gemm_gflops'][x]:.3g}" for x in letters)
        + " |",
        "| share of that rate | " + " | ".join(f"{100 * figures['gemm_fraction'][x]:.0f} %" for x in letters) + " |",
    ]
    return [
        "Seconds an epoch: median (smallest to largest); in bold, the ratio of its median to that of our TensorFlow "
        f"epoch. Epochs counted: {repeats}.",
        _table(figures["epoch_seconds"], letters, epoch),
        "Images a second, forward only:",
        _table(figures["forward_images_per_second"], letters, lambda _, __, value: f"{value:,}"),
        "Peak resident memory of the training process, MiB:",
        _table(figures["peak_rss_mb"], letters, lambda _, __, value: f"{value:,}"),
        "How much of the machine's matrix-product rate the NumPy epoch reaches:",
        "\n".join(shares),
    ]


def _table(figures: Mapping[str, Mapping[str, Any]], letters: list[str], cell: Callable[[str, str, Any], str]) -> str:
    lines = ["| | " + " | ".join(letters) + " |", "| --- |" + " ---: |" * len(letters)]
    for name, title in NAMES.items():
        if name in figures:
            cells = [cell(name, x, figures[name][x]) if x in figures[name] else "" for x in letters]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _promises(both: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    lines = [
        "| epoch / epoch, or as said | threads | network | measured | at most | |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for name, other, limits, one_limits in _PROMISES:
        for threads, figures, by_letter in (("all", both, limits), ("one", one, one_limits)):
            seconds = figures["epoch_seconds"]
            for letter, limit in by_letter.items():
                if letter in seconds.get(name, {}) and letter in seconds.get(other, {}):
                    measured = seconds[name][letter] / seconds[other][letter]
                    lines.append(_promise(f"{NAMES[name]} / {NAMES[other]}", threads, letter, measured, limit))
    peak = max(peak for figures in (both, one) for peak in figures["peak_rss_mb"]["numpy"].values())
    lines.append(_promise(f"peak memory of {NAMES['numpy']}, MiB", "any", "any", peak, _LARGEST_NUMPY_PEAK, decimals=0))
    return "\n".join(lines)


def _promise(what: str, threads: str, network: str, measured: float, limit: float, *, decimals: int = 2) -> str:
    verdict = "reached" if measured <= limit else "missed"
    return f"| {what} | {threads} | {network} | {measured:.{decimals}f} | {limit} | {verdict} |"
