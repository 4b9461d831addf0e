"""Images that are moved: where every pixel ends up, and that both frameworks see the same."""

import numpy as np
import pytest

from mnist_core.candidates import MAX_SHIFT
from mnist_core.training.run import initial_rng, shifting_rng, shuffling_rng
from mnist_core.training.shifting import draw_shifts, shift_images
from tests.runs import CNN, begin, learning, with_setup

IMAGE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)


@pytest.mark.parametrize(
    ("down", "right", "expected"),
    [
        (0, 0, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        (1, 0, [[0, 0, 0], [1, 2, 3], [4, 5, 6]]),
        (0, 1, [[0, 1, 2], [0, 4, 5], [0, 7, 8]]),
        (-1, 0, [[4, 5, 6], [7, 8, 9], [0, 0, 0]]),
        (0, -1, [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        (2, -2, [[0, 0, 0], [0, 0, 0], [3, 0, 0]]),
        (-1, 2, [[0, 0, 4], [0, 0, 7], [0, 0, 0]]),
    ],
)
def test_an_image_by_hand(down, right, expected):
    images = np.stack([IMAGE + 10, IMAGE, IMAGE + 20])[..., np.newaxis]
    moved = shift_images(images, np.array([1]), np.array([[down, right]]))
    assert moved.shape == (1, 3, 3, 1)
    assert moved[0, :, :, 0].tolist() == expected


def test_many_images_in_any_order_are_what_cutting_from_a_larger_frame_gives():
    rng = np.random.default_rng(0)
    images = rng.random((20, 6, 5, 1), np.float32)
    rows, shifts = rng.integers(20, size=50), draw_shifts(rng, 50, MAX_SHIFT)
    framed = np.pad(images, ((0, 0), (MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT), (0, 0)))
    before = images.copy()
    for moved, row, (down, right) in zip(shift_images(images, rows, shifts), rows, shifts, strict=True):
        top, left = MAX_SHIFT - down, MAX_SHIFT - right
        np.testing.assert_array_equal(moved, framed[row, top : top + 6, left : left + 5])
    np.testing.assert_array_equal(images, before)


def test_every_shift_is_equally_likely():
    shifts = draw_shifts(np.random.default_rng(0), 25_000, 2)
    assert shifts.shape == (25_000, 2)
    counts = np.unique(shifts, axis=0, return_counts=True)[1]
    assert len(counts) == 25
    assert np.abs(counts - 1000).max() < 150  # five standard deviations of a count near 1000


def test_shifts_have_a_stream_of_their_own():
    streams = [initial_rng(1), shuffling_rng(1, 1), shifting_rng(1, 1), shifting_rng(1, 2), shifting_rng(2, 1)]
    assert len({stream.integers(2**62) for stream in streams}) == 5


@pytest.mark.parametrize("architecture", [None, CNN], ids=["mlp", "cnn"])
def test_twins_learn_from_the_same_images(run, architecture, monkeypatch):
    """Chunk by chunk, with momentum and decay; the chunks end within the epoch."""
    monkeypatch.setattr("mnist_core.training.loop.SHIFTED_AT_ONCE", 50)
    run = learning(run, momentum=0.9, weight_decay=1e-3, schedule="cosine", shift=2, batch_size=20, epochs=2)
    run = with_setup(run, architecture=architecture or run.setup.architecture)
    states = [begin(with_setup(run, framework=framework), 2) for framework in ("numpy", "tensorflow")]
    for name, array in states[0].weights.items():
        # 14 steps in float32, each off by about 1e-7 of the largest weights.
        np.testing.assert_allclose(array, states[1].weights[name], rtol=0, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(states[0].velocity[name], states[1].velocity[name], rtol=0, atol=1e-4)
    losses = [record.loss for record in states[0].records]
    assert losses == pytest.approx([record.loss for record in states[1].records], rel=1e-5)
    still = begin(learning(run, shift=0), 2)
    assert losses != [record.loss for record in still.records]


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_the_size_of_the_chunks_changes_nothing(run, framework, monkeypatch):
    run = learning(with_setup(run, framework=framework), momentum=0.9, shift=1, batch_size=20, epochs=1)
    whole = begin(run, 1)
    monkeypatch.setattr("mnist_core.training.loop.SHIFTED_AT_ONCE", 40)
    parts = begin(run, 1)
    assert {name: array.tobytes() for name, array in parts.weights.items()} == {
        name: array.tobytes() for name, array in whole.weights.items()
    }
    assert parts.records[0].loss == pytest.approx(whole.records[0].loss, rel=1e-6)
