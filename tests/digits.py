"""Real digits for tests, small networks that were trained on them, and pictures of them."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_core.data.idx import TEST_FILES, TRAIN_FILES, read_examples
from mnist_core.data.sources import fetch_dataset
from mnist_core.networks.architectures import Dense
from mnist_core.registry import build_classifier
from tests.weights import drawn

ROOT = Path(__file__).parents[1]


def mnist_files(directory):
    """Fetch MNIST into a directory, from this machine where it has it, as the pipeline does."""
    places = [os.environ.get("MNIST_DIRECTORY"), ROOT / "data/raw"]
    known = next((Path(place) for place in places if place and Path(place).is_dir()), None)
    fetch_dataset("mnist", directory, directory=known, report=lambda line: None)
    return directory


def read_images(directory, names):
    return read_examples(*(directory / name for name in names))


def scaled(images):
    return np.divide(np.asarray(images)[..., np.newaxis], np.float32(255), dtype=np.float32)


def trained_dense_network(directory):
    """Return (architecture, weights) of a dense network after two epochs; about 5 seconds, about 4 % test error."""
    images, labels = read_images(directory, TRAIN_FILES)
    architecture = (Dense(64, "relu"), Dense(10))
    network = build_classifier("numpy", architecture, drawn(architecture))
    rng = np.random.default_rng(1)
    inputs = scaled(images)
    for _ in range(2):
        network.train_epoch(
            inputs, labels.astype(np.int64), rng.permutation(len(labels)), batch_size=50, learning_rate=0.3
        )
    return architecture, network.get_weights()


def test_images(directory, count):
    images, labels = read_images(directory, TEST_FILES)
    return images[:count], labels[:count]


test_images.__test__ = False


def as_jpeg(image, *, rng):
    """Return a 300x300 JPEG, dark on light, of a digit six times as large as it was, off-centre by up to 60 pixels."""
    digit = Image.fromarray(255 - image).resize((168, 168), Image.Resampling.BICUBIC)
    page = Image.new("L", (300, 300), 255)
    right, down = rng.integers(-60, 61, 2)
    page.paste(digit, (66 + int(right), 66 + int(down)))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG")
    return buffer.getvalue()


def as_rgba(grey, alpha=255):
    """Return a grey picture (height, width) as uint8 (height, width, 4)."""
    return np.dstack([grey, grey, grey, np.broadcast_to(np.asarray(alpha, np.uint8), grey.shape)]).astype(np.uint8)


def photograph(image, *, rng, light_ink=False):
    """Return a 120x160 picture of a digit: light that falls to less than half across it, ink of 60 %, camera noise."""
    digit = np.zeros((120, 160))
    row, column = rng.integers(4, 32), rng.integers(4, 72)
    enlarged = Image.fromarray(image).resize((84, 84), Image.Resampling.BICUBIC)
    digit[row : row + 84, column : column + 84] = np.asarray(enlarged) / 255
    y, x = np.mgrid[:120, :160] / 160
    angle = rng.uniform(0, 2 * np.pi)
    light = 0.4 + 0.5 * np.clip(np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.375) + 0.5, 0, 1)
    picture = light * (0.25 + 0.75 * digit if light_ink else 1 - 0.6 * digit) + rng.normal(0, 0.01, light.shape)
    return as_rgba((np.clip(picture, 0, 1) * 255).astype(np.uint8))
