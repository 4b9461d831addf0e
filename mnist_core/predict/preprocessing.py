"""From a picture to what MNIST holds: light ink on black, 20x20 pixels at most, centred by mass in 28x28.

The last steps are those of MNIST's authors (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten
digits"); the first find the ink in a picture that is no clean scan. `draw/preprocessing.js` does the same in the same
order. Only operations that give the same float64 in both are used: element by element, sorting, maxima, and sums in
one order (NumPy's cumsum; its sum and its matrix product add in an order of their own).
"""

import numpy as np

from mnist_core.arrays import Array, Shape
from mnist_core.errors import UserError

LONGEST_SIDE = 256  # pixels; a larger picture is reduced first: a digit needs 20
DIGIT_SIZE, FIELD_SIZE = 20, 28

_FIT_SIDE, _FITS = 64, 6  # pixels that are enough to see the light on the paper; rounds that tell paper from ink

_LEAST_CONTRAST = 0.08  # of paper; fainter is no ink
_INK_LEVEL = 0.2  # of full ink; what is fainter does not widen the box around the digit
_SMALLEST_PART = 0.04  # of the largest part, in pixels; smaller is dirt
_THINNEST_STROKE = 0.05  # of the longer side, as the thinnest of MNIST's


def to_mnist(picture: Array) -> Array:
    """Return what a network should see of a picture.

    Args:
        picture: uint8 (height, width, 4): red, green, blue, alpha.

    Returns:
        uint8 (28, 28), 0 for paper to 255 for ink.

    Raises:
        UserError: there is nothing on it.
    """
    light = _shrink(_brightness(picture), LONGEST_SIDE)
    ink = _ink(_even_out(light if _is_dark_on_light(light) else 1 - light))
    digit = _thicken(_cut_out(ink))
    longer = max(digit.shape)
    sizes = [max(1, int(np.floor(size * DIGIT_SIZE / longer + 0.5))) for size in digit.shape]
    small = _resample(_resample(digit, sizes[0]).T, sizes[1]).T
    small = np.floor(np.clip(small / small.max(), 0, 1) * 255 + 0.5).astype(np.uint8)
    field = np.zeros((FIELD_SIZE, FIELD_SIZE), np.uint8)
    top, left = (_offset(small.sum(axis=axis, dtype=np.int64)) for axis in (1, 0))
    field[top : top + sizes[0], left : left + sizes[1]] = small
    return field


def _brightness(picture: Array) -> Array:
    """Return float64 (height, width), 0 black to 1 white (ITU-R BT.601); transparent places become paper."""
    channels = picture.astype(np.int64)
    luma = 299 * channels[..., 0] + 587 * channels[..., 1] + 114 * channels[..., 2]  # 0 to 255,000: exact
    alpha = channels[..., 3]
    opaque = np.sort(luma[alpha >= 128])
    if not len(opaque):
        raise UserError("nothing on it: all of it is transparent")
    paper = opaque[len(opaque) // 2]
    if opaque[-1] - opaque[0] < 76_500:  # one colour: the alpha channel holds the digit, so paper is its opposite
        paper = 0 if paper >= 127_500 else 255_000
    return np.asarray((luma * alpha + paper * (255 - alpha)) / 65_025_000)


def _shrink(image: Array, longest_side: int) -> Array:
    """Reduce a picture, if its longer side is longer."""
    longest = max(image.shape)
    if longest <= longest_side:
        return image
    height, width = (max(1, int(np.floor(size * longest_side / longest + 0.5))) for size in image.shape)
    return _resample(_resample(image, height).T, width).T


def _resample(image: Array, size: int) -> Array:
    """Bring axis 0 to `size` rows: averages over areas when that is fewer, linear interpolation when it is more."""
    count = len(image)
    step = count / size
    if size > count:
        centres = np.clip((np.arange(size) + 0.5) * step - 0.5, 0, count - 1)
        lower = centres.astype(np.int64)
        part = (centres - lower)[:, np.newaxis]
        return np.asarray(image[lower] * (1 - part) + image[np.minimum(lower + 1, count - 1)] * part)
    edges = np.arange(size + 1) * step
    lower = np.minimum(edges.astype(np.int64), count - 1)
    sums = np.concatenate([np.zeros_like(image[:1]), np.cumsum(image, axis=0)])
    sums_to_edges = sums[lower] + (edges - lower)[:, np.newaxis] * image[lower]
    return np.asarray((sums_to_edges[1:] - sums_to_edges[:-1]) / step)


def _is_dark_on_light(light: Array) -> bool:
    """Tell dark ink on light paper from light ink on dark paper.

    The rim is paper, most of it, even where a thick digit is cut tightly. A plane through the rim takes slanting light
    away; whichever side of it differs more, by the third moment, is ink.
    """
    small = _shrink(light, _FIT_SIDE)
    rim = np.ones(small.shape, bool)
    rim[1:-1, 1:-1] = False
    rest = small - _paper(small, rim, small.shape, num_terms=3)
    return _total(rest * rest * rest) <= 0


def _even_out(light: Array) -> Array:
    """Divide by the light on the paper, taken for a quadratic surface."""
    small = _shrink(light, _FIT_SIDE)
    return np.asarray(light / np.maximum(_paper(small, np.ones(small.shape, bool), light.shape, num_terms=6), 0.1))


def _paper(image: Array, places: Array, shape: Shape, *, num_terms: int) -> Array:
    """Fit a surface to the paper; the ink, whatever lies far from it compared with half of all, has no say in it.

    Args:
        image: the picture.
        places: bool, its shape; where to look.
        shape: of the result.
        num_terms: 3 for a plane, 6 for a quadratic surface.
    """
    ranked = np.sort(image[places])
    surface = np.full(image.shape, ranked[len(ranked) // 2])
    for _ in range(_FITS):
        distance = np.abs(image - surface)
        ranked = np.sort(distance[places])
        paper = places & (distance <= max(3 * ranked[len(ranked) // 2], 0.01))
        surface = _surface(image, paper, image.shape, num_terms)
    return _surface(image, paper, shape, num_terms)


def _surface(image: Array, mask: Array, shape: Shape, num_terms: int) -> Array:
    """Fit a surface to the masked pixels by least squares; return its values on a grid of `shape`."""
    terms = _terms(image.shape)[:num_terms]
    matrix = [[_total(mask * a * b) for b in terms] for a in terms]
    for index in range(len(terms)):
        matrix[index][index] += 1e-9 * image.size  # a picture of one row or column has no curvature
    factors = _solve(matrix, [_total(mask * a * image) for a in terms])
    surface = np.zeros(shape)
    for factor, term in zip(factors, _terms(shape)[:num_terms], strict=True):
        surface = surface + factor * term
    return surface


def _terms(shape: Shape) -> list[Array]:
    """Return 1, x, y, xy, x squared, y squared, with coordinates from -1 to 1 across the picture."""
    y, x = ((2 * np.arange(size) + 1) / size - 1 for size in shape)
    one = np.ones(shape)
    rows, columns = one * y[:, np.newaxis], one * x
    return [one, columns, rows, columns * rows, columns * columns, rows * rows]


def _total(values: Array) -> float:
    return float(np.cumsum(values)[-1])


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric positive definite system by Gaussian elimination, in plain floats."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = rows[row][pivot] / rows[pivot][pivot]
            for column in range(pivot, size + 1):
                rows[row][column] -= factor * rows[pivot][column]
    solution = [0.0] * size
    for row in reversed(range(size)):
        known = rows[row][size]
        for column in range(row + 1, size):
            known -= rows[row][column] * solution[column]
        solution[row] = known / rows[row][row]
    return solution


def _ink(light: Array) -> Array:
    """Return float64 (height, width), 0 paper to 1 ink, of a picture with dark ink.

    Paper is the grey-level closing: the brightness that is left when everything dark and narrower than half the
    picture is filled up, which follows shadows. Ink is what is missing of it, as a fraction, since less light makes
    both darker. Otsu's threshold parts the two; then noise of the paper becomes 0 and nearly the darkest ink 1.
    """
    radius = max(3, max(light.shape) // 4)
    paper = -_dilate(-_dilate(light, radius), radius)
    missing = (paper - light) / np.maximum(paper, 0.1)
    threshold = _otsu(missing)
    below, above = np.sort(missing[missing < threshold]), np.sort(missing[missing >= threshold])
    if not len(below) or not len(above):
        raise UserError("nothing on it: all of it has one colour")
    median = below[len(below) // 2]
    deviation = np.sort(np.abs(below - median))[len(below) // 2]
    low = min(median + 4.5 * deviation, threshold / 2)  # three standard deviations of normal noise
    high = above[len(above) * 9 // 10]
    if high - low < _LEAST_CONTRAST:
        raise UserError("nothing on it that stands out like ink")
    return np.asarray(np.clip((missing - low) / (high - low), 0, 1))


def _otsu(values: Array) -> float:
    """Return the threshold, of 255, that separates values in [0, 1] best (N. Otsu, 1979: largest variance between)."""
    bins = np.clip(np.floor(values * 256), 0, 255).astype(np.int64)
    counts = np.bincount(bins.ravel(), minlength=256)
    number = np.cumsum(counts)[:-1]
    total = np.cumsum(counts * np.arange(256))
    rest = values.size - number
    difference = total[:-1] / np.maximum(number, 1) - (total[-1] - total[:-1]) / np.maximum(rest, 1)
    return float(np.argmax(number * rest * difference * difference) + 1) / 256


def _dilate(image: Array, radius: int) -> Array:
    """Return the maximum over the square of 2 radius + 1 pixels around each pixel; beyond the rim is nothing."""
    for _ in range(2):
        size, window = len(image), 2 * radius + 1
        padded = np.pad(image, ((radius, radius), (0, 0)), constant_values=-np.inf)
        width = 1
        while width < window:  # maxima over 1, 2, 4, ... rows, and last over two windows that overlap
            shift = min(width, window - width)
            padded = np.maximum(padded[:-shift], padded[shift:])
            width += shift
        image = padded[:size].T
    return image


def _cut_out(ink: Array) -> Array:
    """Return the rectangle around the digit, without what does not belong to it."""
    labels, sizes = _parts(ink >= _INK_LEVEL)
    strokes = [label for label in sizes if not _runs_along_a_side(labels == label)] or list(sizes)
    largest = max(sizes[label] for label in strokes)
    kept = np.isin(labels, [label for label in strokes if sizes[label] >= _SMALLEST_PART * largest])
    rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(kept | (labels == 0), ink, 0)[box]


def _parts(mask: Array) -> tuple[Array, dict[int, int]]:
    """Number the parts of a mask that touch, corners included, from 1; return the numbers and the pixels of each."""
    height, width = mask.shape
    waiting_for = np.pad(mask, 1).ravel().tolist()
    labels = [0] * len(waiting_for)
    row = width + 2
    neighbours = (-row - 1, -row, -row + 1, -1, 1, row - 1, row, row + 1)
    sizes: dict[int, int] = {}
    for start in np.flatnonzero(np.pad(mask, 1)).tolist():
        if not waiting_for[start]:
            continue
        label = len(sizes) + 1
        waiting_for[start] = False
        part = [start]
        for place in part:  # grows as it goes
            labels[place] = label
            for neighbour in neighbours:
                if waiting_for[place + neighbour]:
                    waiting_for[place + neighbour] = False
                    part.append(place + neighbour)
        sizes[label] = len(part)
    return np.array(labels).reshape(height + 2, row)[1:-1, 1:-1], sizes


def _runs_along_a_side(part: Array) -> bool:
    """Return whether a part covers more than half a side of the picture: the edge of a table, not a stroke."""
    return any(2 * side.sum() > len(side) for side in (part[0], part[-1], part[:, 0], part[:, -1]))


def _thicken(ink: Array) -> Array:
    """Widen strokes that are thinner than MNIST's to about the thinnest there; a fine pen would vanish in 20x20."""
    mask = np.pad(ink >= 0.5, 1)
    edges = int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())
    width = 2 * int(mask.sum()) / max(edges, 1)  # a stroke has two edges
    radius = int(np.floor((_THINNEST_STROKE * max(ink.shape) - width) / 2 + 0.5))
    return _dilate(np.pad(ink, radius), radius) if radius > 0 else ink


def _offset(mass: Array) -> int:
    """Return where, along one axis, a digit with this mass (N,) begins if its centre lies in the middle of pixel 14.

    There, half a pixel beyond the middle of the field, MNIST's own images have it, all within half a pixel.
    """
    centre = int((mass * (2 * np.arange(len(mass)) + 1)).sum()) / (2 * int(mass.sum()))  # of pixels [0, 1], [1, 2], ...
    return int(min(max(np.floor(FIELD_SIZE / 2 + 1 - centre), 0), FIELD_SIZE - len(mass)))
