"""The eight models by their names in the 2017 report. Nothing of networks."""

from typing import Literal, TypeAlias

from mnist_core.errors import UserError

Framework: TypeAlias = Literal["tensorflow", "numpy"]

_FRAMEWORKS: dict[str, Framework] = {"1": "tensorflow", "2": "numpy"}

MODELS: dict[str, tuple[Framework, str]] = {
    f"{number}{letter}": (framework, letter) for number, framework in _FRAMEWORKS.items() for letter in "abcd"
}
"""Model name of the report -> (framework, letter of its architecture)."""


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
    """Split a model's name in the report.

    Raises:
        UserError: there is no such model.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}: use one of {', '.join(MODELS)}")
    return MODELS[name]
