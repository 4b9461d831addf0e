"""The tuned protocol's search: Optuna proposes, successive halving thins out, other seeds decide.

Trials are asked for in batches of a fixed size and told in the order in which they were asked for, and a rung is judged
when all of its trials are there. So neither the number of workers nor their speed has a say, and a search that was
killed asks the same again. Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", 2016, for the halving. Nothing here looks at test images.

The lowest of many validation errors is too good: it was lucky. So the best three trials are trained again with seeds
that the search has not seen, and the lowest mean validation error of these wins.
"""

from collections.abc import Sequence
from typing import Any
from warnings import catch_warnings, simplefilter

import optuna
import pandas as pd
from optuna.trial import TrialState

from mnist_core.candidates import CHOICES, Candidate, Finalist, Hyperparameters, SearchResult, Trial
from mnist_core.errors import UserError
from mnist_core.metrics import percent
from mnist_core.params import SearchSpace, TunedSearch
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.cluster import Bar, progress_bar, train_until
from mnist_core.training.jobs import Cluster
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState

NUM_FINALISTS = 3


def tune(
    cluster: Cluster,
    setup: TrainingSetup,
    params: TunedSearch,
    space: SearchSpace,
    *,
    epochs: int,
    description: str,
    checkpoints: Checkpoints | None = None,
) -> SearchResult:
    """Search, and let other seeds choose among the best.

    Args:
        cluster: see `cluster.open_cluster`.
        setup: the model.
        params: how to search.
        space: what to search.
        epochs: how long a trial trains that is never left out.
        description: shown before the progress bar.
        checkpoints: see `cluster.train_all`.

    Returns:
        `curves` has a row for every epoch of the search: trial, learning_rate, epoch, validation_error (percent) and
        best, which is 1 in the last epoch of the trial that won and 0 elsewhere.

    Raises:
        UserError: every trial failed, or every finalist.
    """
    study, rungs = create_study(params, space), params.rung_epochs(epochs)
    runs: list[TrainingRun] = []
    states: list[TrainingState] = []
    with progress_bar(num_epochs(epochs, params), description) as bar:
        for _ in range(params.num_batches):
            asked = [study.ask() for _ in range(params.trials_per_batch)]
            batch = [
                TrainingRun(setup, _suggest(trial, space, epochs), params.seed, ("validation",)) for trial in asked
            ]
            ended = _halve(cluster, batch, rungs, params, bar=bar, others=states, checkpoints=checkpoints)
            for trial, state in zip(asked, ended, strict=True):
                _tell(study, trial, state, rungs)
            runs, states = runs + batch, states + ended
        best = _best(states)
        if not best:
            failures = ", ".join(sorted({state.failure.word for state in states if state.failure}))
            raise UserError(f"{description}: every trial failed ({failures}); lower learning_rate.high in params.yaml")
        finals = [
            TrainingRun(setup, runs[index].hyperparameters, seed, ("validation",))
            for index in best
            for seed in params.choice_seeds
        ]
        ends = dict(train_until(cluster, finals, bar=bar, others=states, checkpoints=checkpoints))
    count = len(params.choice_seeds)
    finalists = [
        _finalist(index, states[index], [ends[place * count + i] for i in range(count)])
        for place, index in enumerate(best)
    ]
    return _choose(runs, states, finalists, description)


def create_study(params: TunedSearch, space: SearchSpace) -> optuna.Study:
    """Return a study in memory with the sampler that was asked for."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: optuna.samplers.BaseSampler
    if params.strategy == "random":
        sampler = optuna.samplers.RandomSampler(seed=params.seed)
    elif params.strategy == "tpe":
        sampler = optuna.samplers.TPESampler(seed=params.seed, n_startup_trials=params.trials_per_batch)
    else:
        with catch_warnings():
            simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.QMCSampler(scramble=True, seed=params.seed, warn_asynchronous_seeding=False)
    study = optuna.create_study(sampler=sampler)
    if params.strategy == "qmc":  # it learns what is searched from trials that were told: this one never ran
        fixed = optuna.trial.FixedTrial(dict.fromkeys(CHOICES, 0) | {"learning_rate": space.learning_rate.low})
        _suggest(fixed, space, 1)
        untrained = optuna.create_trial(state=TrialState.PRUNED, params=fixed.params, distributions=fixed.distributions)
        study.add_trial(untrained)
    return study


def _suggest(trial: Any, space: SearchSpace, epochs: int) -> Hyperparameters:
    """Ask for a value of everything; of choices for the place, since not every sampler knows lists."""
    rate = trial.suggest_float("learning_rate", space.learning_rate.low, space.learning_rate.high, log=True)
    chosen = {}
    for name in CHOICES:
        choices = getattr(space, name)
        chosen[name] = choices[trial.suggest_int(name, 0, len(choices) - 1)]
    return Hyperparameters(learning_rate=float(f"{rate:.3g}"), epochs=epochs, **chosen)


def num_epochs(epochs: int, params: TunedSearch) -> int:
    """Return how many epochs the search and the choice train in all, at most."""
    return params.trial_epochs(epochs) + NUM_FINALISTS * len(params.choice_seeds) * epochs


def _halve(
    cluster: Cluster,
    runs: Sequence[TrainingRun],
    rungs: Sequence[int],
    params: TunedSearch,
    *,
    bar: Bar,
    others: Sequence[TrainingState],
    checkpoints: Checkpoints | None,
) -> list[TrainingState]:
    """Train a batch rung by rung, ever fewer of it; return what is known of every trial when it was left out."""
    states: list[TrainingState | None] = [None] * len(runs)
    known = [TrainingState({})] * len(runs)
    alive = list(range(len(runs)))
    for rung in rungs:
        left_out = [*others, *(known[i] for i in range(len(runs)) if i not in alive)]
        training = train_until(
            cluster,
            [runs[i] for i in alive],
            bar=bar,
            epoch=rung,
            states=[states[i] for i in alive],
            others=left_out,
            checkpoints=checkpoints,
        )
        for place, state in training:
            states[alive[place]] = state
            known[alive[place]] = _until(state, rung)
        if rung == rungs[-1]:
            break
        sound = [i for i in alive if not known[i].failure]
        places = params.num_promoted(len(alive))
        alive = sorted(sorted(sound, key=lambda i: (_last_error(known[i]), i))[:places])
        if not alive:
            break
    return known


def _until(state: TrainingState, epoch: int) -> TrainingState:
    """Return what was known of a run after so many epochs; one that was kept before a restart may be further on."""
    failure = state.failure if state.failure and state.failure.epoch <= epoch else None
    return TrainingState({}, state.records[:epoch], failure)


def _last_error(state: TrainingState) -> float:
    return state.records[-1].errors["validation"]


def _tell(study: optuna.Study, trial: optuna.Trial, state: TrainingState, rungs: Sequence[int]) -> None:
    """Tell the errors on the rungs. One that failed has none: for a sampler no trial is worse."""
    if state.failure:
        study.tell(trial, state=TrialState.PRUNED)
        return
    for rung in rungs:
        if rung <= len(state.records):
            trial.report(percent(state.records[rung - 1].errors["validation"]), rung)
    if len(state.records) < rungs[-1]:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, percent(_last_error(state)))


def _best(states: Sequence[TrainingState]) -> list[int]:
    """Return the finalists: who came further is better, then who has the lower error, then who was asked for first."""
    sound = [index for index, state in enumerate(states) if not state.failure]
    order = sorted(sound, key=lambda index: (-len(states[index].records), _last_error(states[index]), index))
    return order[:NUM_FINALISTS]


def _finalist(index: int, searched: TrainingState, ends: Sequence[TrainingState]) -> Finalist:
    errors = [None if state.failure else _last_error(state) for state in ends]
    search_error = percent(_last_error(searched))
    sound = [error for error in errors if error is not None]
    mean = percent(sum(sound) / len(sound)) if len(sound) == len(errors) else None
    return Finalist(
        trial=index,
        search_error=search_error,
        validation_errors=[None if error is None else percent(error) for error in errors],
        validation_error=mean,
        difference=None if mean is None else round(mean - search_error, 4),
    )


def _choose(
    runs: Sequence[TrainingRun], states: Sequence[TrainingState], finalists: Sequence[Finalist], description: str
) -> SearchResult:
    chosen = sorted(
        (finalist.validation_error, place, finalist)
        for place, finalist in enumerate(finalists)
        if finalist.validation_error is not None
    )
    if not chosen:
        raise UserError(f"{description}: training failed with another seed; lower learning_rate.high in params.yaml")
    candidates = [
        Candidate(**runs[finalist.trial].hyperparameters.model_dump(), validation_error=error)
        for error, _, finalist in chosen
    ]
    winner = chosen[0][2].trial
    curves = pd.DataFrame(
        [
            (
                index,
                run.hyperparameters.learning_rate,
                record.epoch,
                percent(record.errors["validation"]),
                int(index == winner and record is state.records[-1]),
            )
            for index, (run, state) in enumerate(zip(runs, states, strict=True))
            for record in state.records
        ],
        columns=["trial", "learning_rate", "epoch", "validation_error", "best"],
    )
    return SearchResult(tuple(candidates), tuple(map(_trial, runs, states)), curves, finalists=tuple(finalists))


def _trial(run: TrainingRun, state: TrainingState) -> Trial:
    is_sound = state.failure is None
    return Trial(
        learning_rate=run.hyperparameters.learning_rate,
        failure=state.failure.word if state.failure else None,
        epochs=len(state.records),
        best_epoch=len(state.records) if is_sound else None,
        best_validation_error=percent(_last_error(state)) if is_sound else None,
        hyperparameters=run.hyperparameters,
    )
