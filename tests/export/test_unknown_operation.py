"""An operation that nobody has told an exporter of is an error, and nothing is written."""

import pytest

from mnist_core.export import keras_file, onnx_file
from mnist_core.networks.architectures import Operation


@pytest.mark.parametrize(
    ("module", "save"), [(keras_file, keras_file.save_keras), (onnx_file, onnx_file.save_onnx)], ids=["keras", "onnx"]
)
def test_it_is_an_error(tmp_path, monkeypatch, module, save):
    unknown = Operation("new_1", (28, 28, 1), (28, 28, 1))
    monkeypatch.setattr(module, "operations", lambda architecture, input_shape: [unknown])
    with pytest.raises(TypeError, match="new_1"):
        save(tmp_path / "model", (), {})
    assert not list(tmp_path.iterdir())
