import numpy as np
import pytest

from mnist_core.numpy_nn.optimizers import SGD, NesterovSGD


def test_a_step_by_hand_is_taken_in_place():
    kernel, bias = np.array([[1.0, 2.0]]), np.array([3.0])
    scaled_gradients = {"kernel": np.array([[5.0, -5.0]]), "bias": np.array([0.0])}
    SGD(0.1).step({"kernel": kernel, "bias": bias}, scaled_gradients)
    assert kernel.tolist() == [[-4, 7]]
    assert bias.tolist() == [3]


def test_rows_that_a_gradient_lacks_stay():
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    SGD(0.1).step({"kernel": kernel}, {"kernel": np.array([[5.0, -5.0]])})
    assert kernel.tolist() == [[-4, 7], [3, 4]]


def test_the_scale_that_gradients_must_come_in_is_the_learning_rate():
    optimizer = SGD(0.25)
    assert optimizer.gradient_scale == 0.25
    optimizer.learning_rate = 0.5
    assert optimizer.gradient_scale == 0.5


def test_two_steps_with_momentum_by_hand():
    """Momentum 0.5, decay 0.1 of kernels, rate 0.1 and then 0.2; the loss's own gradient is 1 throughout."""
    parameters = {"dense.kernel": np.array([[2.0]]), "dense.bias": np.array([2.0])}
    velocity = {"dense.kernel": np.array([[0.0]]), "dense.bias": np.array([0.0])}
    optimizer = NesterovSGD(0.1, momentum=0.5, weight_decay=0.1, velocity=velocity)
    gradients = {name: np.ones_like(array) for name, array in parameters.items()}
    optimizer.step(parameters, gradients)
    # Kernel: g = 1 + 0.2, v = 1.2, w = 2 - 0.1 (1.2 + 0.6). Bias: g = v = 1, w = 2 - 0.1 (1 + 0.5).
    assert parameters["dense.kernel"] == pytest.approx(1.82)
    assert parameters["dense.bias"] == pytest.approx(1.85)
    optimizer.learning_rate = 0.2
    optimizer.step(parameters, gradients)
    # Kernel: g = 1.182, v = 0.6 + 1.182, w = 1.82 - 0.2 (1.182 + 0.891). Bias: v = 1.5, w = 1.85 - 0.2 (1 + 0.75).
    assert velocity["dense.kernel"] == pytest.approx(1.782)
    assert parameters["dense.kernel"] == pytest.approx(1.4054)
    assert parameters["dense.bias"] == pytest.approx(1.5)


def test_rows_that_a_gradient_lacks_keep_their_momentum_and_decay():
    kernel, velocity = np.array([[1.0], [1.0]]), np.array([[0.0], [2.0]])
    optimizer = NesterovSGD(0.1, momentum=0.5, weight_decay=0.5, velocity={"kernel.kernel": velocity})
    optimizer.step({"kernel.kernel": kernel}, {"kernel.kernel": np.array([[1.0]])})
    # The second row: g = 0.5, v = 1 + 0.5, w = 1 - 0.1 (0.5 + 0.75).
    assert velocity == pytest.approx(np.array([[1.5], [1.5]]))
    assert kernel == pytest.approx(np.array([[0.775], [0.875]]))


SHAPES = {"dense.kernel": (3, 2), "dense.bias": (2,)}


def ten_steps(momentum, weight_decay):
    """Yield the gradients and, after a step with them at a falling rate, the parameters; all float64."""
    rng = np.random.default_rng(0)
    parameters = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    yield {name: array.copy() for name, array in parameters.items()}
    velocity = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    optimizer = NesterovSGD(0.0, momentum=momentum, weight_decay=weight_decay, velocity=velocity)
    for step in range(10):
        gradients = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        optimizer.learning_rate = 0.3 / (1 + step)
        optimizer.step(parameters, gradients)
        yield optimizer.learning_rate, gradients, parameters


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.0), (0.9, 0.01)])
def test_ten_steps_are_those_of_pytorch(momentum, weight_decay):
    torch = pytest.importorskip("torch", reason="PyTorch is no dependency; `make bench` installs it")
    start, *steps = ten_steps(momentum, weight_decay)
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    groups = [
        {"params": [tensors["dense.kernel"]], "weight_decay": weight_decay},
        {"params": [tensors["dense.bias"]]},
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=True)
    for learning_rate, gradients, _ in steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        optimizer.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(steps[-1][2][name], tensor.detach().numpy(), rtol=1e-12)
