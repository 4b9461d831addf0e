from dataclasses import replace

import pytest

from mnist_core import final_training
from mnist_core.errors import UserError
from mnist_core.final_training import train_seeds
from mnist_core.history import EpochRecord
from mnist_core.hyperparameters import Hyperparameters
from mnist_core.training import TrainingState, advance


def found(learning_rate, epochs):
    return Hyperparameters(learning_rate=learning_rate, epochs=epochs, validation_error=1.0)


def test_every_seed_is_trained_with_the_best(client, setup):
    seen = []
    training = train_seeds(
        client,
        setup,
        [found(0.1, 2), found(0.01, 3)],
        [5, 7],
        description="",
        on_epoch=lambda *event: seen.append(event),
    )
    assert (training.hyperparameters, training.failures) == (found(0.1, 2), [])
    for index, (seed, state) in enumerate(zip((5, 7), training.states, strict=True)):
        run = setup.new_run(learning_rate=0.1, num_epochs=2, seed=seed, evaluate_on=("train", "test"))
        assert state.records == advance(run, None, 2).records
        assert tuple(record for reported, record in seen if reported == index) == state.records


def test_what_diverges_for_one_seed_is_passed_over_for_all(client, setup, monkeypatch):
    """As 2c did at learning rate 1: the search's seed survived 500 epochs, another died in the first 20."""
    train_all = final_training.train_all
    rates = []

    def one_dies(client, runs, **options):
        rates.append(runs[0].learning_rate)
        for index, state in train_all(client, runs, **options):
            yield index, replace(state, diverged=len(rates) == 1 and index == 1 and len(state.records) == 2)

    monkeypatch.setattr(final_training, "train_all", one_dies)
    seen = []
    ranking = [found(0.2, 3), found(0.1, 2), found(0.01, 2)]
    training = train_seeds(
        client,
        setup,
        ranking,
        [5, 7],
        description="",
        on_epoch=lambda index, record: seen.append((index, record.epoch)),
    )
    assert rates == [0.2, 0.1]
    assert training.hyperparameters == found(0.1, 2)
    assert training.failures == ["seed 7 diverged at learning rate 0.2"]
    assert [len(state.records) for state in training.states] == [2, 2]
    assert [epoch for index, epoch in seen if index == 1] == [1, 2, 1, 2]  # the third at 0.2 is not waited for


def test_a_collapse_counts_as_divergence_and_no_error_rate_matters(setup, monkeypatch):
    def states(client, runs, **options):
        last_loss, error = (2.0, 0.0) if runs[0].learning_rate == 1 else (0.5, 0.9)
        records = (EpochRecord(1, 1.0, {"test": 0.5}), EpochRecord(2, last_loss, {"test": error}))
        yield 0, TrainingState({}, records)

    monkeypatch.setattr(final_training, "train_all", states)
    training = train_seeds(None, setup, [found(1, 2), found(0.1, 2)], [5], description="")
    assert training.hyperparameters == found(0.1, 2)


def test_nothing_left_is_an_error_that_names_seeds_and_rates(client, setup):
    message = "train 2b: seed [12] diverged at learning rate 1e.30, seed [12] diverged at learning rate 1e.29; search"
    with pytest.raises(UserError, match=message):
        train_seeds(client, setup, [found(1e30, 2), found(1e29, 2)], [1, 2], description="train 2b")
