"""A search of the tuned protocol as a study of Optuna, for its evaluators and for its dashboard."""

from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from mnist_core.candidates import CHOICES, Search, Trial


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


def importances(search: Search, curves: pd.DataFrame) -> dict[str, float]:
    """Return how much each hyperparameter mattered for the error at the first rung, shares of 1, the largest first.

    Only there all trials can be compared: later on only the better ones are left. By PED-ANOVA, Watanabe, Bansal and
    Hutter, 2023. Empty if nothing varies or too few trials are left.
    """
    distributions = {name: kind for name, kind in _distributions(search.trials).items() if not kind.single()}
    at_rung = curves[curves["epoch"] == first_rung(search)].set_index("trial")["validation_error"]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for number, trial in enumerate(search.trials):
        if not trial.failure:
            study.add_trial(
                optuna.create_trial(
                    value=float(at_rung[number]), params=_values(trial, distributions), distributions=distributions
                )
            )
    if not distributions or len(study.trials) < 4:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: round(share, 4) for name, share in found.items()}


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
