import numpy as np
import pytest

from mnist_core.networks.architectures import Dense
from mnist_core.training.divergence import Failure, find_failure, has_spiked, is_finite
from mnist_core.training.history import EpochRecord

IMAGES = np.zeros((4, 28, 28, 1), np.float32)
MOVED = {"dense_1.kernel": np.zeros(3)}, {"dense_1.kernel": np.ones(3)}
STILL = {"dense_1.kernel": np.ones(3)}, {"dense_1.kernel": np.ones(3), "dense_2.bias": np.ones(2)}


MLP = (Dense(3, "relu"), Dense(10))


class Answering:
    """A network that gives these answers."""

    def __init__(self, *answers, architecture=MLP):
        self.answers, self.architecture = answers, architecture

    def predict_logits(self, images):
        assert images is IMAGES
        return np.eye(10)[list(self.answers)]


VARIED, ONE_ANSWER = Answering(1, 2, 1, 1), Answering(4, 4, 4, 4)


def found(*losses, classifier=VARIED, weights=MOVED, num_epochs=100, has_velocity=False):
    records = [EpochRecord(epoch, loss, {}) for epoch, loss in enumerate(losses, 1)]
    before, after = weights
    return find_failure(
        records,
        num_epochs=num_epochs,
        classifier=classifier,
        images=IMAGES,
        before=before,
        after=after,
        has_velocity=has_velocity,
    )


@pytest.mark.parametrize(("word", "survived"), [("non-finite", 0), ("dead", 0), ("collapsed", 0), ("spiked", 6)])
def test_only_before_a_spike_a_network_may_be_used(word, survived):
    assert Failure(word, 7).epochs_survived == survived


@pytest.mark.parametrize(
    ("loss", "weight", "expected"),
    [
        (1.0, 1.0, True),
        (float("nan"), 1.0, False),
        (float("inf"), 1.0, False),
        (1.0, np.nan, False),
        (1.0, -np.inf, False),
    ],
)
def test_a_loss_and_every_weight_must_be_numbers(loss, weight, expected):
    assert is_finite(loss, {"kernel": np.ones(3), "bias": np.array([0, weight])}) is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([5.0], False),
        ([0.5, 5.0], False),  # ten times is not more than ten times
        ([0.5, 5.0001], True),
        ([0.5, 0.01, 0.11], True),  # the lowest counts, not the last
        ([0.01, 0.5, 0.09], False),
        ([0.5, 0.01, 0.11, 0.02], False),  # only the latest epoch is asked about
    ],
)
def test_a_spike_is_more_than_ten_times_the_lowest_loss_before(losses, expected):
    assert has_spiked(losses) is expected
    assert found(*losses) == (Failure("spiked", len(losses)) if expected else None)


def test_a_network_that_stands_still_and_gives_one_answer_is_dead():
    assert found(2.0, 2.0, classifier=ONE_ANSWER, weights=STILL) == Failure("dead", 2)
    assert found(2.0, 2.0, classifier=VARIED, weights=STILL) is None  # it fits everything, so nothing moves
    assert found(2.0, 2.0, classifier=ONE_ANSWER, weights=MOVED) is None  # it may yet learn


def test_a_death_is_seen_in_the_spike_that_it_makes():
    assert found(0.1, 2.3, classifier=ONE_ANSWER) == Failure("dead", 2)


def test_what_moves_by_its_velocity_is_dead_if_it_guesses():
    assert found(2.3, 2.3, classifier=ONE_ANSWER, weights=MOVED, has_velocity=True) == Failure("dead", 2)
    assert found(2.3, 1.9, classifier=ONE_ANSWER, weights=MOVED, has_velocity=True) is None
    assert found(2.3, 2.3, classifier=VARIED, weights=MOVED, has_velocity=True) is None


def test_without_hidden_units_nothing_dies():
    assert found(0.1, 2.3, classifier=Answering(4, 4, 4, 4, architecture=(Dense(10),))) == Failure("spiked", 2)


@pytest.mark.parametrize(
    ("losses", "num_epochs", "expected"),
    [
        ((1.0, 0.5, 1.1), 3, Failure("collapsed", 3)),
        ((1.0, 0.5, 1.0), 3, None),  # not above
        ((1.0, 0.5, 1.1), 4, None),  # not the end
        ((1.0,), 1, None),
    ],
)
def test_a_collapse_is_an_end_above_the_beginning(losses, num_epochs, expected):
    assert found(*losses, num_epochs=num_epochs) == expected
