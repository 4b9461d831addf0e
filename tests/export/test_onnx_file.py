"""A saved ONNX file: the reference evaluator predicts the same, and equal weights give equal bytes."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from mnist_core.export.onnx_file import onnx_bytes
from mnist_core.metrics import softmax
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.initializers import initial_weights
from mnist_core.registry import build_classifier

ARCHITECTURES = {
    "dense": (Dense(16, "relu"), Dense(10)),
    # 7 -> 4: the padding is not the same on both sides
    "same": (
        *(Conv2D(4, 3, activation="relu"), MaxPool2D(2, 2), MaxPool2D(2, 2)),
        *(Conv2D(5, 3, stride=2), MaxPool2D(3, 3), Dense(10)),
    ),
    "valid": (Conv2D(4, 5, stride=2, padding="valid", activation="relu"), MaxPool2D(3, 1, "valid"), Dense(10)),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_onnx_predicts_what_our_network_predicts(architecture):
    rng = np.random.default_rng(0)
    drawn = initial_weights(architecture, rng=rng)
    weights = {name: array.astype(np.float32) + np.float32(0.01) for name, array in drawn.items()}
    images = rng.integers(0, 256, (4, 28, 28, 1), np.uint8)
    content = onnx_bytes(architecture, weights)
    assert onnx_bytes(architecture, weights) == content
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    (found,) = ReferenceEvaluator(model).run(None, {"images": images})
    logits = build_classifier("numpy", architecture, weights).predict_logits(images / np.float32(255))
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-4, atol=1e-5)  # float32, summed in another order
