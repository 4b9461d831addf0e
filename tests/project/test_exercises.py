"""docs/derivations.md: the faults of its exercises are planted here, and its symbols have the names that it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.initializers import initial_weights
from mnist_core.numpy_nn import classifier as numpy_classifier
from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.classifier import NumPyClassifier
from mnist_core.numpy_nn.losses import softmax_cross_entropy
from mnist_core.proof.gradcheck import Case, finite_difference_check, relative_errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "derivations.md").read_text()
DENSE = Case("dense", (Dense(9, "relu"), Dense(10)), (2, 3, 2))
HEAD = Case("head", (Dense(10),), (2, 3, 2))


def convolution(size):
    return Case("conv", (Conv2D(2, size, activation="relu"), MaxPool2D(2, 2, "same"), Dense(10)), (6, 6, 2))


def network_of(case, rng):
    weights = initial_weights(case.architecture, rng=rng, input_shape=case.input_shape, dtype="float64")
    return NumPyClassifier(
        case.architecture, weights, input_shape=case.input_shape, dtype="float64", num_threads=1, fast=False
    )


def gradients(case):
    rng = np.random.default_rng(2)
    network = network_of(case, rng)
    return network.loss_and_gradients(rng.uniform(0, 1, (2, *case.input_shape)), np.array([3, 7]))[1]


def largest_by_entry(right, faulty):
    return {
        name: relative_errors(faulty[name], right[name], floor=float(np.sqrt(np.mean(right[name] ** 2)))).max()
        for name in right
    }


def errors(case):
    rng = np.random.default_rng(1)
    network = network_of(case, rng)
    return {found.tensor: found.error for found in finite_difference_check(case, rng=rng, classifier=network)}


def wrong(found):
    return {tensor for tensor, error in found.items() if error > 1e-6}  # the tolerance of stage gradcheck


def change_bias(change):
    def planted(owner, monkeypatch):
        right = owner.backward_parameters

        def backward_parameters(self, grad_output):
            right(self, grad_output)
            self.gradients["bias"] = change(grad_output.reshape(-1, grad_output.shape[-1]))

        monkeypatch.setattr(owner, "backward_parameters", backward_parameters)

    return planted


def test_1_a_bias_that_takes_the_mean(monkeypatch):
    change_bias(lambda grad: grad.mean(axis=0))(layers.Dense, monkeypatch)
    found = errors(HEAD)
    assert wrong(found) == {"dense_1.bias"}
    assert found["dense_1.bias"] == pytest.approx(0.5, abs=1e-6)


def test_2_a_wrong_sign(monkeypatch):
    before, right = gradients(HEAD), layers.Dense.backward
    monkeypatch.setattr(layers.Dense, "backward", lambda self, grad: -right(self, grad))
    assert wrong(errors(HEAD)) == {"input"}
    assert largest_by_entry(before, gradients(HEAD)) == {"dense_1.kernel": 0, "dense_1.bias": 0, "input": 2}


def test_3_a_forgotten_batch_mean(monkeypatch):
    before = gradients(HEAD)

    def forgetful(logits, labels):
        loss, gradient = softmax_cross_entropy(logits, labels)
        return loss, gradient * len(labels)

    monkeypatch.setattr(numpy_classifier, "softmax_cross_entropy", forgetful)
    assert wrong(errors(HEAD)) == {"dense_1.kernel", "dense_1.bias", "input"}
    by_entry = largest_by_entry(before, gradients(HEAD))
    assert by_entry == pytest.approx(dict.fromkeys(by_entry, 0.5))


def test_4_a_relu_that_passes_everything(monkeypatch):
    monkeypatch.setattr(layers.ReLU, "backward", lambda self, grad: grad * (self._outputs >= 0))
    assert wrong(errors(DENSE)) == {"dense_1.kernel", "dense_1.bias", "input"}


def test_5_and_8_central_differences_do_not_see_what_happens_at_ties(monkeypatch):
    right = layers.ReLU.forward

    def remembering(self, inputs):
        self.at_zero = inputs >= 0
        return right(self, inputs)

    monkeypatch.setattr(layers.ReLU, "forward", remembering)
    monkeypatch.setattr(layers.ReLU, "backward", lambda self, grad: grad * self.at_zero)
    assert wrong(errors(DENSE)) == set()


def test_7_a_turned_kernel(monkeypatch):
    right = layers.Conv2D.backward

    def turned(self, grad_output):
        kernel = self.parameters["kernel"]
        self.parameters["kernel"] = kernel[::-1, ::-1]
        try:
            return right(self, grad_output)
        finally:
            self.parameters["kernel"] = kernel

    monkeypatch.setattr(layers.Conv2D, "backward", turned)
    assert wrong(errors(convolution(3))) == {"input"}
    assert wrong(errors(convolution(1))) == set()


def test_9_a_convolution_that_averages_its_bias(monkeypatch):
    change_bias(lambda grad: grad.mean(axis=0))(layers.Conv2D, monkeypatch)
    found = errors(convolution(3))
    assert wrong(found) == {"conv2d_1.bias"}
    assert found["conv2d_1.bias"] == pytest.approx(1 - 1 / 72, abs=1e-6)


def test_10_labels_shifted_in_loss_and_gradient_alike(monkeypatch):
    monkeypatch.setattr(
        numpy_classifier,
        "softmax_cross_entropy",
        lambda logits, labels: softmax_cross_entropy(logits, (labels + 1) % 10),
    )
    assert wrong(errors(HEAD)) == set()


def test_the_fused_loss_where_the_pair_breaks():
    loss, gradient = softmax_cross_entropy(np.array([[800.0, 0.0]]), np.array([1]))
    assert (loss, gradient.tolist()) == (800, [[1, -1]])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        exponentials = np.exp(np.array([800.0, 0.0]))
        assert np.isnan(exponentials / exponentials.sum()).tolist() == [True, False]
        assert np.isinf(-np.log(np.exp(-800.0)))
        first_to_break = [
            next(z for z in range(1000) if np.isinf(np.exp(kind(z)))) for kind in (np.float64, np.float32)
        ]
    assert first_to_break == [710, 89]
    assert "from 710 up in float64 and from 89\nin float32" in PAGE


def test_the_symbols_have_their_names_in_the_code():
    rooms = ("numpy_nn", "networks", "proof")
    files = {path.name: path.read_text() for room in rooms for path in (ROOT / "mnist_core" / room).glob("*.py")}
    code = "".join(files.values()) + (ROOT / "mnist_core/metrics.py").read_text()
    symbols = PAGE.split("## Symbols")[1].split("## Ten exercises")[0]
    names = re.findall("`([^`]+)`", "".join(line for line in symbols.splitlines() if line.startswith("|")))
    assert {"_patches", "layers.py", "grad_output"} <= set(names)
    words = {word for name in names if name not in files for word in re.findall(r"[A-Za-z_]\w*", name)}
    assert [word for word in words if not re.search(rf"(?<!\w){word}(?!\w)", code)] == []


def test_every_letter_of_the_formulas_is_explained():
    before, after = PAGE.split("## Symbols")
    table, _ = after.split("## Ten exercises")
    formulas = "".join(re.findall(r"\$\$?(.+?)\$\$?", before, re.DOTALL))
    formulas = re.sub(r"\\(text|mathrm|mathbf|tfrac|frac|left|right|begin|end)\b(\{[^}]*\})?", " ", formulas)
    letters = set(re.findall(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])", formulas))
    letters |= set(
        re.findall(
            r"\\(?:alpha|beta|[a-z]*eta|gamma|delta|epsilon|xi|rho|tau|sigma|omega|kappa|lambda|mu|nu|phi)\b", formulas
        )
    )
    explained = "".join(re.findall(r"\$(.+?)\$", table))
    assert {"X", "W", r"\kappa"} <= letters
    assert sorted(letter for letter in letters if letter not in explained) == []
