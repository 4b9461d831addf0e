"""What the comparison of the models amounts to, in sentences made from its numbers."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mnist_core.models import are_twins
from mnist_core.records import Details


def comparison_paragraph(comparisons: pd.DataFrame, details: Details) -> str:
    """Say which differences are real, which are not, and which the data cannot decide.

    Args:
        comparisons: the rows of metrics/comparisons.csv.
        details: says how they came about.
    """
    rule, num_seeds = details.rule, len(details.seeds)
    pairs = comparisons.to_dict("records")
    found = {verdict: [pair for pair in pairs if pair["verdict"] == verdict] for verdict in _MEANINGS}
    covered = "test images and seeds" if num_seeds > 1 else "test images, not seeds, since there is one only"
    sentences = [
        f"Each model was trained with {_counted(num_seeds, 'seed')} and scored on {details.num_images:,} test images."
        f" The {100 * rule.confidence:g} % intervals cover {covered}.",
        f"Two models differ for us if the interval of their difference leaves out zero and McNemar's exact test on"
        f" the predictions of seed {details.seeds[0]}, with Holm's correction over all {len(pairs)} pairs, gives"
        f" p < {round(1 - rule.confidence, 10):g}. If they do not, they are alike where the whole interval lies within"
        f" ±{rule.smallest_difference:g} points, the smallest difference that we care about; of the other pairs"
        " the data cannot say.",
    ]
    for verdict, meaning in _MEANINGS.items():
        count = len(found[verdict])
        end = f": {_listed(found[verdict])}" if count else ""
        sentences.append(f"{meaning[count == 1].format(count=count or 'No', total=len(pairs))}{end}.")
    return " ".join([*sentences, *_about_twins(pairs)])


# Verdict -> the sentence for several pairs (or none), and for one.
_MEANINGS = {
    "different": ("{count} of {total} pairs differ", "{count} of {total} pairs differs"),
    "alike": ("{count} pairs are alike", "{count} pair is alike"),
    "undecided": ("{count} pairs are undecided", "{count} pair is undecided"),
}


def _about_twins(pairs: Sequence[dict[Any, Any]]) -> list[str]:
    """Say of each pair of twins, networks of one letter, whether they differ though they should not."""
    twins = [pair for pair in pairs if are_twins(pair["model"], pair["other"])]
    by_verdict = {verdict: [pair for pair in twins if pair["verdict"] == verdict] for verdict in _MEANINGS}
    sentences = [
        "Twins are the same network in TensorFlow and in NumPy, each with the learning rate and the epochs of its own"
        " search; they are expected not to differ."
    ]
    if not by_verdict["different"]:
        sentences.append("No twins do.")
    for pair in by_verdict["different"]:
        sentences.append(f"{pair['model']} and {pair['other']} do: {_difference(pair)}.")
    if by_verdict["alike"]:
        sentences.append(f"Alike are {_joined(by_verdict['alike'])}.")
    if by_verdict["undecided"]:
        sentences.append(f"The data cannot decide about {_joined(by_verdict['undecided'])}.")
    return sentences


def _difference(pair: dict[Any, Any]) -> str:
    return f"{_signed(pair['difference'])} points, interval {_signed(pair['low'])} to {_signed(pair['high'])}"


def _joined(pairs: Sequence[dict[Any, Any]]) -> str:
    return "; ".join(f"{pair['model']} and {pair['other']} ({_difference(pair)})" for pair in pairs)


def _listed(pairs: Sequence[dict[Any, Any]]) -> str:
    """Return the pairs by their first model, such as "1a from 1b, 1c; 1b from 1d"."""
    others: dict[str, list[str]] = {}
    for pair in pairs:
        others.setdefault(pair["model"], []).append(pair["other"])
    return "; ".join(f"{model} and {', '.join(names)}" for model, names in others.items())


def _signed(points: float) -> str:
    text = f"{points:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
