"""Fixtures for tests of training and everything after it: a small learnable data set, and one cluster for all tests."""

import numpy as np
import pytest

from mnist_core.cluster import open_cluster
from mnist_core.data.dataset import save_split


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Prepared data: a bright square at a place that tells the class; 130 train, 30 validation, 40 test images."""
    directory = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    for name, count in (("train", 130), ("validation", 30), ("test", 40)):
        labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = 4 + 10 * (label // 5), 3 + 5 * (label % 5)
            image[row : row + 6, column : column + 4] = rng.integers(80, 255, (6, 4))
        save_split(directory, name, images, labels)
    return directory


@pytest.fixture(scope="session")
def client():
    """A cluster of two local worker processes."""
    with open_cluster(num_workers=2) as client:
        yield client
