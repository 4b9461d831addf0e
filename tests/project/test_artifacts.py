"""Another project gets a published model from a clone, by README's commands: the file, or by its name from a tag."""

import shlex

import numpy as np
import pytest

from mnist_core.metrics import softmax
from mnist_core.networks.model_file import load_model
from mnist_core.registry import build_classifier
from tests.project.pages import commands
from tests.projects import ROOT, make_repository, run


@pytest.fixture
def clone(tmp_path):
    """A clone that names the author of a tag."""
    run(tmp_path, "git", "clone", "--quiet", str(ROOT), "clone")
    make_repository(tmp_path / "clone")
    return tmp_path / "clone"


def command(begin):
    (line,) = (line for line in commands("README.md") if line.startswith(begin))
    return line


def test_a_file_is_served_to_other_projects(tmp_path, clone):
    run(tmp_path, *shlex.split(command("dvc get").replace("URL", str(clone))))
    assert (tmp_path / "2d.onnx").read_bytes() == (clone / "data/published/2d.onnx").read_bytes()


def test_a_tagged_model_is_served_to_other_projects(tmp_path, clone):
    run(clone, *shlex.split(command("git tag")))
    run(tmp_path, *shlex.split(command("dvc artifacts get").replace("URL", str(clone))))
    assert (tmp_path / "2d.npz").read_bytes() == (clone / "data/published/2d.npz").read_bytes()


def test_the_lines_for_onnx_give_what_our_network_gives(monkeypatch):
    (lines,) = (ROOT / "README.md").read_text().split("```python\n")[1:]
    monkeypatch.chdir(ROOT)
    names = {}
    exec(lines.split("```")[0], names)
    assert (names["probabilities"].shape, names["probabilities"].dtype) == ((5, 10), np.float32)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    (found,) = names["model"].run(None, {"images": images})
    network = build_classifier("numpy", *load_model(ROOT / "data/published/2d.npz"))
    expected = softmax(network.predict_logits(images / np.float32(255)))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)  # float32, summed in another order
