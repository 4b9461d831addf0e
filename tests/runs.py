"""What tests of training runs share."""

from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D

CNN = (Conv2D(4, 3, activation="relu"), MaxPool2D(pool_size=2, stride=2), Dense(10))


def content(state):
    """Return a state as something that compares by every bit."""
    return {name: array.tobytes() for name, array in state.weights.items()}, state.records, state.diverged
