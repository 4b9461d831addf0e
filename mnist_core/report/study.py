"""A search of the tuned protocol as a study of Optuna, for its evaluators and for its dashboard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from mnist_core.arrays import Array
from mnist_core.candidates import CHOICES, Search, Trial

_FEWEST_TRIALS = 4
_BETTER = 0.5  # of the trials
_ROUNDING = 1e-9  # so much do equal shares differ
_DEALS = 99  # of eight trials, each takes some milliseconds


def study_trials(search: Search, curves: pd.DataFrame) -> list[FrozenTrial]:
    """Return the trials as they ended: complete, left out (pruned, says Optuna) or failed, with all errors.

    Args:
        search: of a tuned model.
        curves: columns trial, epoch, validation_error (percent).
    """
    distributions = _distributions(search.trials)
    found = []
    for number, trial in enumerate(search.trials):
        errors = curves[curves["trial"] == number].set_index("epoch")["validation_error"]
        is_whole = trial.hyperparameters is not None and trial.epochs == trial.hyperparameters.epochs
        state = TrialState.FAIL if trial.failure else TrialState.COMPLETE if is_whole else TrialState.PRUNED
        found.append(
            optuna.create_trial(
                state=state,
                value=None if trial.failure else trial.best_validation_error,
                params=_values(trial, distributions),
                distributions=distributions,
                intermediate_values={int(epoch): float(error) for epoch, error in errors.items()},  # type: ignore[call-overload]
            )
        )
    return found


def first_rung(search: Search) -> int:
    """Return the number of epochs that every trial without a failure has trained."""
    return min((trial.epochs for trial in search.trials if not trial.failure), default=0)


@dataclass(frozen=True)
class Importance:
    """How much a hyperparameter mattered.

    Attributes:
        share: of 1, which all hyperparameters have together.
        chance: p value of a permutation test: how often (a fraction) it has so large a share when the errors are dealt
            out to the trials at random, the true deal included. Without this, a share says little: of few trials, some
            are large whatever their errors are.
    """

    share: float
    chance: float


def importances(search: Search, curves: pd.DataFrame) -> dict[str, Importance]:
    """Return how much each hyperparameter mattered for the error at the first rung, the largest share first.

    Only there all trials can be compared: later on only the better ones are left. By PED-ANOVA, Watanabe, Bansal and
    Hutter, 2023, which asks what the better half of the trials have in common. Empty if fewer than two vary, too few
    trials are left, or no half of them is better.
    """
    sound = {number: trial for number, trial in enumerate(search.trials) if not trial.failure}
    distributions = {name: kind for name, kind in _distributions(search.trials).items() if not kind.single()}
    if len(distributions) < 2 or len(sound) < _FEWEST_TRIALS:
        return {}
    at_rung = curves[curves["epoch"] == first_rung(search)].set_index("trial")["validation_error"]
    errors = at_rung.loc[list(sound)].to_numpy()
    if np.quantile(errors, _BETTER, method="inverted_cdf") == errors.max():
        return {}
    params = [_values(trial, distributions) for trial in sound.values()]
    rng = np.random.default_rng(0)
    found = _shares(errors, params, distributions)
    deals = [found, *(_shares(rng.permutation(errors), params, distributions) for _ in range(_DEALS))]
    return {
        name: Importance(round(share, 4), sum(deal[name] > share - _ROUNDING for deal in deals) / len(deals))
        for name, share in found.items()
    }


def _shares(
    errors: Array, params: Sequence[dict[str, float | str]], distributions: dict[str, BaseDistribution]
) -> dict[str, float]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.create_trial(value=float(error), params=values, distributions=distributions)
            for error, values in zip(errors, params, strict=True)
        ]
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=_BETTER)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _values(trial: Trial, distributions: dict[str, BaseDistribution]) -> dict[str, float | str]:
    return {name: getattr(trial.hyperparameters, name) for name in distributions}


def _distributions(trials: Sequence[Trial]) -> dict[str, BaseDistribution]:
    rates = [trial.learning_rate for trial in trials]
    distributions: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(float(np.min(rates)), float(np.max(rates)), log=True)
    }
    for name in CHOICES:
        values = sorted({getattr(trial.hyperparameters, name) for trial in trials})
        distributions[name] = CategoricalDistribution(values)
    return distributions
