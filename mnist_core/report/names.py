"""What pages and figures call frameworks, data sets, their classes, and the ways in which a training fails."""

from collections.abc import Sequence

from mnist_core.arrays import NUM_CLASSES
from mnist_core.records import FailureWord

FRAMEWORK_NAMES = {"tensorflow": "TensorFlow", "numpy": "NumPy"}
_DATASET_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
_DIGITS = tuple("0123456789")
_CLASS_NAMES = {
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}
FAILURES: dict[FailureWord, str] = {
    "non-finite": "a loss or weight is NaN or infinite",
    "dead": "a ReLU layer is silent for every image",
    "collapsed": "the last epoch’s loss is above the first’s",
    "spiked": "the loss jumped tenfold above its lowest so far",
}


def dataset_name(dataset: str) -> str:
    """Return the name of a data set as its authors write it; one that is not known keeps its own."""
    return _DATASET_NAMES.get(dataset, dataset)


def class_names(dataset: str, own_names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return what the classes 0 to 9 of a data set are called.

    Args:
        dataset: its name in params.yaml.
        own_names: the ten names that params.yaml gives the classes of a data set of the user's own, if any.
    """
    names = tuple(own_names) if own_names else _CLASS_NAMES.get(dataset, _DIGITS)
    assert len(names) == NUM_CLASSES
    return names
