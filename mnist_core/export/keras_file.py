"""A trained network as a `.keras` file, which plain Keras loads without any of our code."""

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_core.arrays import IMAGE_SHAPE, Shape, Weights
from mnist_core.files.writing import scratch_directory
from mnist_core.networks.architectures import Architecture, Convolution, Flatten, Linear, MaxPooling, ReLU, operations

if TYPE_CHECKING:
    import keras

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip member can carry


def keras_bytes(architecture: Architecture, weights: Weights, input_shape: Shape = IMAGE_SHAPE) -> bytes:
    """Return the content of a file `*.keras` that `keras.saving.load_model` of Keras 3.5 and later reads.

    It maps images as they come, (N, height, width, channels) from 0 to 255, to probabilities (N, 10). Equal weights
    give equal bytes.

    It needs TensorFlow and Keras, which take seconds to start: where they run already is the place to call it.

    Args:
        architecture: the layers.
        weights: float32 arrays, named and shaped as `architectures.parameter_shapes` says.
        input_shape: (height, width, channels) of one image.

    Raises:
        ValueError: the weights do not fit the architecture.
    """
    model = _keras_model(architecture, input_shape)
    for step in operations(architecture, input_shape):
        if isinstance(step, Convolution | Linear):
            model.get_layer(step.name).set_weights([weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"]])
    with scratch_directory() as directory:
        dated = directory / "model.keras"
        model.save(dated)
        return _reproducible(dated)


def _keras_model(architecture: Architecture, input_shape: Shape) -> "keras.Sequential":
    import mnist_core.tensorflow_nn  # noqa: F401  starts TensorFlow up quietly, before Keras does

    # isort: split
    import keras

    keras.config.set_floatx("float32")  # whatever ~/.keras/keras.json says
    keras.config.set_image_data_format("channels_last")
    layers = [keras.Input(input_shape, name="images"), keras.layers.Rescaling(1 / 255, name="rescaling")]
    for step in operations(architecture, input_shape):
        if isinstance(step, Convolution):
            spec = step.spec
            layers.append(
                keras.layers.Conv2D(
                    spec.filters, spec.kernel_size, strides=spec.stride, padding=spec.padding, name=step.name
                )
            )
        elif isinstance(step, MaxPooling):
            pool = step.spec
            layers.append(keras.layers.MaxPooling2D(pool.pool_size, pool.stride, pool.padding, name=step.name))
        elif isinstance(step, Linear):
            layers.append(keras.layers.Dense(*step.output_shape, name=step.name))
        elif isinstance(step, Flatten):
            layers.append(keras.layers.Flatten(name=step.name))
        elif isinstance(step, ReLU):
            layers.append(keras.layers.ReLU(name=step.name))
        else:
            raise TypeError(step)
    return keras.Sequential([*layers, keras.layers.Softmax(name="probabilities")], name="classifier")


# Dates, and memory addresses by which layers share their dtype policy: without them each gets an equal one.
_CHANCE = ("date_saved", "shared_object_id")
# Newer than Keras 3.5, which refuses what it does not know; they say nothing of a network that is loaded.
_NEWER = ("quantization_config", "input_axes", "output_axes")


def _portable(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in (*_CHANCE, *_NEWER)}


def _reproducible(file: Path) -> bytes:
    """Return the archive with its members in order of name, and no date or memory address anywhere."""
    undated = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(undated, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".json"):
                content = json.dumps(json.loads(content, object_hook=_portable)).encode()
            target.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), content)
    return undated.getvalue()
