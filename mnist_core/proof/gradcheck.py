"""Are the hand-written gradients right? Each is compared with three others.

1. Central finite differences of the loss, along random directions and on single coordinates: the definition itself.
2. A reference classifier with the same weights that differentiates automatically. It is passed in, so that this
   module needs nothing but NumPy.
3. The loop layers of `naive`, which share only the padding rule with ours.

Every layer is checked inside the smallest network that has it, because a loss has a gradient and a layer alone has not.
All arithmetic should be float64: the differences are then far smaller than any fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import inf, sqrt

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array, Shape, Weights
from mnist_core.networks.architectures import Architecture, Conv2D, Dense, MaxPool2D, Padding, operations
from mnist_core.networks.classifier import Classifier
from mnist_core.networks.initializers import initial_weights
from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.build import layer_of
from mnist_core.proof import naive

STEP = 1e-5
"""Half the distance between the two losses of a central difference; directions have length 1.

The truncation error is STEP**2 / 6 times the third derivative, about 1e-11; rounding of the loss, about 1e-15, is
divided by 2 STEP and gives 1e-10. A larger step also crosses more kinks of ReLU and pooling.
"""

_NUM_PROBES = 2  # random directions, and as many single coordinates, for each tensor
_NUM_ATTEMPTS = 50
_HEAD = Dense(NUM_CLASSES)


@dataclass(frozen=True)
class Case:
    """A small network to check.

    Attributes:
        subject: what the case is about: a layer type, or the letter of a network.
        architecture: the layers.
        input_shape: (height, width, channels) of one image.
        owner: the layer whose parameters are compared, such as "conv2d_1"; "" for no layer, None for all of them. The
            gradient with respect to the images is always compared.
        ties: draw small integers for images and parameters, so that pooling windows have equal maxima and ReLU sees
            exact zeros. The loss has kinks there, so finite differences are left out.
    """

    subject: str
    architecture: Architecture
    input_shape: Shape = IMAGE_SHAPE
    owner: str | None = None
    ties: bool = False

    def tensors(self, weights: Weights) -> dict[str, str]:
        """Return the compared tensors: key in the gradients -> name in the report."""
        if self.owner is None:
            return {name: name for name in [*weights, "input"]}
        own = [name for name in weights if name.split(".")[0] == self.owner]
        return {name: name.split(".")[1] for name in own} | {"input": "input"}


@dataclass(frozen=True)
class Discrepancy:
    """Where two gradients of one tensor differ most, measured by `relative_errors`."""

    subject: str
    tensor: str
    method: str
    error: float
    ours: float
    other: float
    place: str

    def __str__(self) -> str:
        return (
            f"{self.subject} {self.tensor} {self.place}: {self.ours:.12g}, but {self.other:.12g} by {self.method} "
            f"(relative error {self.error:.2g})"
        )


def layer_cases() -> list[Case]:
    """Return cases for every layer type: odd and even sizes, kernels, paddings, strides, ties and ragged edges."""
    paddings: tuple[Padding, Padding] = ("same", "valid")
    cases = [
        Case("dense", (Dense(7), _HEAD), (2, 3, 2), "dense_1"),
        Case("relu", (Dense(9, "relu"), _HEAD), (2, 3, 2), ""),
        Case("relu", (Dense(9, "relu"), _HEAD), (2, 3, 2), "", ties=True),
        Case("flatten", (_HEAD,), (3, 2, 4), ""),
        Case("softmax_cross_entropy", (_HEAD,), (1, 1, 10), ""),
    ]
    # Height 7 and width 6: an odd and an even size at once.
    cases += [
        Case("conv2d", (Conv2D(2, kernel_size, stride, padding), _HEAD), (7, 6, channels), "conv2d_1")
        for kernel_size, stride, padding, channels in product((1, 3, 5), (1, 2), paddings, (1, 3))
    ]
    cases += [
        Case("max_pool2d", (MaxPool2D(pool_size, stride, padding), _HEAD), (7, 6, 2), "", ties)
        for (pool_size, stride), padding, ties in product(((2, 1), (2, 2), (3, 2), (2, 3)), paddings, (False, True))
    ]
    pool = MaxPool2D(2, 2, "same")
    cases += [
        Case("conv_relu_pool", (Conv2D(3, size, activation="relu"), pool, _HEAD), shape, "conv2d_1", ties)
        for (size, shape), ties in product(
            ((1, (5, 5, 2)), (3, (6, 6, 1)), (3, (7, 6, 3)), (3, (7, 6, 4)), (5, (5, 8, 2))), (False, True)
        )
    ]
    return cases


def network_cases(architectures: dict[str, Architecture]) -> list[Case]:
    """Return one case for each network, on whole images."""
    return [Case(letter, architecture) for letter, architecture in architectures.items()]


def relative_errors(first: Array, second: Array, *, floor: float) -> Array:
    """Return |first - second| / max(|first|, |second|, floor), elementwise.

    autograd's test_util divides by |first + second|, which has no bound when the signs differ; this error is at most 2.
    The floor, here the root mean square of the tensor's gradient, keeps an entry that is nearly zero beside its
    neighbours from being measured against itself.

    Returns:
        Zero where both are equal, infinity where one is not a number.
    """
    scale = np.maximum(np.maximum(np.abs(first), np.abs(second)), floor)
    errors: Array = np.abs(first - second) / np.where(scale == 0, 1, scale)
    return np.nan_to_num(errors, nan=inf)


def check_case(case: Case, *, seed: int, classifier: Classifier, reference: Classifier) -> list[Discrepancy]:
    """Compare the gradients of `classifier` on random images with all three others.

    Args:
        case: what to check.
        seed: of weights, images, labels and directions.
        classifier: a float64 network of the case; its weights are replaced.
        reference: the same network with automatic differentiation; its weights are replaced.

    Returns:
        The largest discrepancy for each tensor and method: "finite_difference" (not with ties), "tensorflow", "naive".
    """
    rng = np.random.default_rng(seed)
    point = _draw(case, rng)
    gradients = _gradients(classifier, point)
    others = {"tensorflow": _gradients(reference, point), "naive": _naive_gradients(case, point)}
    found = [
        _compare(case.subject, tensor, method, gradients[key], other[key])
        for key, tensor in case.tensors(point.weights).items()
        for method, other in others.items()
    ]
    return found if case.ties else found + finite_difference_check(case, rng=rng, classifier=classifier)


def finite_difference_check(case: Case, *, rng: np.random.Generator, classifier: Classifier) -> list[Discrepancy]:
    """Compare the gradients of `classifier` with central finite differences of its loss.

    Where a probe reaches over a kink (a ReLU or a pooling window takes another branch), all of it is drawn again.

    Raises:
        RuntimeError: no draw avoids the kinks.
    """
    for _ in range(_NUM_ATTEMPTS):
        point = _draw(case, rng)
        gradients = _gradients(classifier, point)
        branches = _branches(case, point)
        found = []
        for key, tensor in case.tensors(point.weights).items():
            probes = [
                _probe(case, point, key, direction, gradients[key], branches, classifier)
                for direction in _directions(point.tensor(key).shape, rng)
            ]
            smooth = [probe for probe in probes if probe is not None]
            if len(smooth) < len(probes):
                break
            ours, differences = np.array(smooth).T
            place = ["along a random direction"] * _NUM_PROBES + ["on one coordinate"] * _NUM_PROBES
            errors = relative_errors(ours, differences, floor=_root_mean_square(gradients[key]))
            worst = int(errors.argmax())
            found.append(
                Discrepancy(
                    case.subject,
                    tensor,
                    "finite_difference",
                    float(errors[worst]),
                    float(ours[worst]),
                    float(differences[worst]),
                    place[worst],
                )
            )
        else:
            return found
    raise RuntimeError(f"{case}: every draw comes within {STEP} of a kink")


@dataclass(frozen=True)
class _Point:
    """Where a gradient is taken."""

    weights: Weights
    images: Array
    labels: Array

    def tensor(self, key: str) -> Array:
        return self.images if key == "input" else self.weights[key]

    def moved(self, key: str, change: Array) -> "_Point":
        if key == "input":
            return _Point(self.weights, self.images + change, self.labels)
        return _Point({**self.weights, key: self.weights[key] + change}, self.images, self.labels)


def _draw(case: Case, rng: np.random.Generator) -> _Point:
    """Draw weights, two images and their labels; biases too, since a fault could hide behind zeros."""
    weights = initial_weights(case.architecture, rng=rng, input_shape=case.input_shape, dtype="float64")
    logits = operations(case.architecture, case.input_shape)[-1].name
    for name, value in weights.items():
        if name.endswith(".bias"):
            weights[name] = rng.normal(0, 0.1, value.shape)
        if case.ties and name != f"{logits}.kernel":
            weights[name] = rng.integers(-1, 2, value.shape).astype(np.float64)
    shape = (2, *case.input_shape)
    images = rng.integers(0, 3, shape).astype(np.float64) if case.ties else rng.uniform(0, 1, shape)
    return _Point(weights, images, rng.integers(0, NUM_CLASSES, 2))


def _gradients(classifier: Classifier, point: _Point) -> Weights:
    classifier.set_weights(point.weights)
    gradients = classifier.loss_and_gradients(point.images, point.labels)[1]
    return {key: np.array(gradient) for key, gradient in gradients.items()}  # a later call may reuse its arrays


def _loss(classifier: Classifier, point: _Point) -> float:
    classifier.set_weights(point.weights)
    return classifier.loss_and_gradients(point.images, point.labels)[0]


def _directions(shape: Shape, rng: np.random.Generator) -> Iterator[Array]:
    for _ in range(_NUM_PROBES):
        direction = rng.normal(0, 1, shape)
        yield direction / np.linalg.norm(direction)
    for _ in range(_NUM_PROBES):
        coordinate = np.zeros(shape)
        coordinate[tuple(rng.integers(0, shape))] = 1
        yield coordinate


def _probe(
    case: Case,
    point: _Point,
    key: str,
    direction: Array,
    gradient: Array,
    branches: list[bytes],
    classifier: Classifier,
) -> tuple[float, float] | None:
    """Return the derivative along `direction` by gradient and by difference; None if there is a kink in between."""
    ahead, behind = point.moved(key, STEP * direction), point.moved(key, -STEP * direction)
    if any(_branches(case, end) != branches for end in (ahead, behind)):
        return None
    difference = (_loss(classifier, ahead) - _loss(classifier, behind)) / (2 * STEP)
    return float(np.sum(gradient * direction)), difference


def _compare(subject: str, tensor: str, method: str, ours: Array, other: Array) -> Discrepancy:
    if ours.shape != other.shape:
        return Discrepancy(subject, tensor, method, inf, ours.size, other.size, f"(shapes {ours.shape}, {other.shape})")
    errors = relative_errors(ours, other, floor=max(_root_mean_square(ours), _root_mean_square(other)))
    worst = np.unravel_index(errors.argmax(), errors.shape)
    place = str([int(index) for index in worst])
    return Discrepancy(subject, tensor, method, float(errors[worst]), float(ours[worst]), float(other[worst]), place)


def _root_mean_square(array: Array) -> float:
    return float(np.linalg.norm(array)) / sqrt(array.size)


def _naive_gradients(case: Case, point: _Point) -> Weights:
    chain = [
        (step.name, layer_of(step, point.weights, naive)) for step in operations(case.architecture, case.input_shape)
    ]
    outputs = point.images
    for _, layer in chain:
        outputs = layer.forward(outputs)
    grad = naive.softmax_cross_entropy(outputs, point.labels)[1]
    gradients: Weights = {}
    for name, layer in reversed(chain):
        grad = layer.backward(grad)
        gradients |= {f"{name}.{kind}": gradient for kind, gradient in layer.gradients.items()}
    return gradients | {"input": grad}


def _branches(case: Case, point: _Point) -> list[bytes]:
    """Return which branch every ReLU and every pooling window takes; where it stays the same the loss is smooth."""
    outputs, branches = point.images, []
    for step in operations(case.architecture, case.input_shape):
        layer = layer_of(step, point.weights)
        outputs = layer.forward(outputs)
        if isinstance(layer, layers.ReLU):
            branches.append((outputs > 0).tobytes())
        elif isinstance(layer, layers.MaxPool2D):
            branches.append(layer.backward(np.ones_like(outputs)).tobytes())  # how many windows each input wins
    return branches
