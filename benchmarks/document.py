"""Writes the measured figures as Markdown tables into a marked section of a page; the rest of the page is by hand."""

from collections.abc import Iterator, Mapping, Sequence
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

# (contender, compared with, largest ratio of their epochs by architecture with all cores, the same with one thread)
_PROMISES: tuple[tuple[str, str, dict[str, float], dict[str, float]], ...] = (
    ("numpy", "tensorflow", {"a": 0.85, "b": 0.85, "c": 0.85}, {"a": 1.1, "b": 1.1, "c": 1.1}),
    ("numpy", "sklearn", {"b": 0.65, "c": 0.65}, {}),
    ("numpy", "pytorch", {"d": 0.7}, {}),
    ("tensorflow", "keras_fit", {"a": 0.45, "b": 0.45, "c": 0.6, "d": 0.8}, {}),
)
_CNN_PROMISES = {"AMD": (1.1, 1.1), "Intel": (1.35, 1.25)}  # NumPy / TensorFlow, d: with all cores, with one thread
_FORWARD_PROMISE = 1.1  # images a second of NumPy's d / TensorFlow's, at least


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


def section(machines: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of several machines' results (see `__main__`) as Markdown, one machine after the other."""
    return "\n\n".join(_machine(results) for results in machines)


def machine_name(machine: Mapping[str, Any]) -> str:
    """Return processor and kernel as the name of a file: the same processor may run different kernels."""
    text = f"{machine['cpu']} {machine['blas_kernel']}"
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def _machine(results: Mapping[str, Any]) -> str:
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    by_threads = {f"{machine['cores']} cores": results, "one thread": results["one_thread"]}
    letters = sorted(results["gemm_fraction"])
    rows = [
        _row(f"{title}, {threads}", [_epoch(figures, name, letter) for letter in letters])
        for threads, figures in by_threads.items()
        for name, title in NAMES.items()
        if name in figures["epoch_seconds"]
    ]
    rows += [
        _row(f"forward only, images/s: {NAMES[name]}, {threads}", [f"{rates[letter]:,}" for letter in letters])
        for threads, figures in by_threads.items()
        for name, rates in figures["forward_images_per_second"].items()
        if name in ("numpy", "tensorflow")
    ]
    shares = results["one_thread"]["gemm_fraction"]
    peaks = results["peak_rss_mb"]["numpy"]
    rows += [
        _row("share of the matrix-product rate: NumPy, one thread", [f"{100 * shares[x]:.0f} %" for x in letters]),
        _row("peak memory: NumPy, MiB", [f"{peaks[letter]:,}" for letter in letters]),
    ]
    missed = missed_limits(results)
    return "\n\n".join(
        [
            f"### {machine['cpu']}, OpenBLAS kernel {machine['blas_kernel']}",
            f"{versions}; {settings['images']:,} images ({settings['data']}).",
            "\n".join(
                [
                    _row("seconds an epoch (ratio to our TensorFlow's)", letters),
                    "| --- |" + " ---: |" * len(letters),
                    *rows,
                ]
            ),
            f"Limits missed: {'; '.join(missed)}." if missed else "Every limit is kept.",
        ]
    )


def _row(title: str, cells: Sequence[str]) -> str:
    return f"| {title} | " + " | ".join(cells) + " |"


def _epoch(figures: Mapping[str, Any], name: str, letter: str) -> str:
    seconds = figures["epoch_seconds"][name]
    if letter not in seconds:
        return ""
    ratio = figures["ratio_to_tensorflow"].get(name, {})
    return f"{seconds[letter]:.3g}" + (f" ({ratio[letter]:.2f})" if letter in ratio else "")


def missed_limits(results: Mapping[str, Any]) -> list[str]:
    """Return every limit that the figures do not keep, with both numbers."""
    both, one = results, results["one_thread"]
    missed = []
    for name, other, limits, one_limits in _promises(results["machine"]["cpu"]):
        for threads, figures, by_letter in (("all cores", both, limits), ("one thread", one, one_limits)):
            seconds = figures["epoch_seconds"]
            for letter, limit in by_letter.items():
                if letter in seconds.get(name, {}) and letter in seconds.get(other, {}):
                    measured = seconds[name][letter] / seconds[other][letter]
                    if measured > limit:
                        missed.append(
                            f"{NAMES[name]} / {NAMES[other]}, {letter}, {threads}: {measured:.2f}, at most {limit}"
                        )
    for threads, figures in (("all cores", both), ("one thread", one)):
        ours, theirs = (figures["forward_images_per_second"].get(name, {}) for name in ("numpy", "tensorflow"))
        if "d" in ours and "d" in theirs and ours["d"] < _FORWARD_PROMISE * theirs["d"]:
            ratio = ours["d"] / theirs["d"]
            missed.append(
                f"forward only, d, {threads}: {ratio:.2f} of TensorFlow's images/s, at least {_FORWARD_PROMISE}"
            )
    return missed


def _promises(cpu: str) -> Iterator[tuple[str, str, dict[str, float], dict[str, float]]]:
    yield from _PROMISES
    for vendor, (all_cores, one_thread) in _CNN_PROMISES.items():
        if vendor in cpu:
            yield "numpy", "tensorflow", {"d": all_cores}, {"d": one_thread}
