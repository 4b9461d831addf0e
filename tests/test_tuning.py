"""The tuned protocol: what goes on at a rung, who wins, and that neither workers nor accidents have a say."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from mnist_core import tuning
from mnist_core.candidates import read_search
from mnist_core.errors import UserError
from mnist_core.files.writing import write_json
from mnist_core.models import MODELS, tuned
from mnist_core.params import SearchSpace, TunedSearch, load_params
from mnist_core.training import cluster as cluster_module
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.cluster import open_cluster
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingState
from mnist_core.tuning import create_study, num_epochs, tune
from tests.records import MADE_WITH

ROOT = Path(__file__).parents[1]
SEARCH = TunedSearch(
    strategy="tpe",
    seed=0,
    num_batches=2,
    trials_per_batch=4,
    num_rungs=2,
    reduction=2,
    choice_seeds=(11, 12),
)
SPACE = SearchSpace(
    learning_rate={"low": 0.01, "high": 0.5},
    batch_size=(10, 20),
    momentum=(0.0, 0.9),
    weight_decay=(0.0, 0.001),
    schedule=("constant", "cosine"),
    shift=(0, 1),
)
EPOCHS = 4  # rungs after 2 and 4


@pytest.fixture
def scripted(setup, monkeypatch):
    """Run `tune` without training: errors(number, seed, epoch), or a failure, of the trial with this number.

    If `kept`, all runs have been trained to their end before.
    """

    def script(errors, failures=(), params=SEARCH, *, kept=False):
        asked, seen = [], []

        def train_until(cluster, runs, *, bar, epoch=None, states=(), others=(), checkpoints=None):
            for index, run in enumerate(runs):
                if run.hyperparameters not in asked:
                    asked.append(run.hyperparameters)
                number, goal = asked.index(run.hyperparameters), (not kept and epoch) or run.num_epochs
                if states[index] and states[index].needs_no_training_to(goal):
                    yield index, states[index]
                    continue
                seen.append((number, run.seed, goal))
                failure = dict(failures).get((number, run.seed))
                failed = failure if failure and failure.epoch <= goal else None
                # A non-finite epoch has no record.
                last = failed.epoch - (failed.word == "non-finite") if failed else goal
                records = tuple(
                    EpochRecord(e, 1.0, {"validation": errors(number, run.seed, e)}) for e in range(1, last + 1)
                )
                yield index, TrainingState({}, records, failed)

        monkeypatch.setattr(tuning, "train_until", train_until)
        return tune(None, setup, params, SPACE, epochs=EPOCHS, description="search"), seen

    return script


def test_at_a_rung_the_better_half_goes_on(scripted):
    """Of 0 to 3 the trials 3 and 1 do, of 4 to 7 the trials 7 and 6; errors fall, but the order stays."""
    at_two = [0.5, 0.3, 0.4, 0.2, 0.8, 0.7, 0.65, 0.6]
    result, seen = scripted(lambda number, seed, epoch: at_two[number] - epoch / 100)
    assert [trial.epochs for trial in result.trials] == [2, 4, 2, 4, 2, 2, 4, 4]
    assert [trial.failure for trial in result.trials] == [None] * 8
    assert seen[:6] == [(0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 0, 2), (1, 0, 4), (3, 0, 4)]
    assert [finalist.trial for finalist in result.finalists] == [3, 1, 7]


def test_what_was_trained_before_is_not_known_before_its_rung(scripted):
    """Of all four trials the end is known: there the order is another than at the first rung."""

    def errors(number, seed, epoch):
        return 0.01 * (1 + number) if epoch <= 2 else 0.5 - 0.01 * number

    result, _ = scripted(errors)
    again, _ = scripted(errors, kept=True)
    assert as_bytes(again) == as_bytes(result)


SHORT = SEARCH.model_copy(update={"num_batches": 1, "trials_per_batch": 8, "reduction": 8})


def test_who_is_a_finalist_in_any_case_trains_beside_the_last_rung(scripted):
    """Trial 5 goes on alone, 2 and 7 come next; whatever becomes of 5, other seeds judge them, and are not idle."""
    at_first = [0.5, 0.4, 0.2, 0.8, 0.7, 0.1, 0.6, 0.3]
    _, seen = scripted(lambda number, seed, epoch: at_first[number], params=SHORT)
    assert seen[8:] == [(5, 0, 4), (2, 11, 4), (2, 12, 4), (7, 11, 4), (7, 12, 4), (5, 11, 4), (5, 12, 4)]


def test_if_the_last_one_fails_the_next_best_are_finalists(scripted):
    at_first = [0.5, 0.4, 0.2, 0.8, 0.7, 0.1, 0.6, 0.3]
    result, seen = scripted(lambda number, *_: at_first[number], {(5, 0): Failure("spiked", 4)}, params=SHORT)
    assert [finalist.trial for finalist in result.finalists] == [2, 7, 1]
    assert seen[13:] == [(1, 11, 4), (1, 12, 4)]


def test_an_early_favourite_may_lose_at_the_end(scripted):
    result, _ = scripted(lambda number, seed, epoch: 0.1 * number + (0.55 if epoch == 4 and number == 0 else 0))
    assert [finalist.trial for finalist in result.finalists] == [1, 4, 5]


def test_other_seeds_choose_and_the_difference_is_named(scripted):
    """The search's best was lucky: 0.10 in the search, 0.3 and 0.4 with other seeds."""
    errors = {(0, 0): 0.1, (0, 11): 0.3, (0, 12): 0.4, (1, 0): 0.2, (1, 11): 0.2, (1, 12): 0.25}
    result, seen = scripted(lambda number, seed, epoch: errors.get((number, seed), 0.5))
    assert {run for run in seen if run[1] in (11, 12)} == {(n, seed, 4) for n in (0, 1, 4) for seed in (11, 12)}
    assert result.candidates[0].validation_error == 22.5
    assert result.candidates[0].hyperparameters == result.trials[1].hyperparameters
    assert result.finalists[0].model_dump() == {
        "trial": 0,
        "search_error": 10.0,
        "validation_errors": [30.0, 40.0],
        "validation_error": 35.0,
        "difference": 25.0,
    }
    assert result.curves[result.curves.best == 1][["trial", "epoch"]].values.tolist() == [[1, 4]]


def test_what_fails_cannot_win(scripted):
    """Trial 0 fails in the search, trial 1 with another seed."""
    failures = {(0, 0): Failure("spiked", 2), (1, 12): Failure("non-finite", 3)}
    result, _ = scripted(lambda number, seed, epoch: 0.01 * (1 + number), failures)
    assert (result.trials[0].failure, result.trials[0].best_epoch) == ("spiked", None)
    assert [finalist.trial for finalist in result.finalists] == [1, 2, 4]
    assert result.finalists[0].validation_errors == [2.0, None]
    assert (result.finalists[0].validation_error, result.finalists[0].difference) == (None, None)
    assert [candidate.validation_error for candidate in result.candidates] == [3.0, 5.0]


def test_a_failure_after_a_rung_is_not_known_there(scripted):
    result, seen = scripted(lambda number, seed, epoch: 0.1 * (1 + number), {(0, 0): Failure("dead", 4)})
    assert (0, 0, 4) in seen
    assert result.trials[0].failure == "dead"


def test_a_non_finite_epoch_has_no_record_and_is_a_failure_nevertheless(scripted):
    """Trials 0 and 1 in the search, trial 2 with other seeds: one in its first epoch and one later on."""
    failures = {(0, 0): 1, (1, 0): 2, (2, 11): 1, (2, 12): 3}
    failures = {run: Failure("non-finite", epoch) for run, epoch in failures.items()}
    result, _ = scripted(lambda number, *_: 0.01 * (1 + number), failures)
    assert [trial.failure for trial in result.trials[:4]] == ["non-finite", "non-finite", None, None]
    assert [trial.epochs for trial in result.trials[:2]] == [0, 1]
    assert [finalist.trial for finalist in result.finalists] == [2, 3, 4]
    assert result.finalists[0].validation_errors == [None, None]
    assert [candidate.validation_error for candidate in result.candidates] == [4.0, 5.0]


@pytest.mark.parametrize("word", ["dead", "non-finite"])
def test_with_one_rung_and_fewer_trials_than_finalists(scripted, word):
    params = SEARCH.model_copy(update={"num_batches": 1, "trials_per_batch": 2, "num_rungs": 1})
    result, seen = scripted(lambda number, *_: 0.2 - 0.1 * number, {(0, 0): Failure(word, 1)}, params=params)
    assert seen == [(0, 0, 4), (1, 0, 4), (1, 11, 4), (1, 12, 4)]
    assert [finalist.trial for finalist in result.finalists] == [1]
    assert num_epochs(EPOCHS, params) == 2 * 4 + 2 * 2 * 4


@pytest.mark.parametrize(("word", "num_rungs"), [("dead", 2), ("non-finite", 2), ("non-finite", 1)])
def test_when_all_fail_the_error_says_how_and_what_to_do(scripted, word, num_rungs):
    failures = {(number, 0): Failure(word, 1) for number in range(8)}
    params = SEARCH.model_copy(update={"num_rungs": num_rungs})
    with pytest.raises(UserError, match=rf"^search: every trial failed \({word}\); lower learning_rate\.high"):
        scripted(lambda *_: 0.5, failures, params=params)


def test_the_record_is_read_back(scripted, tmp_path):
    result, _ = scripted(lambda number, seed, epoch: 0.1 * (1 + number))
    write_json(tmp_path / "2b_tuned.json", {"model": "2b_tuned"} | MADE_WITH | result.to_json())
    search = read_search(tmp_path / "2b_tuned.json", "2b_tuned")
    assert tuple(search.candidates) == result.candidates
    assert tuple(search.trials) == result.trials
    assert tuple(search.finalists) == result.finalists


def test_rungs_and_their_cost_by_hand():
    """Each batch: 4 trials of 2 epochs, 2 of them for 2 more. Then 3 finalists with 2 seeds, 4 epochs each."""
    assert SEARCH.rung_epochs(4) == [2, 4]
    assert num_epochs(4, SEARCH) == 2 * (8 + 4) + 24
    assert SEARCH.model_copy(update={"num_rungs": 3, "reduction": 3}).rung_epochs(28) == [3, 9, 28]
    assert SEARCH.model_copy(update={"num_rungs": 3, "reduction": 3}).rung_epochs(2) == [1, 2]


@pytest.mark.parametrize("strategy", ["random", "qmc", "tpe"])
def test_a_strategy_asks_the_same_with_the_same_seed_only(strategy):
    def asked(seed):
        study = create_study(SEARCH.model_copy(update={"strategy": strategy, "seed": seed}), SPACE)
        return [tuning._suggest(study.ask(), SPACE, 4) for _ in range(8)]

    first = asked(0)
    assert first == asked(0)
    assert first != asked(1)
    assert len(set(map(repr, first))) == 8
    assert all(0.01 <= found.learning_rate <= 0.5 for found in first)


def test_qmc_spreads_over_the_space_from_the_first_batch_on():
    """Of eight points of a scrambled Sobol sequence, one lies in each eighth of every axis."""
    study = create_study(SEARCH.model_copy(update={"strategy": "qmc"}), SPACE)
    asked = [tuning._suggest(study.ask(), SPACE, 4) for _ in range(8)]
    for name in ("batch_size", "momentum", "weight_decay", "schedule", "shift"):
        assert sorted(Counter(getattr(found, name) for found in asked).values()) == [4, 4], name


def as_bytes(result):
    return json.dumps(result.to_json()).encode() + result.curves.to_csv().encode()


def test_neither_the_number_of_workers_nor_an_accident_changes_a_byte(client, setup, tmp_path, monkeypatch):
    """One worker gives what two give; so does a search that was cut off six times, which trains nothing twice."""
    trained = []
    submit = cluster_module.Jobs.submit

    def count(jobs, index, function, run, state, segment, num_threads):
        first = len(state.records) + 1
        trained.extend((run.seed, repr(run.hyperparameters), epoch) for epoch in range(first, first + segment))
        submit(jobs, index, function, run, state, segment, num_threads)

    expected = as_bytes(tune(client, setup, SEARCH, SPACE, epochs=EPOCHS, description=""))
    monkeypatch.setattr(cluster_module.Jobs, "submit", count)
    checkpoints = Checkpoints(tmp_path)
    choice = tuning.train_until

    def cut_off_at(number, num_states):
        calls = []

        def cut_off(*arguments, **options):
            calls.append(1)
            training = choice(*arguments, **options)
            if len(calls) == number:
                yield from islice(training, num_states)
                raise KeyboardInterrupt
            yield from training

        return cut_off

    with open_cluster(num_workers=1) as one_worker:
        # At every rung of both batches, amid the last one, where a finalist trains too, and before the others do.
        for number, num_states in ((2, 0), (3, 0), (4, 0), (4, 5), (5, 0), (5, 0)):
            monkeypatch.setattr(tuning, "train_until", cut_off_at(number, num_states))
            with pytest.raises(KeyboardInterrupt):
                tune(one_worker, setup, SEARCH, SPACE, epochs=EPOCHS, description="", checkpoints=checkpoints)
        monkeypatch.setattr(tuning, "train_until", choice)
        result = tune(one_worker, setup, SEARCH, SPACE, epochs=EPOCHS, description="", checkpoints=checkpoints)
    assert as_bytes(result) == expected
    assert max(Counter(trained).values()) == 1
    assert len(trained) == num_epochs(EPOCHS, SEARCH)


@pytest.mark.parametrize("model", MODELS)
def test_the_tuned_protocol_sees_no_more_images_than_the_reports_search(model):
    params = load_params(ROOT / "params.yaml").profiles["paper"]
    of_report = params.framework(model).search.trial_epochs(params.search_epochs(model))
    assert num_epochs(params.search_epochs(tuned(model)), params.tuned.search) <= of_report
