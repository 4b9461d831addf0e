"""The tuned protocol's search: Optuna proposes, successive halving thins out, other seeds decide.

Trials are asked for in batches of a fixed size and told in the order in which they were asked for, and a rung is judged
when all of its trials are there. So neither the number of workers nor their speed has a say, and a search that was
killed asks the same again. Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", 2016, for the halving. Nothing here looks at test images.

The lowest of many validation errors is too good: it was lucky. So the best three trials are trained again with seeds
that the search has not seen, and the lowest mean validation error of these wins.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias
from warnings import catch_warnings, simplefilter

import optuna
import pandas as pd
from optuna.trial import TrialState

from mnist_core.candidates import CHOICES, Candidate, Finalist, Hyperparameters, SearchResult, Trial
from mnist_core.errors import UserError
from mnist_core.metrics import percent
from mnist_core.params import SearchSpace, TunedSearch
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.cluster import progress_bar, train_until
from mnist_core.training.jobs import Cluster
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState, is_finished

NUM_FINALISTS = 3

Training: TypeAlias = tuple[int, int]
"""Number of the trial, seed."""


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
    with progress_bar(num_epochs(epochs, params), description) as bar:
        search = _Search(setup, params, partial(train_until, cluster, bar=bar, checkpoints=checkpoints))
        for batch in range(params.num_batches):
            asked = [study.ask() for _ in range(params.trials_per_batch)]
            trials = search.add([_suggest(trial, space, epochs) for trial in asked])
            alive = search.halve(trials, rungs[:-1])
            # Few are left, and workers would be idle: who is a finalist whatever they do trains beside them.
            is_last = batch == params.num_batches - 1
            certain = search.best(but=alive)[: max(0, NUM_FINALISTS - len(alive))] if is_last else []
            search.train([(trial, params.seed) for trial in alive] + search.finals(certain))
            for trial, number in zip(asked, trials, strict=True):
                _tell(study, trial, search.states[number, params.seed], rungs)
        best = search.best()[:NUM_FINALISTS]
        states = [search.states[number, params.seed] for number in range(len(search.hyperparameters))]
        if not best:
            failures = ", ".join(sorted({state.failure.word for state in states if state.failure}))
            raise UserError(f"{description}: every trial failed ({failures}); lower learning_rate.high in params.yaml")
        search.train(search.finals(best))
    finalists = [
        _finalist(number, states[number], [search.states[number, seed] for seed in params.choice_seeds])
        for number in best
    ]
    return _choose(search.hyperparameters, states, finalists, description)


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
    num_finalists = min(NUM_FINALISTS, params.num_batches * params.trials_per_batch)
    return params.trial_epochs(epochs) + num_finalists * len(params.choice_seeds) * epochs


class _Search:
    """All trainings of one search.

    Attributes:
        hyperparameters: of each trial.
        states: where each training stands, or what was known of it when its trial was left out.
    """

    def __init__(
        self, setup: TrainingSetup, params: TunedSearch, train_until: Callable[..., Iterator[tuple[int, TrainingState]]]
    ) -> None:
        self.hyperparameters: list[Hyperparameters] = []
        self.states: dict[Training, TrainingState] = {}
        self._setup, self._params, self._train_until = setup, params, train_until

    def add(self, asked: Sequence[Hyperparameters]) -> list[int]:
        """Take up new trials; return their numbers."""
        self.hyperparameters += asked
        return list(range(len(self.hyperparameters) - len(asked), len(self.hyperparameters)))

    def finals(self, trials: Sequence[int]) -> list[Training]:
        """Return the trainings that decide among finalists."""
        return [(trial, seed) for trial in trials for seed in self._params.choice_seeds]

    def train(self, trainings: Sequence[Training], epoch: int | None = None) -> None:
        """Train up to an epoch; None is the end. A state that was kept before a restart may be further on."""
        if not trainings:
            return
        runs = [
            TrainingRun(self._setup, self.hyperparameters[trial], seed, ("validation",)) for trial, seed in trainings
        ]
        for place, state in self._train_until(
            runs,
            epoch=epoch,
            states=[self.states.get(training) for training in trainings],
            others=[state for training, state in self.states.items() if training not in trainings],
        ):
            # Of what has ended nobody needs the weights.
            has_ended = is_finished(runs[place], state)
            self.states[trainings[place]] = replace(state, weights={}, velocity={}) if has_ended else state

    def halve(self, trials: Sequence[int], rungs: Sequence[int]) -> list[int]:
        """Train some trials rung by rung, ever fewer of them; return who is left after the last of these rungs."""
        alive, seed = list(trials), self._params.seed
        for rung in rungs:
            self.train([(trial, seed) for trial in alive], rung)
            known = {trial: _until(self.states[trial, seed], rung) for trial in alive}
            left = sorted(_ranked(known)[: self._params.num_promoted(len(alive))])
            self.states |= {(trial, seed): known[trial] for trial in alive if trial not in left}
            alive = left
        return alive

    def best(self, but: Sequence[int] = ()) -> list[int]:
        """Return the sound trials, the best first, without some."""
        seed = self._params.seed
        return _ranked(
            {trial: state for (trial, own), state in self.states.items() if own == seed and trial not in but}
        )


def _ranked(states: Mapping[int, TrainingState]) -> list[int]:
    """Rank the sound trials: who came further is better, then who has the lower error, then who was asked for first."""
    sound = [trial for trial, state in states.items() if not state.failure]
    return sorted(sound, key=lambda trial: (-len(states[trial].records), _last_error(states[trial]), trial))


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
    tried: Sequence[Hyperparameters], states: Sequence[TrainingState], finalists: Sequence[Finalist], description: str
) -> SearchResult:
    chosen = sorted(
        (finalist.validation_error, place, finalist)
        for place, finalist in enumerate(finalists)
        if finalist.validation_error is not None
    )
    if not chosen:
        raise UserError(f"{description}: training failed with another seed; lower learning_rate.high in params.yaml")
    candidates = [
        Candidate(**tried[finalist.trial].model_dump(), validation_error=error) for error, _, finalist in chosen
    ]
    winner = chosen[0][2].trial
    curves = pd.DataFrame(
        [
            (
                index,
                hyperparameters.learning_rate,
                record.epoch,
                percent(record.errors["validation"]),
                int(index == winner and record is state.records[-1]),
            )
            for index, (hyperparameters, state) in enumerate(zip(tried, states, strict=True))
            for record in state.records
        ],
        columns=["trial", "learning_rate", "epoch", "validation_error", "best"],
    )
    return SearchResult(tuple(candidates), tuple(map(_trial, tried, states)), curves, finalists=tuple(finalists))


def _trial(hyperparameters: Hyperparameters, state: TrainingState) -> Trial:
    is_sound = state.failure is None
    return Trial(
        learning_rate=hyperparameters.learning_rate,
        failure=state.failure.word if state.failure else None,
        epochs=len(state.records),
        best_epoch=len(state.records) if is_sound else None,
        best_validation_error=percent(_last_error(state)) if is_sound else None,
        hyperparameters=hyperparameters,
    )
