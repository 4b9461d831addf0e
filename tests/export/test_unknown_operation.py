"""An operation that nobody has told an exporter of is an error."""

import pytest

from mnist_core.export import keras_file, onnx_file
from mnist_core.networks.architectures import Operation


@pytest.mark.parametrize(
    ("module", "content"),
    [(keras_file, keras_file.keras_bytes), (onnx_file, onnx_file.onnx_bytes)],
    ids=["keras", "onnx"],
)
def test_it_is_an_error(monkeypatch, module, content):
    unknown = Operation("new_1", (28, 28, 1), (28, 28, 1))
    monkeypatch.setattr(module, "operations", lambda architecture, input_shape: [unknown])
    with pytest.raises(TypeError, match="new_1"):
        content((), {})
