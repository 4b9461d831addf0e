"""`fast: false` with `--workers 0`: what a debugger needs to stop in layers.py."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.numpy_nn import fused, layers
from stages.search import main


@pytest.mark.parametrize("fast", [True, False])
def test_a_debugger_sees_the_layers_that_params_ask_for(small_project, monkeypatch, fast):
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("fast: true", f"fast: {str(fast).lower()}"))
    called = set()
    for layer in (layers.Conv2D, fused.ConvReLUPool):
        name, forward = layer.__name__, layer.forward
        monkeypatch.setattr(
            layer, "forward", lambda self, x, name=name, forward=forward: (called.add(name), forward(self, x))[1]
        )
    result = CliRunner().invoke(main, ["--model", "2d", "--workers", "0"])
    assert result.exit_code == 0, result.output
    assert called == {"ConvReLUPool" if fast else "Conv2D"}
