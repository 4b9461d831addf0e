import pytest

from mnist_core import final_training
from mnist_core.candidates import Candidate, Hyperparameters
from mnist_core.errors import UserError
from mnist_core.final_training import PassedOver, train_seeds
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState
from tests.runs import begin, content


def found(learning_rate, epochs):
    return Candidate(learning_rate=learning_rate, epochs=epochs, validation_error=1.0)


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
    assert (training.candidate, training.passed_over) == (found(0.1, 2), [])
    for index, (seed, state) in enumerate(zip((5, 7), training.states, strict=True)):
        run = TrainingRun(setup, Hyperparameters(learning_rate=0.1, epochs=2), seed=seed, evaluate_on=("train", "test"))
        assert content(state) == content(begin(run, 2))
        assert tuple(record for reported, record in seen if reported == index) == state.records


@pytest.fixture
def scripted(monkeypatch):
    """Let each seed fail as told: {rate: {seed: failure}}; seeds take turns, an epoch each, in the given order."""

    def script(failures, order=None):
        tried, trained = [], []

        def train_all(cluster, runs, *, description, checkpoints):
            tried.append((runs[0].hyperparameters.learning_rate, runs[0].num_epochs))
            of_rate = failures.get(runs[0].hyperparameters.learning_rate, {})
            for epoch in range(1, runs[0].num_epochs + 1):
                for index, run in sorted(enumerate(runs), key=lambda item: (order or [5, 7]).index(item[1].seed)):
                    failure = of_rate.get(run.seed)
                    if failure and epoch > failure.epoch:
                        continue
                    records = tuple(EpochRecord(number, 1.0, {}) for number in range(1, epoch + 1))
                    trained.append((run.seed, epoch))
                    yield index, TrainingState({}, records, failure if failure and failure.epoch == epoch else None)

        monkeypatch.setattr(final_training, "train_all", train_all)
        return tried, trained

    return script


@pytest.mark.parametrize("word", ["non-finite", "dead", "collapsed"])
def test_a_rate_at_which_one_seed_fails_is_out_for_all(setup, scripted, word):
    """As 2c did at learning rate 1: the search's seed survived 500 epochs, another died in the first 20."""
    tried, _ = scripted({0.2: {7: Failure(word, 2)}})
    training = train_seeds(None, setup, [found(0.2, 3), found(0.2, 1), found(0.1, 2)], [5, 7], description="")
    assert tried == [(0.2, 3), (0.1, 2)]
    assert training.candidate == found(0.1, 2)
    assert training.passed_over == [PassedOver(found(0.2, 3), 7, Failure(word, 2))]
    assert [len(state.records) for state in training.states] == [2, 2]


def test_what_spikes_for_one_seed_needs_fewer_epochs(setup, scripted):
    """As 2d did at learning rate 0.1: two of five seeds ended in the wake of a spike, at 2 instead of 1.1 %."""
    tried, _ = scripted({0.1: {7: Failure("spiked", 3)}})
    candidates = [found(0.1, 5), found(0.1, 3), found(0.1, 2), found(0.01, 2)]
    training = train_seeds(None, setup, candidates, [5, 7], description="")
    assert tried == [(0.1, 5), (0.1, 2)]  # three epochs are known to be too many
    assert training.candidate == found(0.1, 2)
    assert str(training.passed_over[0]) == "learning rate 0.1 with 5 epochs: seed 7 spiked in epoch 3"


def test_the_failure_of_one_candidate_says_nothing_of_another_with_the_same_rate(setup, scripted):
    tried, _ = scripted({0.1: {7: Failure("dead", 1)}})
    other = Candidate(learning_rate=0.1, epochs=3, momentum=0.9, validation_error=1.0)
    with pytest.raises(UserError):
        train_seeds(None, setup, [found(0.1, 3), other, found(0.1, 2)], [5, 7], description="")
    assert tried == [(0.1, 3), (0.1, 3)]


def test_after_a_spike_the_next_candidate_may_have_another_rate(setup, scripted):
    tried, _ = scripted({0.1: {5: Failure("spiked", 3)}})
    train_seeds(None, setup, [found(0.1, 3), found(0.01, 2), found(0.1, 2)], [5], description="")
    assert tried == [(0.1, 3), (0.01, 2)]


@pytest.mark.parametrize("order", [[5, 7], [7, 5]])
@pytest.mark.parametrize(
    ("failures", "first"),
    [
        ({5: Failure("spiked", 3), 7: Failure("dead", 2)}, (7, "dead", 2)),
        ({5: Failure("spiked", 2), 7: Failure("dead", 3)}, (5, "spiked", 2)),
        ({5: Failure("spiked", 2), 7: Failure("dead", 2)}, (5, "spiked", 2)),  # of equal epochs the first seed
    ],
)
def test_the_earliest_failure_counts_whichever_seed_is_seen_first(setup, scripted, order, failures, first):
    scripted({0.1: failures}, order)
    training = train_seeds(None, setup, [found(0.1, 9), found(0.01, 1)], [5, 7], description="")
    passed = training.passed_over[0]
    assert (passed.seed, passed.failure.word, passed.failure.epoch) == first


def test_the_other_seeds_need_not_go_on_beyond_a_failure(setup, scripted):
    _, trained = scripted({0.1: {7: Failure("dead", 2)}})
    train_seeds(None, setup, [found(0.1, 9), found(0.01, 1)], [5, 7], description="")
    assert trained == [(5, 1), (7, 1), (5, 2), (7, 2), (5, 1), (7, 1)]


def test_nothing_left_is_an_error_that_names_seeds_and_rates(client, setup):
    message = (
        r"train 2b: learning rate 1e\+30 with 2 epochs: seed 1 non-finite in epoch 1;"
        r" learning rate 1e\+29 with 2 epochs: seed 1 non-finite in epoch 1; search smaller"
    )
    with pytest.raises(UserError, match=message):
        train_seeds(client, setup, [found(1e30, 2), found(1e29, 2)], [1, 2], description="train 2b")
