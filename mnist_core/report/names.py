"""What pages and figures call frameworks, data sets, and the ways in which a training fails."""

from mnist_core.candidates import FailureWord

FRAMEWORK_NAMES = {"tensorflow": "TensorFlow", "numpy": "NumPy"}
_DATASET_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "custom": "images of one’s own"}
FAILURES: dict[FailureWord, str] = {
    "non-finite": "a loss or weight is NaN or infinite",
    "dead": "a ReLU layer is silent for every image",
    "collapsed": "the last epoch’s loss is above the first’s",
    "spiked": "the loss jumped tenfold above its lowest so far",
}


def dataset_name(dataset: str) -> str:
    """Return the name of a data set as its authors write it."""
    return _DATASET_NAMES[dataset]
