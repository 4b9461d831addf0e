"""What tests of training runs share."""

from dataclasses import replace

from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.training.loop import advance

CNN = (Conv2D(4, 3, activation="relu"), MaxPool2D(pool_size=2, stride=2), Dense(10))


def content(state):
    """Return a state as something that compares by every bit."""
    weights, velocity = (
        {name: array.tobytes() for name, array in arrays.items()} for arrays in (state.weights, state.velocity)
    )
    return weights, velocity, state.records, state.failure


def with_setup(run, **changes):
    """Return the run of another model."""
    return replace(run, setup=replace(run.setup, **changes))


def learning(run, **changes):
    """Return the run with other hyperparameters."""
    return replace(run, hyperparameters=run.hyperparameters.model_copy(update=changes))


def begin(run, num_epochs, **options):
    """Train a run from its start."""
    return advance(run, run.initial_state(), num_epochs, **options)
