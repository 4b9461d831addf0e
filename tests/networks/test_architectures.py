import pytest
from pydantic import TypeAdapter, ValidationError

from mnist_core.networks.architectures import (
    CheckedArchitecture,
    Conv2D,
    Convolution,
    Dense,
    Flatten,
    Linear,
    MaxPool2D,
    MaxPooling,
    ReLU,
    architecture_to_dicts,
    check_classifier,
    operations,
    parameter_shapes,
    training_bytes,
    window_output_size,
    window_padding,
)

BLOCK = (Conv2D(16, 3, activation="relu"), MaxPool2D(pool_size=2, stride=2))
CNN = (*BLOCK, *BLOCK, Dense(10))


def validated(layers):
    return TypeAdapter(CheckedArchitecture).validate_python(layers)


def test_the_operations_of_a_network_with_names_and_shapes():
    assert operations(CNN, (7, 6, 1)) == [
        Convolution("conv2d_1", (7, 6, 1), (7, 6, 16), CNN[0]),
        ReLU("relu_1", (7, 6, 16), (7, 6, 16)),
        MaxPooling("max_pool2d_1", (7, 6, 16), (4, 3, 16), CNN[1]),
        Convolution("conv2d_2", (4, 3, 16), (4, 3, 16), CNN[2]),
        ReLU("relu_2", (4, 3, 16), (4, 3, 16)),
        MaxPooling("max_pool2d_2", (4, 3, 16), (2, 2, 16), CNN[3]),
        Flatten("flatten_1", (2, 2, 16), (64,)),
        Linear("dense_1", (64,), (10,)),
    ]


def test_an_image_is_flattened_once():
    names = [step.name for step in operations((Dense(5), Dense(4, "relu"), Dense(10)))]
    assert names == ["flatten_1", "dense_1", "dense_2", "relu_1", "dense_3"]


def test_shapes_of_the_parameters():
    assert list(parameter_shapes(CNN, (7, 6, 1)).items()) == [
        ("conv2d_1.kernel", (3, 3, 1, 16)),
        ("conv2d_1.bias", (16,)),
        ("conv2d_2.kernel", (3, 3, 16, 16)),
        ("conv2d_2.bias", (16,)),
        ("dense_1.kernel", (64, 10)),
        ("dense_1.bias", (10,)),
    ]


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding", "outputs", "pads"),
    [
        (28, 3, 1, "same", 28, (1, 1)),
        (7, 2, 2, "same", 4, (0, 1)),
        (8, 2, 2, "same", 4, (0, 0)),
        (5, 4, 1, "same", 5, (1, 2)),
        (5, 1, 3, "same", 2, (0, 0)),
        (7, 2, 2, "valid", 3, (0, 0)),
        (5, 5, 1, "valid", 1, (0, 0)),
    ],
)
def test_windows_along_one_axis(size, window, stride, padding, outputs, pads):
    assert window_output_size(size, window, stride, padding) == outputs
    assert window_padding(size, window, stride, padding) == pads


def test_the_memory_of_a_convolution_is_that_of_its_patches():
    """28x28 images, 100 of them, same padding, 5x5 kernels, 2 filters: patches outweigh the rest."""
    (convolution,) = operations((Conv2D(2, 5),))
    numbers = 28 * 28 * 2 + 32 * 32 + 28 * 28 * 25
    assert training_bytes(convolution, 100) == 2 * 4 * (25 * 2 + 100 * numbers)


def test_dictionaries_go_there_and_back():
    dicts = architecture_to_dicts((Dense(5, "relu"), Dense(10)))
    assert dicts == [
        {"units": 5, "activation": "relu", "type": "dense"},
        {"units": 10, "activation": "linear", "type": "dense"},
    ]
    assert validated(architecture_to_dicts(CNN)) == CNN


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "lstm", "units": 3}, "'lstm'"),
        ({"type": "dense", "units": 3, "colour": 1}, "colour"),
        ({"type": "dense"}, "units"),
        ({"type": "dense", "units": 0}, "units must be from 1 to 1000000000000000, not 0"),
        ({"type": "dense", "units": "3"}, "units must be a whole number, not '3'"),
        ({"type": "max_pool2d", "pool_size": 2, "stride": -1}, "stride must be from 1 to 2147483647, not -1"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(layer, message):
    with pytest.raises(ValidationError, match=message):
        validated([layer, {"type": "dense", "units": 10}])


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ((), "the last layer must be dense with 10 units"),
        ((Dense(9),), "the last layer must be dense with 10 units"),
        ((Dense(10, "relu"),), "no activation"),
        ((Dense(5), Conv2D(1, 1), Dense(10)), r"conv2d_1 needs an image, but the layer before it gives \(5,\)"),
        ((Conv2D(1, 5, padding="valid"), Dense(10)), "conv2d_1: a window of 5 does not fit into 4x4"),
    ],
)
def test_a_network_that_is_no_classifier_is_refused(architecture, message):
    with pytest.raises(ValueError, match=message):
        check_classifier(architecture, (4, 4, 1))
