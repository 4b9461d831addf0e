"""A trained network as an ONNX file, which other languages and runtimes load."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array, Shape, Weights
from mnist_core.networks.architectures import (
    Architecture,
    Convolution,
    Flatten,
    Linear,
    MaxPooling,
    ReLU,
    operations,
    window_padding,
)

OPSET, IR_VERSION = 13, 7  # of 2020: any runtime of today reads them


def onnx_bytes(architecture: Architecture, weights: Weights, input_shape: Shape = IMAGE_SHAPE) -> bytes:
    """Return the network as the content of an ONNX file; equal weights give equal bytes.

    It maps `images`, uint8 (N, height, width, channels) from 0 to 255, to `probabilities`, float32 (N, 10).

    Args:
        architecture: the layers.
        weights: float32 arrays, named and shaped as `architectures.parameter_shapes` says.
        input_shape: (height, width, channels) of one image.
    """
    builder = _Builder(weights)
    builder.add("Cast", to=TensorProto.FLOAT)
    builder.add("Div", builder.constant("full_scale", np.array(255, np.float32)))
    builder.add("Transpose", perm=[0, 3, 1, 2])  # ONNX convolves NCHW
    for step in operations(architecture, input_shape):
        if isinstance(step, Convolution):
            oihw = weights[f"{step.name}.kernel"].transpose(3, 2, 0, 1)
            kernel = builder.constant(f"{step.name}.kernel", oihw)
            builder.add("Conv", kernel, builder.weight(f"{step.name}.bias"), **_window(step, step.spec.kernel_size))
        elif isinstance(step, MaxPooling):
            builder.add("MaxPool", **_window(step, step.spec.pool_size))
        elif isinstance(step, Flatten):  # back to our order before the rows of the kernel meet it
            builder.add("Transpose", perm=[0, 2, 3, 1])
            builder.add("Flatten", axis=1)
        elif isinstance(step, Linear):
            builder.add("Gemm", builder.weight(f"{step.name}.kernel"), builder.weight(f"{step.name}.bias"))
        elif isinstance(step, ReLU):
            builder.add("Relu")
        else:
            raise TypeError(step)
    builder.add("Softmax", axis=1)
    content: bytes = builder.model(input_shape).SerializeToString(deterministic=True)
    return content


def _window(step: Convolution | MaxPooling, size: int) -> dict[str, list[int]]:
    stride, padding = step.spec.stride, step.spec.padding
    pads = [window_padding(length, size, stride, padding) for length in step.input_shape[:2]]
    return {
        "kernel_shape": [size, size],
        "strides": [stride, stride],
        "pads": [before for before, _ in pads] + [after for _, after in pads],
    }


class _Builder:
    """A chain of operations, each of which takes the output of the one before."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._last = "images"

    def add(self, operation: str, *constants: str, **attributes: Any) -> None:
        output = f"{operation.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, [self._last, *constants], [output], **attributes))
        self._last = output

    def constant(self, name: str, value: Array) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name])

    def model(self, input_shape: Shape) -> onnx.ModelProto:
        self._nodes[-1].output[0] = "probabilities"
        graph = helper.make_graph(
            self._nodes,
            "classifier",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *input_shape])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", NUM_CLASSES])],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="mnist-dvc")
