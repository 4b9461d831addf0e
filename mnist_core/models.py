"""The eight models by their names in the 2017 report, and the same networks under the tuned protocol.

Nothing of networks.
"""

from collections.abc import Collection
from itertools import combinations
from typing import Literal, TypeAlias

from mnist_core.errors import UserError

Framework: TypeAlias = Literal["tensorflow", "numpy"]
Protocol: TypeAlias = Literal["report", "tuned"]
"""How hyperparameters are chosen: as in the 2017 report, or as well as we can."""

_FRAMEWORKS: dict[str, Framework] = {"1": "tensorflow", "2": "numpy"}

MODELS: dict[str, tuple[Framework, str]] = {
    f"{number}{letter}": (framework, letter) for number, framework in _FRAMEWORKS.items() for letter in "abcd"
}
"""Model name of the report -> (framework, letter of its architecture)."""

_TUNED = "_tuned"
TUNED = {f"{name}{_TUNED}": found for name, found in MODELS.items()}
"""The same under the tuned protocol, such as "2d_tuned"."""
ALL_MODELS = MODELS | TUNED

COLUMNS = {
    "1a": "P1:a",
    "1b": "P1:b",
    "1c": "P1:c",
    "1d": "P1:d",
    "2a": "P2:b",
    "2b": "P2:c",
    "2c": "P2:d",
    "2d": "P2:e",
}
"""Model name -> problem name, the heading of its column in the report."""


def framework_and_letter(name: str) -> tuple[Framework, str]:
    """Split a model's name, such as "2d" or "2d_tuned".

    Raises:
        UserError: there is no such model.
    """
    if name not in ALL_MODELS:
        raise UserError(f"unknown model {name!r}: use one of {', '.join(ALL_MODELS)}")
    return ALL_MODELS[name]


def are_twins(model: str, other: str) -> bool:
    """Return whether two models are the same network, under the same protocol, in the two frameworks."""
    return model != other and model[1:] == other[1:]


def protocol_of(name: str) -> Protocol:
    """Return the protocol of a model, by its name."""
    return "tuned" if name in TUNED else "report"


def tuned(name: str) -> str:
    """Return the name of the same model under the tuned protocol."""
    return f"{name}{_TUNED}"


def tuned_pairs(models: Collection[str]) -> list[tuple[str, str]]:
    """Return what the tuned protocol is compared by: each model with that of the report's, and with its twin."""
    done = [model for model in MODELS if tuned(model) in models]
    twins = [(tuned(model), tuned(other)) for model, other in combinations(done, 2) if are_twins(model, other)]
    return [(tuned(model), model) for model in done] + twins
