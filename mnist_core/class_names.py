"""What the ten outputs of a network are called."""

from mnist_core.arrays import NUM_CLASSES


def ten_names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name for each output of a network; one that stands for no class is called by its number."""
    return (*classes, *(str(label) for label in range(len(classes), NUM_CLASSES)))
