import numpy as np

from mnist_core.numpy_nn.optimizers import SGD


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
    assert SGD(0.25).gradient_scale == 0.25
