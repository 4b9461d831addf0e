"""Moves images by a few pixels, a whole chunk of them at once; what leaves the frame is lost.

Images lie in one row with zeros between them. There an image is moved by reading it from another place: k rows down are
k * width numbers further back, and k columns to the right are k. Only what so comes from the neighbouring row of the
same image must then be blackened.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mnist_core.arrays import Array, remember_last
from mnist_core.candidates import MAX_SHIFT


def draw_shifts(rng: np.random.Generator, num_images: int, largest: int) -> Array:
    """Draw how many pixels each image moves down and to the right, int64 (N, 2) from -largest to largest."""
    return rng.integers(-largest, largest, (num_images, 2), endpoint=True)


def shift_images(images: Array, rows: Array, shifts: Array) -> Array:
    """Return the images `rows`, moved.

    Args:
        images: (N, height, width, 1); remembered in another form, so they must not change.
        rows: int (M,).
        shifts: int (M, 2), pixels down and to the right, at most `MAX_SHIFT` either way.

    Returns:
        (M, height, width, 1); pixels that come from outside are zero.
    """
    height, width = images.shape[1:3]
    size, gap = height * width, MAX_SHIFT * (width + 1)
    down, right = shifts.T
    windows = sliding_window_view(_with_gaps(images), size)  # the image i begins at gap + i * (size + gap)
    moved: Array = windows[gap + rows * (size + gap) - down * width - right].reshape(-1, height, width, 1)
    for columns in range(1, int(np.abs(right).max(initial=0)) + 1):
        moved[right == columns, :, :columns] = 0
        moved[right == -columns, :, -columns:] = 0
    return moved


@remember_last(1)
def _with_gaps(images: Array) -> Array:
    count, height, width = images.shape[:3]
    gap = MAX_SHIFT * (width + 1)
    flat = np.zeros((count, gap + height * width), images.dtype)
    flat[:, gap:] = images.reshape(count, -1)
    return np.append(flat, np.zeros(gap, images.dtype))
